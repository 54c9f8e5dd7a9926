//! `nyx demo`: producers, and a hub for them in the same process.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use anyhow::Context as _;
use nyx_client::{Address, Client};

use super::producers::{self, Producer};
use crate::config::Config;
use crate::connect::{self, Access};
use crate::exit::Outcome;
use crate::serve::{Listen, Server, Signals, block_on};
use crate::tell;

/// Run the hub with three producers of its own, to look at.
///
/// A game world of 200 entities at 30 Hz and what happens in it, a test card with a clock at 30 fps, and a melody. They
/// publish as everybody does: through connections to the hub's native port. Where one is slow, the test card is encoded
/// less well.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Configuration file; `nyx config` prints one with all defaults
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Publish to the hub there instead of running one
    #[arg(long, value_name = "ADDRESS", conflicts_with_all = ["config", "native", "http", "insecure"])]
    connect: Option<Address>,
    #[command(flatten)]
    listen: Listen,
    #[command(flatten)]
    access: Access,
}

pub(crate) fn run(args: Args) -> Outcome {
    if let Some(hub) = args.connect {
        return block_on(publish(hub, args.access));
    }
    let mut config = Config::load(args.config.as_deref())?;
    args.listen.apply(&mut config);
    block_on(demonstrate(config, args.access))
}

/// Runs the producers alone.
async fn publish(hub: Address, access: Access) -> Outcome {
    let mut signals = Signals::new()?;
    let clients = produce(&hub, &access).await?;
    tell::show(format_args!("nyx: publishing demo/card, game/world, game/events and demo/melody to {hub}\n"));
    signals.wait().await;
    close(clients).await;
    Ok(())
}

async fn demonstrate(config: Config, access: Access) -> Outcome {
    let mut signals = Signals::new()?;
    let is_tls = config.tls.is_on();
    let server = Server::bind(config).await?;
    let (native, http) = (reachable(server.native_addr()?), reachable(server.http_addr()?));
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(server.run(async {
        // Whoever holds the other end has gone: that is a reason to stop, too.
        let _ = stopped.await;
    }));
    let outcome = async {
        let hub = Address::from(native);
        let hub = if is_tls { hub.with_tls() } else { hub };
        let clients = produce(&hub, &access).await?;
        tell::show(introduction(native, http, is_tls));
        signals.wait().await;
        close(clients).await;
        Ok(())
    }
    .await;
    drop(stop);
    serving.await.context("the hub failed")?;
    outcome
}

/// Starts the producers. Each ends when its client is closed.
async fn produce(hub: &Address, access: &Access) -> Outcome<Vec<Client>> {
    let mut clients = Vec::new();
    for Producer { name, start } in producers::ALL {
        let client = connect::connect(hub.clone(), format!("demo {name}"), access).await?;
        start(client.clone()).await?;
        clients.push(client);
    }
    Ok(clients)
}

/// All of it goes away now: nothing has to arrive.
async fn close(clients: Vec<Client>) {
    for client in clients {
        let _ = client.close().await;
    }
}

/// Where to connect to what listens there: an unspecified address means this machine.
fn reachable(addr: SocketAddr) -> SocketAddr {
    let ip = match addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, addr.port())
}

fn introduction(native: SocketAddr, http: SocketAddr, is_tls: bool) -> String {
    let default = Address::default();
    let hub = Address::from(native);
    let (hub, s) = if is_tls { (hub.with_tls(), "s") } else { (hub, "") };
    let server = if hub == default { String::new() } else { format!(" --server {hub}") };
    let upstream = if hub == default { String::new() } else { format!(" --upstream {native}") };
    format!(
        "\
nyx: listening on nyx{s}://{native} and http{s}://{http}

  Open http{s}://{http}/ and look at demo/card, game/world and demo/melody.

  In a second terminal:
    nyx sub demo/card --frames shots --count 30{server}
    nyx sub game/events{server}
    nyx sub demo/melody --wav melody.wav --for 10s{server}
    nyx sub '**' --stats --quiet{server}

  A subscriber behind a slow network, and what it does not get:
    nyx netem --listen 127.0.0.1:7000 --rate 500kB/s{upstream} &
    nyx sub demo/card --stats --quiet --server nyx{s}://127.0.0.1:7000

  Ctrl-C ends it.
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_introduction_names_the_hub_where_it_is_not_the_default() {
        let http = SocketAddr::from(([127, 0, 0, 1], 6991));
        let usual = introduction(([127, 0, 0, 1], 6990).into(), http, false);
        assert!(!usual.contains("--upstream") && usual.matches("--server").count() == 1);
        let other = introduction(([127, 0, 0, 1], 7990).into(), http, false);
        assert!(
            other.contains("--upstream 127.0.0.1:7990")
                && other.contains("game/events --server nyx://127.0.0.1:7990")
        );
    }

    #[test]
    fn a_hub_that_listens_everywhere_is_reached_on_this_machine() {
        assert_eq!(reachable(([0, 0, 0, 0], 5).into()), ([127, 0, 0, 1], 5).into());
        assert_eq!(reachable("[::]:5".parse().unwrap()), "[::1]:5".parse().unwrap());
        assert_eq!(reachable(([10, 0, 0, 1], 5).into()), ([10, 0, 0, 1], 5).into());
    }
}
