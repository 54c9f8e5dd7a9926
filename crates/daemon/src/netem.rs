//! `nyx netem`: a bad network on this machine.

use std::io::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use nyx_core::{Bitrate, ByteSize};
use nyx_netem::proxy::BindError;
use nyx_netem::{Counters, Flow, Handle, Impairment, Proxy};
use nyx_transport::Address;
use tokio::task::JoinSet;

use crate::exit::{Failure, Outcome};
use crate::serve::{Signals, block_on};
use crate::tell;

/// Stand between a client and a server as a slow, far or broken network.
///
/// Every connection has its own link in each direction. What TCP does about loss looks like delay to those who use it, so
/// there is no loss to set: use jitter and stalls.
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
    /// Stop all bytes this long after the start
    #[arg(long, value_name = "TIME")]
    stall_after: Option<humantime::Duration>,
    /// Let them go on after this [default: never]
    #[arg(long, value_name = "TIME", requires = "stall_after")]
    stall_for: Option<humantime::Duration>,
    /// Break all connections this long after the start; new ones may come
    #[arg(long, value_name = "TIME")]
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
  nyx netem --listen 127.0.0.1:7002 --stall-after 5s --stall-for 2s";

pub(crate) fn run(args: Args) -> Outcome {
    block_on(args.run())
}

impl Args {
    async fn run(self) -> Outcome {
        let mut signals = Signals::new()?;
        let upstream = resolve(&self.upstream).await?;
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
        if self.progress {
            background.spawn(report(handle.clone()));
        }
        let counters = tokio::select! {
            never = proxy.run() => match never {},
            // Read before the proxy is dropped, and its connections with it.
            counters = async { signals.wait().await; handle.counters() } => counters,
        };
        drop(background);
        tell::end_progress();
        if self.json {
            writeln!(std::io::stdout(), "{}", json(&counters))?;
        } else {
            tell::note(format_args!("netem: {}", describe(&counters)));
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
        add("stalls after", self.stall_after.map(|time| time.to_string()));
        add("for", self.stall_for.map(|time| time.to_string()));
        add("cuts after", self.cut_after.map(|time| time.to_string()));
        words
    }
}

async fn resolve(address: &Address) -> Outcome<SocketAddr> {
    let mut found = tokio::net::lookup_host((address.host(), address.port()))
        .await
        .with_context(|| format!("can't find the host {}: check its name", address.host()))
        .map_err(Failure::unreachable)?;
    found.next().ok_or_else(|| Failure::unreachable(anyhow!("{} has no address", address.host())))
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

async fn report(handle: Handle) {
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    ticks.tick().await;
    let mut before = handle.counters();
    loop {
        ticks.tick().await;
        let now = handle.counters();
        let rate = |now: Flow, before: Flow| tell::bytes((now.delivered - before.delivered) as f64);
        let down = rate(now.to_client, before.to_client);
        let up = rate(now.to_upstream, before.to_upstream);
        tell::progress(format_args!("netem: {}, now {down}/s down, {up}/s up", describe(&now)));
        before = now;
    }
}

fn describe(counters: &Counters) -> String {
    let Counters { accepted, open, unreachable, cut, reset, to_client, to_upstream, .. } = counters;
    let bytes = |flow: &Flow| tell::bytes(flow.delivered as f64);
    let mut words = format!(
        "{accepted} connections, {open} open, {} to clients, {} to the server",
        bytes(to_client),
        bytes(to_upstream)
    );
    for (count, what) in [(unreachable, "not answered by the server"), (cut, "cut"), (reset, "reset")] {
        if *count > 0 {
            words.push_str(&format!(", {count} {what}"));
        }
    }
    words
}

fn json(counters: &Counters) -> serde_json::Value {
    let flow = |flow: &Flow| serde_json::json!({ "received": flow.received, "delivered": flow.delivered });
    serde_json::json!({
        "accepted": counters.accepted,
        "open": counters.open,
        "over_limit": counters.over_limit,
        "unreachable": counters.unreachable,
        "cut": counters.cut,
        "reset": counters.reset,
        "to_upstream": flow(&counters.to_upstream),
        "to_client": flow(&counters.to_client),
    })
}
