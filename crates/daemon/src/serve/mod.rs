//! `nyx serve`: listeners, connections, and an orderly end.

pub(crate) mod access;
mod audit;
mod datagrams;
pub(crate) mod doorstep;
mod driver;
mod gate;
pub(crate) mod meters;
mod native;
mod secure;
mod signals;
mod stats;
mod training;

use std::io::{self, IsTerminal as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use anyhow::Context as _;
use nyx_core::clock::{Clock, Instant, Monotonic};
use nyx_hub::compression::Stopwatch;
use nyx_hub::{Hub, Transport};
use nyx_transport::tcp;
use nyx_transport::udp;
use nyx_transport::unsent::{self, Socket};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::config::{Config, Unsent};
use crate::exit::{Failure, Outcome};
use crate::forward::{self, Forwarder};
use crate::http;
use crate::tell;

pub(crate) use driver::drive;
pub(crate) use gate::OverQuota;
pub(crate) use secure::{Listener, Secure};
pub(crate) use signals::{Hangups, Signals};
pub(crate) use stats::STATISTICS;

use access::Access;
use audit::Audit;
use doorstep::Doorstep;
use gate::Gate;
use meters::Meters;

/// Run the hub.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Configuration file; `nyx config` prints one with all defaults
    #[arg(long, value_name = "FILE")]
    config: Option<std::path::PathBuf>,
    #[command(flatten)]
    listen: Listen,
}

/// Where to listen, when not as configured.
#[derive(clap::Args)]
pub(crate) struct Listen {
    /// Address of the native protocol [default: 127.0.0.1:6990]
    #[arg(long, value_name = "ADDR")]
    native: Option<SocketAddr>,
    /// Address of HTTP, WebSocket and the console [default: 127.0.0.1:6991]
    #[arg(long, value_name = "ADDR")]
    http: Option<SocketAddr>,
    /// Address of the native protocol in datagrams, for loopback and trusted networks [default: none]
    #[arg(long, value_name = "ADDR")]
    udp: Option<SocketAddr>,
    /// Listen beyond this machine although nobody is asked who they are, or tokens can be read on the way
    #[arg(long)]
    insecure: bool,
}

impl Listen {
    pub(crate) fn apply(&self, config: &mut Config) {
        config.listen.native = self.native.unwrap_or(config.listen.native);
        config.listen.http = self.http.unwrap_or(config.listen.http);
        config.listen.udp = self.udp.or(config.listen.udp);
        config.listen.insecure |= self.insecure;
    }
}

pub(crate) fn run(args: Args) -> Outcome {
    let mut config = Config::load(args.config.as_deref())?;
    args.listen.apply(&mut config);
    block_on(async {
        let server = Server::bind(config).await?;
        server.announce();
        let mut stop = Signals::new()?;
        server.run(stop.wait()).await;
        Ok(())
    })
}

/// Runs a command's future on a runtime of its own, with logs on stderr.
pub(crate) fn block_on(command: impl Future<Output = Outcome>) -> Outcome {
    let filter = tracing_subscriber::EnvFilter::try_from_env("NYX_LOG").unwrap_or_else(|_| "info".into());
    // Colours are for who looks on: in a file, or for a collector, their codes only hide what is said. (https://no-color.org)
    let is_coloured =
        io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|it| it.is_empty());
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    log.with_ansi(is_coloured).with_target(false).init();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("can't start")?;
    let outcome = runtime.block_on(command);
    // Reads of stdin that block must not keep the process.
    runtime.shutdown_background();
    outcome
}

/// What all connections share.
pub(crate) struct App {
    pub(crate) hub: Hub,
    pub(crate) clock: Monotonic,
    pub(crate) config: Config,
    pub(crate) gate: Gate,
    /// Who may come in; `None`: whoever reaches it.
    pub(crate) access: Option<Access>,
    /// Certificates; `None`: connections are not encrypted.
    pub(crate) secure: Option<Secure>,
    pub(crate) doorstep: Arc<Doorstep>,
    pub(crate) audit: Audit,
    pub(crate) started: Instant,
    pub(crate) started_ms: u64,
    /// Connections of HTTP: many of them are no sessions of the hub.
    pub(crate) http_connections: AtomicUsize,
    pub(crate) meters: Meters,
    /// Documents that are read over HTTP.
    pub(crate) documents: http::Documents,
    /// Becomes true when the server drains.
    pub(crate) stopping: watch::Receiver<bool>,
    /// When files are to be read again.
    pub(crate) hangups: Hangups,
}

impl App {
    pub(crate) fn now(&self) -> Instant {
        self.clock.now()
    }

    /// Whether a peer may connect now. If not, that is counted.
    fn admits(&self, peer: SocketAddr, transport: Transport) -> bool {
        let admitted = self.gate.admits(self.now(), peer.ip());
        if !admitted {
            self.meters.link(transport).refused.inc();
            self.audit.refuse(peer.ip(), "", "connects too often (limits.connections_per_peer)");
        }
        admitted
    }

    /// Sets a connection up, with a bound on what the kernel may hold unsent.
    pub(crate) fn set_up(&self, stream: TcpStream) -> io::Result<Socket> {
        let mut options = tcp::Options::default();
        let fixed = match self.config.delivery.unsent_bytes.0 {
            Unsent::Auto => {
                options.unsent_bytes = None;
                tcp::apply(&stream, &options)?;
                return Socket::adaptive(stream, unsent::Config::default(), self.clock.clone());
            }
            Unsent::Fixed(size) => Some(u32::try_from(size.bytes()).unwrap_or(u32::MAX)),
            Unsent::Off => None,
        };
        options.unsent_bytes = fixed;
        tcp::apply(&stream, &options)?;
        Ok(Socket::fixed(stream, fixed, self.clock.clone()))
    }

    /// Resolves when the server drains.
    pub(crate) async fn stopped(&self) {
        let mut stopping = self.stopping.clone();
        // An error means that the server is gone altogether.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    }
}

/// A hub that listens.
pub(crate) struct Server {
    pub(crate) app: Arc<App>,
    native: TcpListener,
    http: TcpListener,
    udp: Option<(udp::Socket, [u8; 32])>,
    stop: watch::Sender<bool>,
    hangups: watch::Sender<()>,
    forwarders: Vec<Forwarder>,
}

/// How long connections may take to end after a signal.
const GRACE: Duration = Duration::from_secs(5);

impl Server {
    /// Listens, without accepting anybody yet.
    pub(crate) async fn bind(config: Config) -> Outcome<Self> {
        config.check_listen()?;
        let native = tcp::listen(config.listen.native).map_err(Failure::unreachable)?;
        let http = tcp::listen(config.listen.http).map_err(Failure::unreachable)?;
        let udp = config.listen.udp.map(|addr| udp::Socket::bind(addr, &udp::Options::default()));
        let udp = udp.transpose().map_err(Failure::unreachable)?;
        let udp = udp.map(|socket| datagrams::secret().map(|secret| (socket, secret))).transpose()?;
        let clock = Monotonic::new();
        let mut hub = config.hub();
        hub.compression.stopwatch = Stopwatch::Clock(Arc::new(clock.clone()));
        let hub = Hub::new(hub);
        config.create_topics(&hub)?;
        let (stop, stopping) = watch::channel(false);
        let (hung_up, hangups) = Hangups::new();
        let started = clock.now();
        let gate = Gate::new(&config.limits, &clock)?;
        let access = Access::load(&config.auth)?;
        let secure = Secure::load(&config.tls)?;
        let doorstep = Doorstep::new(config.limits.handshakes);
        let audit = Audit::new(&clock)?;
        let started_ms = nyx_core::clock::unix_micros() / 1000;
        let http_connections = AtomicUsize::new(0);
        let meters = Meters::new(&hub)?;
        let app = Arc::new(App {
            hub,
            clock,
            config,
            gate,
            access,
            secure,
            doorstep,
            audit,
            started,
            started_ms,
            http_connections,
            meters,
            documents: http::Documents::default(),
            stopping,
            hangups,
        });
        let forwarders = forward::start(&app)?;
        Ok(Self { app, native, http, udp, stop, hangups: hung_up, forwarders })
    }

    pub(crate) fn native_addr(&self) -> io::Result<SocketAddr> {
        self.native.local_addr()
    }

    pub(crate) fn http_addr(&self) -> io::Result<SocketAddr> {
        self.http.local_addr()
    }

    /// Says where it listens, for people and for those who wait for it to be ready.
    fn announce(&self) {
        if let (Ok(native), Ok(http)) = (self.native_addr(), self.http_addr()) {
            let s = if self.app.secure.is_some() { "s" } else { "" };
            let udp = self.udp.as_ref().and_then(|(socket, _)| socket.local_addr().ok());
            let udp = udp.map(|udp| format!(" and udp://{udp}")).unwrap_or_default();
            tell::note(format_args!("listening on nyx{s}://{native} and http{s}://{http}{udp}"));
        }
        if self.app.config.listen.insecure {
            match (&self.app.access, &self.app.secure) {
                (None, _) => {
                    tracing::warn!("--insecure: whoever reaches these addresses may publish and subscribe");
                }
                (Some(_), None) => {
                    tracing::warn!("--insecure: whoever is on the way to these addresses can read tokens");
                }
                (Some(_), Some(_)) => {}
            }
            if self.app.secure.is_some()
                && self.app.config.listen.udp.is_some_and(|addr| !addr.ip().is_loopback())
            {
                tracing::warn!("--insecure: whoever is on the way can read datagrams, tokens in them too");
            }
        }
    }

    /// Serves until `stop` resolves, then lets connections end.
    pub(crate) async fn run(mut self, stop: impl Future<Output = ()>) {
        let mut connections = JoinSet::new();
        for forwarder in std::mem::take(&mut self.forwarders) {
            connections.spawn(forwarder.run());
        }
        if let Some((socket, secret)) = self.udp.take() {
            connections.spawn(datagrams::serve(self.app.clone(), socket, secret));
        }
        let mut helpers = JoinSet::new();
        helpers.spawn(stats::publish(self.app.clone()));
        helpers.spawn(training::run(self.app.hub.clone()));
        helpers.spawn(access::follow(self.app.clone()));
        helpers.spawn(secure::reload_on_hangup(self.app.clone()));
        helpers.spawn(signals::tell_hangups(self.hangups.clone()));
        tokio::pin!(stop);
        // Who comes enters the doorstep here, and not in its task: tasks begin in any order, and the oldest is to be who came first.
        loop {
            tokio::select! {
                () = &mut stop => break,
                accepted = self.native.accept() => match accepted {
                    Ok((stream, peer)) if self.app.admits(peer, Transport::Tcp) => {
                        let visit = self.app.doorstep.enter(peer.ip());
                        connections.spawn(native::serve(self.app.clone(), stream, peer, visit));
                    }
                    Ok(_) => {}
                    Err(error) => accept_failed(&error).await,
                },
                accepted = self.http.accept() => match accepted {
                    Ok((stream, peer)) if self.app.admits(peer, Transport::Http) => {
                        let visit = self.app.doorstep.enter(peer.ip());
                        connections.spawn(http::serve(self.app.clone(), stream, peer, visit));
                    }
                    Ok(_) => {}
                    Err(error) => accept_failed(&error).await,
                },
                Some(_) = connections.join_next() => {}
            }
        }
        let Self { app, native, http, stop, .. } = self;
        drop((native, http));
        tracing::info!(connections = connections.len(), "stopping");
        app.hub.drain();
        let _ = stop.send(true);
        let all = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE, all).await.is_err() {
            tracing::warn!(connections = connections.len(), "closed what did not end in time");
        }
        helpers.abort_all();
    }
}

/// Descriptors or memory ran out: what is connected goes on, and others are accepted when some has ended.
async fn accept_failed(error: &io::Error) {
    tracing::warn!(%error, "can't accept a connection");
    tokio::time::sleep(Duration::from_millis(100)).await;
}
