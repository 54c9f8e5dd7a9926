//! The TCP relay: accepts connections and starts a relay for each.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use nyx_core::ByteSize;
use nyx_core::clock::Monotonic;
#[cfg(unix)]
use socket2::SockRef;
use thiserror::Error;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::alarm::Alarm;
use crate::counters::{Tally, add};
use crate::handle::{Control, Handle};
use crate::link::Impairment;
use crate::relay::{self, Surroundings};

/// How a [`Proxy`] treats its connections.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// What each direction of each connection goes through, at first; a [`Handle`] changes it.
    ///
    /// Each connection has a link of its own in each direction: a rate of 500 kB/s is 500 kB/s for each, and no
    /// connection waits for another. The seed is that of the proxy; each link's is drawn from it, the number of the
    /// connection and the direction.
    pub impairment: Impairment,
    /// `SO_RCVBUF` and `SO_SNDBUF` of both sockets of a connection. Default 16 KiB, of which Linux makes twice that
    /// in memory and about that in data. It is what the kernel hides of the queue: less costs throughput without a
    /// rate, more hides more.
    pub socket_buffer: ByteSize,
    /// Connections at once; more are reset on arrival. Default 4096, each up to 64 KiB and what its links hold.
    pub connections_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            impairment: Impairment::default(),
            socket_buffer: ByteSize::new(16 * 1024),
            connections_max: 4096,
        }
    }
}

impl From<Impairment> for Config {
    fn from(impairment: Impairment) -> Self {
        Self { impairment, ..Self::default() }
    }
}

/// A TCP proxy with an impaired link between its clients and one upstream.
///
/// Half-close, reset and refusal pass through: when one side ends its stream the other sees the end after the bytes,
/// when one side resets the other is reset, and when upstream refuses the client is reset. The proxy answers a client's
/// handshake itself, so connecting takes no delay.
///
/// See the crate's README for an example.
#[derive(Debug)]
pub struct Proxy {
    listener: TcpListener,
    connections_max: usize,
    handle: Handle,
    surroundings: Arc<Surroundings>,
}

impl Proxy {
    /// Listens on `listen` (port 0 for any) for connections to relay to `upstream`. They wait until
    /// [`run`](Self::run).
    ///
    /// # Errors
    ///
    /// [`BindError`].
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime with I/O enabled.
    pub fn bind(listen: SocketAddr, upstream: SocketAddr, config: Config) -> Result<Self, BindError> {
        let Config { impairment, socket_buffer, connections_max } = config;
        let failed = |source| BindError::Listen { listen, source };
        let listener = listen_on(listen, socket_buffer).map_err(failed)?;
        let local_addr = listener.local_addr().map_err(failed)?;
        let alarm = Alarm::start(Monotonic::new()).map_err(BindError::Thread)?;
        let (control, _) = watch::channel(Control { impairment, stalled: false, down: false, cuts: 0 });
        let tally = Arc::new(Tally::default());
        let handle = Handle { control, tally: Arc::clone(&tally), local_addr };
        let surroundings = Arc::new(Surroundings { upstream, socket_buffer, alarm, tally });
        Ok(Self { listener, connections_max, handle, surroundings })
    }

    /// Where it listens.
    pub const fn local_addr(&self) -> SocketAddr {
        self.handle.local_addr()
    }

    /// A handle to change it and to read its counters.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Accepts and relays until dropped.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the listener and all connections; what they held is lost.
    pub async fn run(self) -> Infallible {
        let mut relays = JoinSet::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((client, _)) => self.admit(&mut relays, client),
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection, trying again");
                        tokio::time::sleep(ACCEPT_RETRY).await;
                    }
                },
                Some(_) = relays.join_next() => {}
            }
        }
    }

    fn admit(&self, relays: &mut JoinSet<()>, client: TcpStream) {
        let tally = &self.surroundings.tally;
        add(&tally.accepted, 1);
        let down = self.handle.control.borrow().down;
        if down || relays.len() >= self.connections_max {
            add(if down { &tally.cut } else { &tally.over_limit }, 1);
            add(&tally.closed, 1);
            relay::reset(client);
            return;
        }
        let number = self.handle.counters().accepted;
        relays.spawn(relay::run(
            client,
            number,
            self.handle.control.subscribe(),
            Arc::clone(&self.surroundings),
        ));
    }
}

/// Why a [`Proxy`] could not be set up.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BindError {
    /// The address is taken, not of this machine, or not permitted. Choose another, or port 0.
    #[error("cannot listen on {listen}: {source}")]
    Listen {
        /// The address asked for.
        listen: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The system does not let the process start the timer thread. Raise its limit of threads.
    #[error("cannot start the timer thread: {0}")]
    Thread(#[source] io::Error),
}

/// A TCP socket whose buffers are small before it is used: afterwards the window would already have been offered.
pub(crate) fn small_socket(addr: SocketAddr, buffer: ByteSize) -> io::Result<TcpSocket> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    let bytes = u32::try_from(buffer.bytes()).unwrap_or(u32::MAX).min(SOCKET_BUFFER_MAX);
    socket.set_recv_buffer_size(bytes)?;
    socket.set_send_buffer_size(bytes)?;
    #[cfg(unix)]
    SockRef::from(&socket).set_tcp_mss(MAXIMUM_SEGMENT_SIZE)?;
    Ok(socket)
}

fn listen_on(addr: SocketAddr, buffer: ByteSize) -> io::Result<TcpListener> {
    let socket = small_socket(addr, buffer)?;
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

/// What Ethernet has. Loopback's own 64 KiB is more than the small buffers hold, and TCP then moves in fits and starts.
#[cfg(unix)]
const MAXIMUM_SEGMENT_SIZE: u32 = 1460;

/// The system takes a signed number.
const SOCKET_BUFFER_MAX: u32 = 1 << 30;

/// Clients that may wait to be accepted; the system's usual maximum.
const BACKLOG: u32 = 1024;

/// Out of descriptors, accepting fails until a connection closes; without a pause it would fail in a busy loop.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);
