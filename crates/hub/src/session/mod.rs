//! One peer.
//!
//! - `standing`: what it may do, and whether still.
//! - `calls`: requests that it makes and serves.
//! - `ingest`: bytes in.
//! - `budget`: how fast that may be.
//! - `requests`: what control messages do.
//! - `results`: what publishers are told of what they published.
//! - `slots`: the topics that it reads.
//! - `taking`: the blocks that it takes.
//! - `egress`: bytes out.
//! - `departures`: data that goes out as items of a datagram connection.

mod budget;
mod calls;
mod departures;
mod egress;
mod ingest;
mod requests;
mod results;
mod slots;
mod standing;
mod taking;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use bytes::BytesMut;
use nyx_core::Instant;
use nyx_protocol::control::{self, ErrorCode};
use nyx_protocol::topic::{Name, Pattern};
use nyx_protocol::trail::Trail;
use nyx_stream::flight::{Flight, Mode};
use nyx_stream::policy::Pull;

use crate::access::Entry;
use crate::hub::Hub;
use crate::shared::{Mail, Shared, Transport};
use crate::topic::{Publication, Topic};
use budget::Budget;
use calls::Calls;
use departures::Departures;
pub use departures::{Fate, Parcel};
use results::Results;
use slots::Slots;
use standing::Standing;
use taking::Taking;

/// One peer of a [`Hub`]: bytes in, bytes out, deadlines.
///
/// The rule for driving it stands at the top of this crate. Dropping it ends all that the peer published and subscribed.
pub struct Session {
    hub: Hub,
    shared: Arc<Shared>,
    standing: Standing,
    phase: Phase,
    /// Whether it has said hello, and so answers pings.
    speaks: bool,
    acknowledges: bool,
    /// If it takes blocks.
    taking: Option<Taking>,
    heard: Instant,
    /// When it was last told something.
    told: Instant,
    /// Bytes of input that were left when it was last looked at: the same again are no sign of life.
    left: usize,
    allocation: Allocation,
    /// Until when a publisher is to wait for its topic's subscribers.
    paused_until: Option<Instant>,
    budget: Budget,
    /// Until when it has published more than it may.
    owes_until: Option<Instant>,
    /// Control messages that wait to be sent.
    outbox: BytesMut,
    results: Results,
    calls: Calls,
    aliases: Vec<Option<Alias>>,
    subscriptions: Vec<Subscription>,
    /// Topics that were compared with patterns since others had their turn.
    looked: usize,
    slots: Slots,
    flight: Flight,
    /// Of a session over datagrams.
    departures: Option<Departures>,
    /// Whether it is told which hubs items have passed.
    tells_passed: bool,
    probe: Probe,
    /// When the items under way were born, in the order in which they will be acknowledged.
    under_way: VecDeque<UnderWay>,
    /// Kept for their memory.
    pull: Pull,
    mail: Mail,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// No hello yet.
    Greeting {
        deadline: Instant,
    },
    Open,
    /// What is in the outbox is the last.
    Ended,
}

struct Alias {
    target: Target,
    /// Whether its publisher wants to know what became of each message.
    results: bool,
    /// Which hubs they have passed.
    trail: Trail,
}

enum Target {
    Topic(Publication),
    /// The topic was refused: what comes on this alias is counted and discarded.
    Refused(ErrorCode, String),
}

struct Subscription {
    id: u32,
    pattern: Pattern,
    max_age_ms: u32,
    /// Epoch and position, by topic.
    resume: HashMap<Name, (u64, u64)>,
}

/// A ping that measures the path, or asks whether the peer is there.
#[derive(Default)]
struct Probe {
    nonce: u64,
    sent: Option<Instant>,
    last: Option<Instant>,
}

/// How long a peer that waits for the hub hears nothing, at most: clients believe silence after 30 s.
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// How much memory a part of the read buffer pins. A buffer knows only what it has from its present start on, so the largest is
/// remembered until a larger one begins another.
#[derive(Default)]
struct Allocation {
    bytes: usize,
    last: usize,
}

impl Allocation {
    fn observe(&mut self, buffer: &BytesMut) {
        if buffer.capacity() > self.last {
            self.bytes = buffer.capacity();
        }
        self.last = buffer.capacity();
    }
}

struct UnderWay {
    /// Bytes sent when it had been.
    end: u64,
    born: Instant,
    topic: Arc<Topic>,
    /// When it was sent, and how many bytes were under way in front of it.
    sent: Instant,
    ahead: u64,
    bytes: u64,
}

/// What became of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ingest {
    /// All whole messages were taken. At least this many bytes more are needed for the next.
    Needs(usize),
    /// Read no more for now, and call again with what is left when woken, which may be at once where others are to be served first, when a timeout has been
    /// handled, or when the output has been written.
    Paused,
}

/// The session is over: write what `poll_transmit` returns, and close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

impl Session {
    pub(crate) fn new(hub: Hub, shared: Arc<Shared>, entry: Entry, now: Instant) -> Self {
        let deadline = now + hub.inner.config.handshake;
        let window = hub.inner.config.window_bytes;
        let mut budget = Budget::new(&hub.inner.config, now);
        budget.share(&entry.supplies);
        let departures = (shared.peer.transport == Transport::Udp).then(Departures::default);
        let standing = Standing::new(entry, &shared, &mut budget);
        Self {
            hub,
            shared,
            standing,
            phase: Phase::Greeting { deadline },
            speaks: false,
            acknowledges: true,
            taking: None,
            heard: now,
            told: now,
            left: 0,
            allocation: Allocation::default(),
            paused_until: None,
            budget,
            owes_until: None,
            outbox: BytesMut::new(),
            results: Results::default(),
            calls: Calls::default(),
            aliases: Vec::new(),
            subscriptions: Vec::new(),
            looked: 0,
            slots: Slots::default(),
            flight: Flight::new(Mode::Window(window)),
            departures,
            tells_passed: false,
            probe: Probe::default(),
            under_way: VecDeque::new(),
            pull: Pull::default(),
            mail: Mail::default(),
        }
    }

    /// Its number in the hub.
    pub fn id(&self) -> u64 {
        self.shared.id
    }

    /// `waker` is woken when there may be output, or when paused input may be taken.
    pub fn register(&self, waker: &Waker) {
        self.shared.register(waker);
    }

    /// When `handle_timeout` wants to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.phase {
            Phase::Greeting { deadline } => Some(deadline),
            Phase::Ended => None,
            Phase::Open => {
                let config = &self.hub.inner.config;
                let silence = self.heard + config.silence;
                let ping = match self.probe.sent {
                    Some(_) => silence,
                    None => self.heard + config.ping_after,
                };
                let alive = silence.min(ping);
                let alive = self.owes_until.map_or(alive, |_| alive.min(self.shows_life_at()));
                let alive = self.speaks.then_some(alive);
                let ends = [self.standing.expires(), self.calls.next_deadline()];
                let waits = [alive, self.paused_until, self.owes_until];
                waits.into_iter().chain(ends).flatten().min()
            }
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.check_standing(now).is_err() {
            return;
        }
        if self.paused_until.is_some_and(|until| until <= now) {
            self.paused_until = None;
        }
        self.show_life(now);
        if self.owes_until.is_some_and(|until| until <= now) {
            self.owes_until = None;
        }
        self.expire_calls(now);
        match self.phase {
            Phase::Greeting { deadline } if deadline <= now => {
                self.fail(ErrorCode::Timeout, "no hello came in time: send Hello first");
            }
            Phase::Open if self.speaks => {
                let config = &self.hub.inner.config;
                if now >= self.heard + config.silence {
                    self.fail(ErrorCode::Timeout, "nothing was heard for too long: answer pings");
                } else if now >= self.heard + config.ping_after && self.probe.sent.is_none() {
                    self.ping(now);
                }
            }
            _ => {}
        }
    }

    /// Whether the peer has said who it is, as far as it has to.
    pub const fn is_greeted(&self) -> bool {
        !matches!(self.phase, Phase::Greeting { .. })
    }

    /// Whether nothing more will come out than what `poll_transmit` has returned.
    pub fn is_finished(&self) -> bool {
        self.phase == Phase::Ended && self.outbox.is_empty()
    }

    fn ping(&mut self, now: Instant) {
        self.probe.nonce += 1;
        self.probe.sent = Some(now);
        self.probe.last = Some(now);
        control::put(&mut self.outbox, control::Ping { nonce: self.probe.nonce });
    }

    /// A peer that is not read from has no answer to its pings either: so that it does not take the hub for dead, it is told something all
    /// the same. What it says to that measures nothing.
    fn show_life(&mut self, now: Instant) {
        let is_held_back = self.speaks && self.phase == Phase::Open && self.owes_until.is_some();
        if is_held_back && now >= self.shows_life_at() {
            self.told = now;
            control::put(&mut self.outbox, control::Ping { nonce: 0 });
        }
    }

    fn shows_life_at(&self) -> Instant {
        self.told + self.hub.inner.config.ping_after.min(TOLD_EVERY)
    }

    /// The peer's connection, which had taken no more for a while, has taken some of what was handed out: it is there, though it can say nothing
    /// before a large message is whole, and answers no ping that stands behind it.
    pub fn handle_written(&mut self, now: Instant) {
        self.heard = self.heard.max(now);
    }

    /// Tells the peer about an error that does not end the session.
    fn refuse(&mut self, error: control::Error) {
        self.hub.inner.refusals.count(error.code());
        control::put(&mut self.outbox, error);
    }

    /// Tells the peer about an error that does.
    fn fail(&mut self, code: ErrorCode, message: impl std::fmt::Display) -> Closed {
        let error = control::Error {
            code: code.into(),
            message: message.to_string(),
            fatal: true,
            ..Default::default()
        };
        // What was taken before is told before.
        self.results.write(&mut self.outbox);
        self.refuse(error);
        self.end();
        Closed
    }

    /// Lets go of everything; what is in the outbox will still be sent.
    fn end(&mut self) {
        self.phase = Phase::Ended;
        (self.paused_until, self.owes_until) = (None, None);
        self.budget.give_back();
        self.hub.unwatch(&self.shared, None);
        self.end_calls();
        self.subscriptions.clear();
        self.slots.leave_all();
        self.aliases.clear();
        self.under_way.clear();
        if let Some(departures) = &mut self.departures {
            departures.clear();
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.end();
        self.hub.inner.sessions.lock().remove(&self.shared.id);
    }
}
