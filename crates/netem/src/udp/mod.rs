//! The UDP relay: a path in each direction for each client.

mod relay;
mod unread;

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use nyx_core::clock::Monotonic;
use parking_lot::Mutex;
use socket2::SockRef;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::alarm::Alarm;
use crate::path::{Conditions, Counters, Path};
use crate::proxy::BindError;
use relay::Relay;
use unread::Unread;

/// How a [`Proxy`] treats its clients.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// What each direction of each client goes through, at first; a [`Handle`] changes it. The seed is that of the proxy; each path's is
    /// drawn from it, the number of the client and the direction.
    pub conditions: Conditions,
    /// Clients at once, told apart by their addresses; datagrams of others are dropped and counted. Default 1024, each with a socket.
    pub clients_max: usize,
    /// How long a client is silent, in both directions, until it is forgotten. Default 60 s.
    pub idle: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { conditions: Conditions::default(), clients_max: 1024, idle: Duration::from_secs(60) }
    }
}

impl From<Conditions> for Config {
    fn from(conditions: Conditions) -> Self {
        Self { conditions, ..Self::default() }
    }
}

/// A UDP proxy with an impaired path between its clients and one upstream.
///
/// Each client has a socket of its own towards upstream, as behind a router that translates addresses.
#[derive(Debug)]
pub struct Proxy {
    socket: Arc<UdpSocket>,
    upstream: SocketAddr,
    config: Config,
    handle: Handle,
    alarm: Arc<Alarm>,
}

/// Changes a running [`Proxy`] and reads its counters. Clones control the same proxy.
#[derive(Clone, Debug)]
pub struct Handle {
    control: watch::Sender<Control>,
    tally: Arc<Tally>,
    local_addr: SocketAddr,
}

/// What every client follows.
#[derive(Clone, Debug)]
struct Control {
    conditions: Conditions,
    cut: bool,
}

/// Totals of a [`Proxy`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Totals {
    /// Clients that came, and were let in.
    pub clients: u64,
    /// Datagrams of clients for whom there was no room or no socket, or which came faster than their paths took them.
    pub refused: u64,
    /// Datagrams, in both directions, that the system dropped because they came faster than the proxy read them. Linux tells of them;
    /// elsewhere this is 0.
    pub unread: u64,
    /// Datagrams, in both directions, that crossed their path and that the system would not send: there is no way to their receiver.
    pub unsendable: u64,
    /// From clients to upstream.
    pub to_upstream: Counters,
    /// From upstream to clients.
    pub to_client: Counters,
}

#[derive(Debug, Default)]
struct Tally {
    clients: AtomicU64,
    refused: AtomicU64,
    unread: Unread,
    unsendable: AtomicU64,
    /// To upstream, and to clients.
    flows: Mutex<[Counters; 2]>,
}

impl Handle {
    /// Where the proxy listens.
    pub const fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Changes a part of what the paths do, in one step.
    pub fn update(&self, change: impl FnOnce(&mut Conditions)) {
        self.control.send_modify(|control| change(&mut control.conditions));
    }

    /// Cuts all paths, so that everything on them and everything that comes is lost, or lets them carry again.
    pub fn cut(&self, cut: bool) {
        self.control.send_modify(|control| control.cut = cut);
    }

    /// Totals since the proxy was bound. What is on its way is in `received` only. On Linux this reads a file, which takes some 10 µs and
    /// more where the system has many sockets.
    pub fn totals(&self) -> Totals {
        let [to_upstream, to_client] = *self.tally.flows.lock();
        Totals {
            clients: self.tally.clients.load(Ordering::Relaxed),
            refused: self.tally.refused.load(Ordering::Relaxed),
            unread: self.tally.unread.total(),
            unsendable: self.tally.unsendable.load(Ordering::Relaxed),
            to_upstream,
            to_client,
        }
    }
}

impl Proxy {
    /// Listens on `listen` (port 0 for any) for datagrams to relay to `upstream`.
    ///
    /// # Errors
    ///
    /// [`BindError`].
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime with I/O enabled.
    pub fn bind(listen: SocketAddr, upstream: SocketAddr, config: Config) -> Result<Self, BindError> {
        let failed = |source| BindError::Listen { listen, source };
        let socket = bind(listen).map_err(failed)?;
        let local_addr = socket.local_addr().map_err(failed)?;
        let alarm = Arc::new(Alarm::start(Monotonic::new()).map_err(BindError::Thread)?);
        let (control, _) = watch::channel(Control { conditions: config.conditions.clone(), cut: false });
        let handle = Handle { control, tally: Arc::<Tally>::default(), local_addr };
        handle.tally.unread.open(&socket);
        Ok(Self { socket: Arc::new(socket), upstream, config, handle, alarm })
    }

    /// Where it listens.
    pub const fn local_addr(&self) -> SocketAddr {
        self.handle.local_addr
    }

    /// A handle to change it and to read its counters.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Relays until dropped.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes all sockets; what was on the paths is lost.
    pub async fn run(self) -> Infallible {
        let mut clients = Clients::default();
        let mut buffer = vec![0; DATAGRAM_MAX];
        loop {
            tokio::select! {
                received = self.socket.recv_from(&mut buffer) => {
                    let more = drain(&self.socket, received, &mut buffer, |datagram, client| {
                        self.dispatch(&mut clients, client, datagram);
                    });
                    // The rest waits in the system's buffer, which is larger than an inbox.
                    if more {
                        tokio::task::yield_now().await;
                    }
                }
                Some(ended) = clients.tasks.join_next() => if let Ok(client) = ended {
                    clients.inboxes.remove(&client);
                },
            }
        }
    }

    fn dispatch(&self, clients: &mut Clients, client: SocketAddr, datagram: Bytes) {
        if !clients.inboxes.contains_key(&client) && clients.inboxes.len() < self.config.clients_max {
            self.admit(clients, client);
        }
        let taken = clients.inboxes.get(&client).is_some_and(|inbox| inbox.try_send(datagram).is_ok());
        if !taken {
            self.handle.tally.refused.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn admit(&self, clients: &mut Clients, client: SocketAddr) {
        let (sender, inbox) = mpsc::channel(INBOX);
        let admitted = &self.handle.tally.clients;
        match self.relay(client, admitted.load(Ordering::Relaxed), inbox) {
            Ok(relay) => {
                admitted.fetch_add(1, Ordering::Relaxed);
                clients.tasks.spawn(async move {
                    relay.run().await;
                    client
                });
                clients.inboxes.insert(client, sender);
                clients.lacks_sockets = false;
            }
            // Once, and not for each datagram of each client: those are counted.
            Err(error) if !clients.lacks_sockets => {
                clients.lacks_sockets = true;
                tracing::warn!(%error, "cannot open a socket for another client");
            }
            Err(_) => {}
        }
    }

    fn relay(&self, client: SocketAddr, number: u64, inbox: mpsc::Receiver<Bytes>) -> io::Result<Relay> {
        let unspecified: SocketAddr =
            if self.upstream.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
        let control = self.handle.control.subscribe();
        let path = |direction| {
            let mut conditions = control.borrow().conditions.clone();
            conditions.seed =
                fastrand::Rng::with_seed(self.config.conditions.seed).u64(..) ^ (number * 2 + direction);
            Path::new(conditions)
        };
        Ok(Relay {
            client,
            to_client: Arc::clone(&self.socket),
            upstream: self.upstream,
            to_upstream: bind(unspecified)?,
            inbox,
            paths: [path(0), path(1)],
            unsendable: [0; 2],
            told: [Counters::default(); 2],
            control,
            alarm: Arc::clone(&self.alarm),
            tally: Arc::clone(&self.handle.tally),
            idle: self.config.idle,
        })
    }
}

/// Those who are let in.
#[derive(Default)]
struct Clients {
    inboxes: HashMap<SocketAddr, mpsc::Sender<Bytes>>,
    tasks: JoinSet<SocketAddr>,
    /// Whether the last that came was not let in for want of a socket.
    lacks_sockets: bool,
}

/// Hands on what was received, and what else waits, up to a [`TURN`]. Says whether there may be more.
fn drain(
    socket: &UdpSocket,
    mut received: io::Result<(usize, SocketAddr)>,
    buffer: &mut [u8],
    mut take: impl FnMut(Bytes, SocketAddr),
) -> bool {
    for left in (0..TURN).rev() {
        match received {
            Ok((length, from)) => take(Bytes::copy_from_slice(&buffer[..length]), from),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
            // Some systems tell here that an earlier datagram did not arrive.
            Err(error) => tracing::debug!(%error, "cannot receive"),
        }
        if left == 0 {
            break;
        }
        received = socket.try_recv_from(buffer);
    }
    true
}

fn bind(addr: SocketAddr) -> io::Result<UdpSocket> {
    let socket = std::net::UdpSocket::bind(addr)?;
    socket.set_nonblocking(true)?;
    // What a burst finds no room in is lost, and on no path. The system may give less.
    let _ = SockRef::from(&socket).set_recv_buffer_size(SYSTEM_BUFFER);
    UdpSocket::from_std(socket)
}

/// The largest that there is.
const DATAGRAM_MAX: usize = 65_535;

/// Datagrams that are taken in before others get a turn: as many as one receive call of others takes.
const TURN: usize = 64;

/// Datagrams of a client that wait for its task: 16 turns, and 64 MiB of the largest, as much as a path holds.
const INBOX: usize = 1024;

/// What the system is asked to keep unread, in bytes: some 3,000 full packets of Ethernet. Linux gives `net.core.rmem_max` at most.
const SYSTEM_BUFFER: usize = 4 << 20;
