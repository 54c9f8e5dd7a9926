//! `nyx netem`: a bad network on this machine.

mod report;
mod script;
mod udp;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use nyx_core::{Bitrate, ByteSize};
use nyx_netem::path::{Loss, Reorder, Share};
use nyx_netem::proxy::BindError;
use nyx_netem::schedule::Schedule;
use nyx_netem::{Conditions, Handle, Impairment, Proxy};
use nyx_transport::Address;
use tokio::task::JoinSet;

use crate::exit::{Failure, Outcome};
use crate::serve::{Signals, block_on};
use crate::tell;

/// Stand between a client and a server as a slow, far or broken network.
///
/// Every connection, and with --udp every client, has its own link in each direction. What TCP does about loss looks like delay to those who
/// use it, so what is about single datagrams needs --udp: for connections use jitter and stalls.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Where clients connect
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7000")]
    listen: SocketAddr,
    /// Where the server is; any TCP server will do
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:6990")]
    upstream: Address,
    /// Bytes cross no faster, such as 500kB/s or 4Mbit/s
    #[arg(long, value_name = "RATE")]
    rate: Option<Bitrate>,
    /// Every byte takes this long, one way
    #[arg(long, value_name = "TIME", default_value = "0s")]
    delay: humantime::Duration,
    /// And up to this much longer, at random
    #[arg(long, value_name = "TIME", default_value = "0s")]
    jitter: humantime::Duration,
    /// Bytes that wait in the network before it takes no more
    #[arg(long, value_name = "SIZE", default_value = "32KiB")]
    buffer: ByteSize,
    /// Where the randomness comes from: the same seed, the same jitter
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Relay datagrams instead of connections
    #[arg(long)]
    udp: bool,
    /// Datagrams that get lost, such as 5%, or in bursts: burst:1%,25% (how often one begins, and ends)
    #[arg(long, value_name = "SHARE", requires = "udp")]
    loss: Option<Loss>,
    /// Datagrams that arrive twice
    #[arg(long, value_name = "SHARE", requires = "udp")]
    duplicate: Option<Share>,
    /// Datagrams that arrive behind so many later ones, such as 1%:50
    #[arg(long, value_name = "SHARE:N", requires = "udp")]
    reorder: Option<Reorder>,
    /// Larger datagrams vanish
    #[arg(long, value_name = "BYTES", requires = "udp")]
    mtu: Option<usize>,
    /// What changes when: lines such as `10s loss=5% delay=40ms`, `20s cut`, `22s return`, `30s repeat`
    #[arg(long, value_name = "FILE")]
    schedule: Option<PathBuf>,
    /// Stop all bytes this long after the start
    #[arg(long, value_name = "TIME", conflicts_with = "udp")]
    stall_after: Option<humantime::Duration>,
    /// Let them go on after this [default: never]
    #[arg(long, value_name = "TIME", requires = "stall_after")]
    stall_for: Option<humantime::Duration>,
    /// Break all connections this long after the start; new ones may come
    #[arg(long, value_name = "TIME", conflicts_with = "udp")]
    cut_after: Option<humantime::Duration>,
    /// Tell counters on stderr once a second
    #[arg(long)]
    progress: bool,
    /// Print the counters as JSON at the end
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  nyx netem --rate 500kB/s
  nyx sub demo/card --server nyx://127.0.0.1:7000 --stats --quiet

  nyx netem --listen 127.0.0.1:7001 --delay 40ms --jitter 10ms
  nyx netem --listen 127.0.0.1:7002 --stall-after 5s --stall-for 2s

  nyx netem --udp --loss burst:1%,25% --reorder 1%:50 --upstream 127.0.0.1:9000
  nyx netem --schedule radio.txt";

pub(crate) fn run(args: Args) -> Outcome {
    block_on(args.run())
}

impl Args {
    async fn run(self) -> Outcome {
        let mut signals = Signals::new()?;
        let upstream = resolve(&self.upstream, self.listen).await?;
        let schedule = self.schedule.as_deref().map(read_schedule).transpose()?;
        if self.udp {
            return udp::run(&self, upstream, schedule, signals).await;
        }
        let proxy = Proxy::bind(self.listen, upstream, self.impairment().into()).map_err(listen_failed)?;
        let handle = proxy.handle();
        tell::note(format_args!("netem: {} -> {upstream}{}", proxy.local_addr(), self.describe()));
        let mut background = JoinSet::new();
        if let Some(after) = self.stall_after {
            background.spawn(stall(handle.clone(), after.into(), self.stall_for.map(Into::into)));
        }
        if let Some(after) = self.cut_after {
            background.spawn(cut(handle.clone(), after.into()));
        }
        if let Some(schedule) = schedule {
            background.spawn(script::connections(handle.clone(), schedule));
        }
        if self.progress {
            background.spawn(report::progress(handle.clone()));
        }
        let counters = tokio::select! {
            never = proxy.run() => match never {},
            // Read before the proxy is dropped, and its connections with it.
            counters = async { signals.wait().await; handle.counters() } => counters,
        };
        drop(background);
        tell::end_progress();
        if self.json {
            tell::print(format!("{}\n", report::json(&counters)))?;
        } else {
            tell::note(format_args!("netem: {}", report::describe(&counters)));
        }
        Ok(())
    }

    fn impairment(&self) -> Impairment {
        let mut impairment = Impairment::default();
        impairment.rate = self.rate;
        impairment.delay = self.delay.into();
        impairment.jitter = self.jitter.into();
        impairment.buffer = self.buffer;
        impairment.seed = self.seed;
        impairment
    }

    fn conditions(&self) -> Conditions {
        let mut conditions = Conditions::default();
        conditions.rate = self.rate;
        conditions.delay = self.delay.into();
        conditions.jitter = self.jitter.into();
        conditions.buffer = self.buffer;
        conditions.loss = self.loss.unwrap_or_default();
        conditions.duplicate = self.duplicate.unwrap_or_default();
        conditions.reorder = self.reorder;
        conditions.mtu = self.mtu;
        conditions.seed = self.seed;
        conditions
    }

    /// What is set, in words.
    fn describe(&self) -> String {
        let mut words = String::new();
        let mut add = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                words.push_str(&format!(", {name} {value}"));
            }
        };
        let time = |time: humantime::Duration| (!time.is_zero()).then(|| time.to_string());
        add("rate", self.rate.map(|rate| format!("{}/s", tell::bytes(rate.bytes_per_second() as f64))));
        add("delay", time(self.delay));
        add("jitter", time(self.jitter));
        add("loss", self.loss.map(|loss| loss.to_string()));
        add("doubles", self.duplicate.map(|share| share.to_string()));
        add("reorders", self.reorder.map(|reorder| reorder.to_string()));
        add("mtu", self.mtu.map(|bytes| bytes.to_string()));
        add("stalls after", self.stall_after.map(|time| time.to_string()));
        add("for", self.stall_for.map(|time| time.to_string()));
        add("cuts after", self.cut_after.map(|time| time.to_string()));
        add("as in", self.schedule.as_ref().map(|file| file.display().to_string()));
        words
    }
}

fn read_schedule(file: &Path) -> Outcome<Schedule> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("can't read {}", file.display()))
        .map_err(Failure::usage)?;
    text.parse().map_err(|error| Failure::usage(anyhow!("{}: {error}", file.display())))
}

async fn resolve(address: &Address, listen: SocketAddr) -> Outcome<SocketAddr> {
    let found = tokio::net::lookup_host((address.host(), address.port()))
        .await
        .with_context(|| format!("can't find the host {}: check its name", address.host()))
        .map_err(Failure::unreachable)?;
    choose(found.collect(), listen)
        .ok_or_else(|| Failure::unreachable(anyhow!("{} has no address", address.host())))
}

/// The first that is of the kind that clients use, if there is one: `localhost` is often both, and `::1` first, where a hub does not listen.
fn choose(found: Vec<SocketAddr>, listen: SocketAddr) -> Option<SocketAddr> {
    let alike = found.iter().find(|address| address.is_ipv4() == listen.is_ipv4());
    alike.or(found.first()).copied()
}

fn listen_failed(error: BindError) -> Failure {
    let in_use =
        matches!(&error, BindError::Listen { source, .. } if source.kind() == std::io::ErrorKind::AddrInUse);
    let hint =
        if in_use { "stop who listens there, or choose another port" } else { "choose another address" };
    Failure::unreachable(anyhow!("{error}: {hint} with --listen"))
}

async fn stall(handle: Handle, after: Duration, time: Option<Duration>) {
    tokio::time::sleep(after).await;
    handle.stall(true);
    tell::note("netem: stalled");
    if let Some(time) = time {
        tokio::time::sleep(time).await;
        handle.stall(false);
        tell::note("netem: goes on");
    }
}

async fn cut(handle: Handle, after: Duration) {
    tokio::time::sleep(after).await;
    handle.cut();
    tell::note("netem: cut");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_of_two_addresses_is_met_where_clients_are() {
        let [four, six, any]: [SocketAddr; 3] =
            ["127.0.0.1:6990", "[::1]:6990", "0.0.0.0:7000"].map(|text| text.parse().expect("an address"));
        assert_eq!(choose(vec![six, four], any), Some(four));
        assert_eq!(choose(vec![four, six], six), Some(six));
        assert_eq!(choose(vec![six], any), Some(six));
        assert_eq!(choose(Vec::new(), any), None);
    }
}
