//! Sessions of one hub and their peers, joined by links in virtual time: no sockets, no threads, no clock.

#![allow(dead_code, reason = "each suite uses a part")]

mod client;

use std::collections::VecDeque;
use std::ops::{Index, IndexMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use nyx_core::{ByteSize, Instant};
use nyx_hub::{Config, Hub, Ingest, Peer, Session, Transport};
use nyx_netem::{Impairment, Link};
use nyx_protocol::control::Blocks;

use client::Client;

/// Unsent bytes that the kernel keeps, as the drivers set it.
const KERNEL_BYTES: usize = 16 * 1024;

/// Bytes of a read buffer, as in the drivers.
const READ_BYTES: usize = 64 * 1024;

/// Turns at one moment after which something spins.
const TURNS_MAX: usize = 100_000;

pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A link to a peer that nothing impairs but a buffer of 64 KiB.
pub(crate) fn fast() -> Impairment {
    let mut impairment = Impairment::default();
    impairment.buffer = ByteSize::new(64 * 1024);
    impairment
}

/// A link of so many bytes per second, with a millisecond of delay and `queue` bytes of network buffer.
pub(crate) fn slow(bytes_per_second: u64, queue: u64) -> Impairment {
    let mut impairment = Impairment::default();
    impairment.rate = Some(format!("{}bit/s", bytes_per_second * 8).parse().expect("a rate"));
    impairment.delay = ms(1);
    impairment.buffer = ByteSize::new(queue);
    impairment
}

/// One peer: its session in the hub, the socket between, and its own end.
pub(crate) struct Node {
    pub(crate) session: Session,
    pub(crate) client: Client,
    woken: Arc<Flag>,
    waker: Waker,
    /// Handed out by the session, not yet taken by the kernel.
    waiting: VecDeque<Bytes>,
    kernel: VecDeque<Bytes>,
    down: Link,
    up: Link,
    input: BytesMut,
    paused: bool,
    /// Whether the kernel took no more when it was last asked.
    full: bool,
    /// Something happened since the session was last asked for output.
    due: bool,
    closed: bool,
    gone: bool,
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

pub(crate) struct Sim {
    pub(crate) hub: Hub,
    pub(crate) now: Instant,
    nodes: Vec<Node>,
}

impl Sim {
    pub(crate) fn new(config: Config) -> Self {
        Self { hub: Hub::new(config), now: Instant::ZERO, nodes: Vec::new() }
    }

    /// Connects a peer that has not said hello.
    pub(crate) fn connect(&mut self, down: Impairment) -> usize {
        let session = self.hub.session(self.now, Peer::new("peer", Transport::Tcp)).expect("admitted");
        self.attach(session, down)
    }

    /// Connects a peer that says hello.
    pub(crate) fn peer(&mut self, down: Impairment, acknowledges: bool) -> usize {
        let id = self.connect(down);
        self.nodes[id].client.hello(acknowledges);
        id
    }

    /// Connects an acknowledging subscriber of `pattern`, and lets its requests arrive.
    pub(crate) fn subscriber(&mut self, down: Impairment, pattern: &str) -> usize {
        let id = self.peer(down, true);
        self.nodes[id].client.subscribe(pattern, 0);
        self.settle();
        id
    }

    /// The same of one that takes blocks, and holds four dictionaries and the prefixes of two topics.
    pub(crate) fn block_taker(&mut self, down: Impairment, pattern: &str) -> usize {
        let id = self.connect(down);
        let client = &mut self.nodes[id].client;
        client.blocks =
            Some(Blocks { dictionaries: 4, dictionary_bytes: 16 * 1024, prefixes: 2, prefix_bytes: 100_000 });
        client.hello(true);
        client.subscribe(pattern, 0);
        self.settle();
        id
    }

    pub(crate) fn attach(&mut self, session: Session, down: Impairment) -> usize {
        let woken = Arc::new(Flag(AtomicBool::new(true)));
        let waker = Waker::from(woken.clone());
        session.register(&waker);
        self.nodes.push(Node {
            session,
            client: Client::default(),
            woken,
            waker,
            waiting: VecDeque::new(),
            kernel: VecDeque::new(),
            down: Link::new(down),
            up: Link::new(fast()),
            input: BytesMut::with_capacity(READ_BYTES),
            paused: false,
            full: false,
            due: true,
            closed: false,
            gone: false,
        });
        self.nodes.len() - 1
    }

    /// The connection breaks: its session is dropped.
    pub(crate) fn cut(&mut self, id: usize) {
        let session = self.hub.session(self.now, Peer::new("none", Transport::Tcp)).expect("admitted");
        drop(std::mem::replace(&mut self.nodes[id].session, session));
        self.nodes[id].gone = true;
        self.settle();
    }

    /// Everything happens that can at this moment.
    pub(crate) fn settle(&mut self) {
        for _ in 0..TURNS_MAX {
            let mut moved = false;
            for node in &mut self.nodes {
                moved |= !node.gone && node.turn(self.now);
            }
            if !moved {
                return;
            }
        }
        panic!("something spins at {:?}", self.now);
    }

    pub(crate) fn run_for(&mut self, time: Duration) {
        self.run_until(self.now + time);
    }

    pub(crate) fn run_until(&mut self, end: Instant) {
        self.settle();
        loop {
            let next = self.nodes.iter().filter(|node| !node.gone).filter_map(Node::next).min();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            assert!(next > self.now, "a deadline stays in the past");
            self.now = next;
            self.settle();
        }
        self.now = self.now.max(end);
        self.settle();
    }

    /// The `bytes` that the topic holds.
    pub(crate) fn retained(&self, topic: &str) -> usize {
        let stats = self.hub.stats(self.now);
        stats.topics.iter().find(|found| found.name.as_str() == topic).expect("the topic").retained_bytes
    }

    /// The number of the peer's session in the hub.
    pub(crate) fn session_id(&self, id: usize) -> u64 {
        self.nodes[id].session.id()
    }

    /// How many refusals of this code were counted.
    pub(crate) fn refused(&self, code: nyx_protocol::control::ErrorCode) -> u64 {
        self.hub.stats(self.now).refused.iter().find(|(known, _)| *known == code).expect("a code").1
    }
}

impl Index<usize> for Sim {
    type Output = Client;

    fn index(&self, id: usize) -> &Client {
        &self.nodes[id].client
    }
}

impl IndexMut<usize> for Sim {
    fn index_mut(&mut self, id: usize) -> &mut Client {
        &mut self.nodes[id].client
    }
}

impl Sim {
    pub(crate) fn node(&mut self, id: usize) -> &mut Node {
        &mut self.nodes[id]
    }
}

impl Node {
    /// Whether the hub has closed the connection.
    pub(crate) const fn is_closed(&self) -> bool {
        self.closed
    }

    /// Whether the hub reads no more for now.
    pub(crate) const fn is_paused(&self) -> bool {
        self.paused
    }

    /// From now on nothing crosses the link in either direction, or everything does again.
    pub(crate) fn stall(&mut self, now: Instant, stalled: bool) {
        self.down.stall(now, stalled);
        self.up.stall(now, stalled);
    }

    /// Bytes that the session has handed out and the kernel has not taken.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.waiting.iter().map(Bytes::len).sum()
    }

    fn turn(&mut self, now: Instant) -> bool {
        let mut moved = self.drive(now);
        while self.client.reads
            && let Some(bytes) = self.down.poll_output(now)
        {
            self.client.handle_bytes(now, &bytes);
            moved = true;
        }
        let room = self.up.room(now).min(self.client.outgoing.len());
        if room > 0 && !self.closed {
            let bytes = self.client.outgoing.split_to(room).freeze();
            self.up.handle_input(now, bytes).expect("there is room");
            moved = true;
        }
        moved
    }

    /// The driver, by the rule of the crate.
    fn drive(&mut self, now: Instant) -> bool {
        if self.closed {
            return self.flush(now);
        }
        self.session.register(&self.waker);
        let mut moved = false;
        if self.session.poll_timeout().is_some_and(|at| at <= now) {
            self.session.handle_timeout(now);
            let again = self.session.poll_timeout();
            (self.due, self.paused, moved) = (true, false, true);
            assert!(again.is_none_or(|at| at > now), "a timeout that was handled is due again: {again:?}");
        }
        if self.woken.0.swap(false, Ordering::Relaxed) {
            (self.due, self.paused, moved) = (true, false, true);
        }
        moved |= self.flush(now);
        if self.waiting.is_empty() && self.due {
            let mut out = Vec::new();
            self.session.poll_transmit(now, &mut out);
            if out.is_empty() {
                self.due = false;
            } else {
                (self.paused, moved) = (false, true);
            }
            self.waiting.extend(out);
            self.flush(now);
        }
        moved |= self.read(now);
        if self.session.is_finished() && self.waiting.is_empty() {
            (self.closed, moved) = (true, true);
        }
        moved
    }

    fn read(&mut self, now: Instant) -> bool {
        if self.paused {
            return false;
        }
        let before = self.input.len();
        let mut fed = false;
        while self.input.len() < before + READ_BYTES
            && let Some(bytes) = self.up.poll_output(now)
        {
            if self.input.capacity() - self.input.len() < bytes.len() {
                self.input.reserve(READ_BYTES);
            }
            self.input.extend_from_slice(&bytes);
            fed = true;
        }
        if !fed && before == 0 {
            return false;
        }
        let outcome = self.session.handle_input(now, &mut self.input);
        match outcome {
            Ok(Ingest::Needs(_)) => {}
            Ok(Ingest::Paused) => self.paused = true,
            Err(_) => {
                self.paused = true;
                self.due = true;
            }
        }
        self.due |= fed;
        fed || self.input.len() != before
    }

    fn flush(&mut self, now: Instant) -> bool {
        let mut moved = false;
        let unsent: usize = self.kernel.iter().map(Bytes::len).sum();
        moved |= shift(&mut self.waiting, KERNEL_BYTES.saturating_sub(unsent), |bytes| {
            self.kernel.push_back(bytes)
        });
        if moved && self.full {
            self.session.handle_written(now);
        }
        self.full = !self.waiting.is_empty();
        let room = self.down.room(now);
        let down = &mut self.down;
        moved |= shift(&mut self.kernel, room, |bytes| down.handle_input(now, bytes).expect("there is room"));
        self.due |= moved;
        moved
    }

    fn next(&self) -> Option<Instant> {
        let session = if self.closed { None } else { self.session.poll_timeout() };
        [self.down.poll_timeout(), self.up.poll_timeout(), session].into_iter().flatten().min()
    }
}

/// Moves up to `limit` bytes off the front of `from`.
fn shift(from: &mut VecDeque<Bytes>, limit: usize, mut put: impl FnMut(Bytes)) -> bool {
    let mut left = limit;
    while left > 0
        && let Some(first) = from.front_mut()
    {
        let bytes = first.split_to(first.len().min(left));
        if first.is_empty() {
            from.pop_front();
        }
        left -= bytes.len();
        put(bytes);
    }
    left < limit
}
