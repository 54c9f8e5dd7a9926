//! All peers of one socket, as a value.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};

use bytes::BytesMut;
use nyx_core::Instant;
use nyx_hub::Session;
use nyx_transport::udp::Batch;
use nyx_transport::udp::connection::{Config, Connection, Door, Entrance, Packet, Refused, Stats};
use parking_lot::Mutex;

use super::peer::{Peer, State};
use crate::serve::doorstep::Visit;

/// Who decides about peers that have shown that they are where they say, and hears of what happens.
pub(super) trait Reception {
    /// A session for a peer. `Err`: it is turned away, and told this.
    fn admit(&mut self, now: Instant, peer: SocketAddr) -> Result<(Session, Option<Visit>), BytesMut>;

    /// A datagram that belongs to no connection was answered.
    fn answered(&mut self);

    /// One came to nothing.
    fn refused(&mut self, peer: SocketAddr, reason: Refused);

    /// The connection of a peer has counted this since it was told last.
    fn counted(&mut self, stats: &Stats);

    /// A peer is gone.
    fn left(&mut self, peer: SocketAddr);
}

/// Datagrams of many peers in, datagrams out.
pub(super) struct Host<R> {
    pub(super) reception: R,
    door: Door,
    config: Config,
    peers: HashMap<SocketAddr, Guest>,
    timers: BTreeSet<(Instant, SocketAddr)>,
    /// Peers that are to be looked at.
    touched: VecDeque<SocketAddr>,
    ready: Arc<Ready>,
}

struct Guest {
    peer: Peer,
    bell: Arc<Bell>,
    visit: Option<Visit>,
    due: Option<Instant>,
    is_touched: bool,
    /// What of its connection's counts was told.
    told: Stats,
}

/// Peers for which the hub has something, and how to wake who drives them.
#[derive(Default)]
pub(super) struct Ready {
    peers: Mutex<Vec<SocketAddr>>,
    driver: Mutex<Option<Waker>>,
}

/// Rung by the hub for one peer.
struct Bell {
    peer: SocketAddr,
    ready: Arc<Ready>,
    has_rung: AtomicBool,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.has_rung.swap(true, Ordering::AcqRel) {
            return;
        }
        self.ready.peers.lock().push(self.peer);
        let driver = self.ready.driver.lock().take();
        if let Some(driver) = driver {
            driver.wake();
        }
    }
}

/// What a batch holds before it is sent: half of what it may, so that a turn's last datagrams always fit.
const BATCH_BYTES: usize = 512 << 10;
const BATCH_DATAGRAMS: usize = 2048;

impl<R: Reception> Host<R> {
    pub(super) fn new(reception: R, secret: [u8; 32], config: Config) -> Self {
        Self {
            reception,
            door: Door::new(secret),
            config,
            peers: HashMap::new(),
            timers: BTreeSet::new(),
            touched: VecDeque::new(),
            ready: Arc::default(),
        }
    }

    /// How many peers there are.
    pub(super) fn len(&self) -> usize {
        self.peers.len()
    }

    /// `waker` is woken when the hub has something for a peer.
    pub(super) fn register(&self, waker: &Waker) {
        *self.ready.driver.lock() = Some(waker.clone());
        if !self.ready.peers.lock().is_empty() {
            waker.wake_by_ref();
        }
    }

    /// When [`turn`](Self::turn) wants to be called.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Whether a turn would do something at once.
    pub(super) fn is_touched(&self) -> bool {
        !self.touched.is_empty()
    }

    /// Takes in a datagram that came from `peer` to our address `local`.
    pub(super) fn handle_datagram(
        &mut self,
        now: Instant,
        peer: SocketAddr,
        local: Option<IpAddr>,
        datagram: &[u8],
        batch: &mut Batch,
    ) {
        let id = match Packet::decode(datagram) {
            Ok(Packet::Data { id, .. } | Packet::Open { id, .. }) => Some(id),
            _ => None,
        };
        if let Some(guest) = self.peers.get_mut(&peer).filter(|guest| Some(guest.peer.connection.id()) == id)
        {
            // What can't be read is counted by the connection.
            let _ = guest.peer.connection.handle_datagram(now, datagram);
            guest.touch(peer, &mut self.touched);
            return;
        }
        match self.door.handle(now, peer, datagram) {
            Entrance::Answer(answer) => {
                self.reception.answered();
                // Where the batch is full it is as if it had been lost, and is asked for again.
                let _ = batch.push_marked(peer, local, None, &answer);
            }
            Entrance::Open { id } => self.open(now, peer, local, id, datagram, batch),
            Entrance::Refused(reason) => self.reception.refused(peer, reason),
        }
    }

    fn open(
        &mut self,
        now: Instant,
        peer: SocketAddr,
        local: Option<IpAddr>,
        id: u64,
        datagram: &[u8],
        batch: &mut Batch,
    ) {
        // Who begins anew from the same address has forgotten what was there.
        self.remove(peer);
        let (session, visit) = match self.reception.admit(now, peer) {
            Ok(admitted) => admitted,
            Err(why) => {
                let mut answer = Vec::new();
                self.door.turn_away(peer, id, &why, &mut answer);
                // Where the batch is full it asks again, as if it had been lost.
                let _ = batch.push_marked(peer, local, None, &answer);
                return;
            }
        };
        let bell = Arc::new(Bell { peer, ready: self.ready.clone(), has_rung: AtomicBool::new(false) });
        session.register(&Waker::from(bell.clone()));
        let mut peer_state = Peer::new(Connection::server(now, id, self.config), session, local);
        let _ = peer_state.connection.handle_datagram(now, datagram);
        let told = Stats::default();
        let mut guest = Guest { peer: peer_state, bell, visit, due: None, is_touched: false, told };
        guest.touch(peer, &mut self.touched);
        self.peers.insert(peer, guest);
    }

    /// Moves what there is to move, until `batch` holds enough.
    pub(super) fn turn(&mut self, now: Instant, batch: &mut Batch) {
        self.collect(now);
        while let Some(peer) = self.touched.pop_front() {
            if self.turn_of(now, peer, batch) == Progress::BatchIsFull {
                // The rest has its turn when this has gone.
                return;
            }
        }
    }

    fn collect(&mut self, now: Instant) {
        let rung = std::mem::take(&mut *self.ready.peers.lock());
        let mut touched = std::mem::take(&mut self.touched);
        for peer in rung {
            if let Some(guest) = self.peers.get_mut(&peer) {
                guest.bell.has_rung.store(false, Ordering::Release);
                guest.touch(peer, &mut touched);
            }
        }
        while let Some((at, peer)) = self.timers.first().copied()
            && at <= now
        {
            self.timers.pop_first();
            if let Some(guest) = self.peers.get_mut(&peer) {
                guest.due = None;
                guest.touch(peer, &mut touched);
            }
        }
        self.touched = touched;
    }

    fn turn_of(&mut self, now: Instant, address: SocketAddr, batch: &mut Batch) -> Progress {
        let Some(guest) = self.peers.get_mut(&address) else { return Progress::Done };
        guest.is_touched = false;
        let mut is_full = false;
        let mut send = |datagram: &[u8], local| {
            // There is always room for one more than is asked for.
            let _ = batch.push_marked(address, local, None, datagram);
            is_full = batch.bytes() >= BATCH_BYTES || batch.len() >= BATCH_DATAGRAMS;
            !is_full
        };
        let mut state = guest.peer.turn(now, &mut send);
        if state != State::Over && guest.is_displaced() {
            // It hears that it is over.
            guest.peer.connection.close();
            state = guest.peer.turn(now, &mut send);
        }
        guest.tell_counts(&mut self.reception);
        if state == State::Over {
            self.remove(address);
        } else {
            let due = guest.peer.poll_timeout();
            if let Some(before) = std::mem::replace(&mut guest.due, due) {
                self.timers.remove(&(before, address));
            }
            self.timers.extend(due.map(|at| (at, address)));
            if is_full || state == State::Busy {
                // Behind the others.
                guest.touch(address, &mut self.touched);
            }
        }
        if is_full { Progress::BatchIsFull } else { Progress::Done }
    }

    fn remove(&mut self, address: SocketAddr) {
        if let Some(mut guest) = self.peers.remove(&address) {
            if let Some(due) = guest.due {
                self.timers.remove(&(due, address));
            }
            guest.tell_counts(&mut self.reception);
            self.reception.left(address);
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    Done,
    BatchIsFull,
}

impl Guest {
    fn touch(&mut self, address: SocketAddr, touched: &mut VecDeque<SocketAddr>) {
        if !std::mem::replace(&mut self.is_touched, true) {
            touched.push_back(address);
        }
    }

    fn tell_counts(&mut self, reception: &mut impl Reception) {
        let stats = self.peer.connection.stats();
        if stats != self.told {
            reception.counted(&stats.since(&self.told));
            self.told = stats;
        }
    }

    /// Whether its place at the door is needed for another before it has said who it is.
    fn is_displaced(&mut self) -> bool {
        let Some(visit) = &self.visit else { return false };
        if self.peer.session.is_greeted() {
            self.visit = None;
            return false;
        }
        let waker = Waker::from(self.bell.clone());
        visit.poll_displaced(&std::task::Context::from_waker(&waker)).is_ready()
    }
}
