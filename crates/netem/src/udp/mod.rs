//! The UDP relay: a path in each direction for each client.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use nyx_core::Instant;
use nyx_core::clock::Monotonic;
use parking_lot::Mutex;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::alarm::Alarm;
use crate::path::{Conditions, Counters, Path};
use crate::proxy::BindError;

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
    /// Clients that came.
    pub clients: u64,
    /// Datagrams of clients for which there was no room, or which came faster than they were taken in.
    pub refused: u64,
    /// From clients to upstream.
    pub to_upstream: Counters,
    /// From upstream to clients.
    pub to_client: Counters,
}

#[derive(Debug, Default)]
struct Tally {
    clients: AtomicU64,
    refused: AtomicU64,
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

    /// Totals since the proxy was bound. What is on its way is in `received` only.
    pub fn totals(&self) -> Totals {
        let [to_upstream, to_client] = *self.tally.flows.lock();
        Totals {
            clients: self.tally.clients.load(Ordering::Relaxed),
            refused: self.tally.refused.load(Ordering::Relaxed),
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
        let handle = Handle { control, tally: Arc::default(), local_addr };
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
        let mut clients: HashMap<SocketAddr, mpsc::Sender<Bytes>> = HashMap::new();
        let mut tasks = JoinSet::new();
        let mut buffer = vec![0; DATAGRAM_MAX];
        loop {
            tokio::select! {
                received = self.socket.recv_from(&mut buffer) => match received {
                    Ok((length, client)) => {
                        let datagram = Bytes::copy_from_slice(&buffer[..length]);
                        self.dispatch(&mut clients, &mut tasks, client, datagram);
                    }
                    // Some systems tell here that an earlier datagram did not arrive.
                    Err(error) => tracing::debug!(%error, "cannot receive"),
                },
                Some(ended) = tasks.join_next() => if let Ok(client) = ended {
                    clients.remove(&client);
                },
            }
        }
    }

    fn dispatch(
        &self,
        clients: &mut HashMap<SocketAddr, mpsc::Sender<Bytes>>,
        tasks: &mut JoinSet<SocketAddr>,
        client: SocketAddr,
        datagram: Bytes,
    ) {
        let tally = &self.handle.tally;
        if !clients.contains_key(&client) && clients.len() < self.config.clients_max {
            let number = tally.clients.fetch_add(1, Ordering::Relaxed);
            let (sender, inbox) = mpsc::channel(INBOX);
            match self.relay(client, number, inbox) {
                Ok(relay) => {
                    tasks.spawn(async move {
                        relay.run().await;
                        client
                    });
                    clients.insert(client, sender);
                }
                Err(error) => tracing::warn!(%error, "cannot open a socket for another client"),
            }
        }
        let taken = clients.get(&client).is_some_and(|inbox| inbox.try_send(datagram).is_ok());
        if !taken {
            tally.refused.fetch_add(1, Ordering::Relaxed);
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
            told: [Counters::default(); 2],
            control,
            alarm: Arc::clone(&self.alarm),
            tally: Arc::clone(&self.handle.tally),
            idle: self.config.idle,
        })
    }
}

/// One client.
struct Relay {
    client: SocketAddr,
    to_client: Arc<UdpSocket>,
    upstream: SocketAddr,
    to_upstream: UdpSocket,
    inbox: mpsc::Receiver<Bytes>,
    /// To upstream, and to the client.
    paths: [Path; 2],
    /// What of the paths' counters is in the tally.
    told: [Counters; 2],
    control: watch::Receiver<Control>,
    alarm: Arc<Alarm>,
    tally: Arc<Tally>,
    idle: Duration,
}

impl Relay {
    /// Runs until the client has been silent for long enough.
    async fn run(mut self) {
        self.control.mark_changed();
        let mut buffer = vec![0; DATAGRAM_MAX];
        let mut last = self.alarm.now();
        loop {
            let now = self.alarm.now();
            self.follow_control(now);
            self.deliver(now).await;
            self.tell();
            let forget = last + self.idle;
            let on_its_way = self.paths.iter().filter_map(Path::poll_timeout).min();
            let Some(wake) = wake(now, on_its_way, forget) else { return };
            tokio::select! {
                Ok(()) = self.control.changed() => self.control.mark_changed(),
                datagram = self.inbox.recv() => match datagram {
                    Some(datagram) => {
                        last = self.alarm.now();
                        self.paths[0].handle_input(last, datagram);
                    }
                    None => return,
                },
                received = self.to_upstream.recv_from(&mut buffer) => match received {
                    // A router that translates lets in only what comes from where the client sends to.
                    Ok((length, from)) if from == self.upstream => {
                        last = self.alarm.now();
                        self.paths[1].handle_input(last, Bytes::copy_from_slice(&buffer[..length]));
                    }
                    Ok(_) => {}
                    Err(error) => tracing::debug!(%error, "cannot receive"),
                },
                () = self.alarm.sleep_until(wake) => {}
            }
        }
    }

    fn follow_control(&mut self, now: Instant) {
        if self.control.has_changed().unwrap_or(false) {
            let Control { conditions, cut } = self.control.borrow_and_update().clone();
            for path in &mut self.paths {
                path.set(now, conditions.clone());
                path.cut(now, cut);
            }
        }
    }

    async fn deliver(&mut self, now: Instant) {
        while let Some(datagram) = self.paths[0].poll_output(now) {
            if let Err(error) = self.to_upstream.send_to(&datagram, self.upstream).await {
                tracing::debug!(%error, "cannot send to the server");
            }
        }
        while let Some(datagram) = self.paths[1].poll_output(now) {
            if let Err(error) = self.to_client.send_to(&datagram, self.client).await {
                tracing::debug!(%error, "cannot send to the client");
            }
        }
    }

    fn tell(&mut self) {
        let mut flows = self.tally.flows.lock();
        for ((flow, path), told) in flows.iter_mut().zip(&self.paths).zip(&mut self.told) {
            let counters = path.counters();
            flow.add(&counters, told);
            *told = counters;
        }
    }
}

/// When there is something to do though nothing comes. `None`: the client is to be forgotten, which it is not while something is on its way.
fn wake(now: Instant, on_its_way: Option<Instant>, forget: Instant) -> Option<Instant> {
    on_its_way.or_else(|| (now < forget).then_some(forget))
}

fn bind(addr: SocketAddr) -> io::Result<UdpSocket> {
    let socket = std::net::UdpSocket::bind(addr)?;
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket)
}

/// The largest that there is.
const DATAGRAM_MAX: usize = 65_535;

/// Datagrams of a client that wait for its task.
const INBOX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_silent_is_forgotten_once_nothing_is_on_its_way_and_costs_nothing_until_then() {
        let at = |seconds| Instant::ZERO + Duration::from_secs(seconds);
        assert_eq!(wake(at(1), None, at(10)), Some(at(10)));
        assert_eq!(wake(at(1), Some(at(3)), at(10)), Some(at(3)));
        // Whether it has been silent for long enough or will have been: there is nothing to do before the datagram is due.
        for now in [1, 10, 11] {
            assert_eq!(wake(at(now), Some(at(12)), at(10)), Some(at(12)));
        }
        assert_eq!(wake(at(10), None, at(10)), None);
    }
}
