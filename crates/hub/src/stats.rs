//! What a hub has done so far, for metrics and consoles.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nyx_core::Instant;
use nyx_core::pool;
use nyx_protocol::choose::{self, Candidate, Chooser, Codec, Pin};
use nyx_protocol::control::{ErrorCode, Status};
use nyx_protocol::topic::Name;
use nyx_protocol::wire::Kind;
use nyx_stream::metrics::{self, Counter};
use nyx_stream::{Drops, Histogram, Lane};

use crate::hub::{Hub, Inner};
use crate::shared::Transport;
use crate::{tally, topic};

/// All that a hub counts. Totals since it started.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stats {
    /// Its topics, oldest first.
    pub topics: Vec<Topic>,
    /// Its sessions, in no order.
    pub sessions: Vec<Session>,
    /// What became of requests, by service: those that were ever served, oldest first, and all others together.
    pub services: Vec<Service>,
    /// Errors sent to peers, and messages discarded on an alias that was refused, by code.
    pub refused: Vec<(ErrorCode, u64)>,
    /// How often a session was not read from for a while because it had published more than it may.
    pub slowed: u64,
    /// The memory of items that topics keep as copies.
    pub copies: pool::Stats,
    /// Whether anything may be compressed: the kill switch is off.
    pub compression_allowed: bool,
}

/// One topic.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Topic {
    /// Its name.
    pub name: Name,
    /// What it carries.
    pub kind: Kind,
    /// Media type of its items.
    pub content_type: String,
    /// Items that were published.
    pub messages: u64,
    /// Their bytes, headers included.
    pub bytes: u64,
    /// Sessions that read it.
    pub subscribers: usize,
    /// Bytes of memory that it holds.
    pub retained_bytes: usize,
    /// Items that some subscriber did not get, added up over subscribers.
    pub drops: Drops,
    /// Ages at delivery in the last 5 to 10 seconds, in microseconds; `None` if nothing was delivered.
    pub ages: Option<Histogram>,
    /// What came from publishers as blocks.
    pub blocks: Blocks,
    /// How its messages are compressed for subscribers; `None` where none that takes blocks has been sent any.
    pub compression: Option<Compression>,
}

/// Requests to one service, since it was first served.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Service {
    /// Its name. `None`: all that have no row of their own, services that nobody ever served among them.
    pub name: Option<Name>,
    /// Requests that came.
    pub requests: u64,
    /// Those that are over, by what their requesters were told.
    pub outcomes: Vec<(Status, u64)>,
    /// From a request to its server's answer, in microseconds, of those that got one in time. To be put into a registry.
    pub times: metrics::Histogram,
    /// Sessions that serve it now.
    pub servers: usize,
    /// Requests that wait for a server to take them.
    pub waiting: usize,
    /// Requests that servers have, also those that nobody waits for any more.
    pub in_flight: usize,
}

/// Blocks of publishers, which are relayed as they came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Blocks {
    /// Messages.
    pub messages: u64,
    /// Bytes of what they hold.
    pub before_bytes: u64,
    /// Bytes of them, headers included.
    pub after_bytes: u64,
}

/// How a topic's messages are compressed for its subscribers.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Compression {
    /// What is allowed.
    pub pin: Pin,
    /// What was chosen last.
    pub chosen: Candidate,
    /// Bytes of the messages to subscribers that take blocks, headers included, as they would have been sent plainly.
    pub before_bytes: u64,
    /// The same as they were sent.
    pub after_bytes: u64,
    /// What encoding took, trials included. Less than one encoding for each message where subscribers share them.
    pub cpu: Duration,
    /// Messages by how they were to be encoded.
    pub choices: Vec<(Codec, u64)>,
    /// How often the choice changed, by the reasons of [`choose::Reason::NAMES`].
    pub changes: [u64; choose::Reason::NAMES.len()],
    /// Messages that went more plainly than they should have, because encoding had used up its share of a core.
    pub over_budget: u64,
    /// Version and bytes of the topic's dictionary.
    pub dictionary: Option<(u32, usize)>,
    /// The latest decisions, the oldest first.
    pub log: Vec<choose::Entry>,
}

impl Compression {
    pub(crate) const fn new(pin: Pin) -> Self {
        Self {
            pin,
            chosen: Candidate::PLAIN,
            before_bytes: 0,
            after_bytes: 0,
            cpu: Duration::ZERO,
            choices: Vec::new(),
            changes: [0; choose::Reason::NAMES.len()],
            over_budget: 0,
            dictionary: None,
            log: Vec::new(),
        }
    }

    /// The same with what the chooser says.
    pub(crate) fn with(&self, chooser: &Chooser) -> Self {
        Self {
            chosen: chooser.current(),
            over_budget: chooser.over_budget(),
            changes: chooser.changes(),
            log: chooser.log().copied().collect(),
            ..self.clone()
        }
    }

    /// A message was sent.
    pub(crate) fn count(&mut self, codec: Codec, before: usize, after: usize) {
        self.before_bytes += before as u64;
        self.after_bytes += after as u64;
        match self.choices.iter_mut().find(|(known, _)| *known == codec) {
            Some((_, count)) => *count += 1,
            None => self.choices.push((codec, 1)),
        }
    }
}

/// One session.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Session {
    /// Its number.
    pub id: u64,
    /// What it calls itself.
    pub name: String,
    /// Its address.
    pub peer: String,
    /// How it is connected.
    pub transport: Transport,
    /// Topics that it reads.
    pub topics: u64,
    /// Items that it was sent.
    pub delivered: u64,
    /// Their bytes, headers included.
    pub bytes: u64,
    /// Bytes sent and not acknowledged.
    pub in_flight: u64,
    /// Bytes that the kernel may hold unsent, where the transport bounds that.
    pub unsent_target: Option<u32>,
    /// The shortest round trip of late.
    pub round_trip: Option<Duration>,
    /// The age of the oldest item that it has not got.
    pub lag: Duration,
    /// Items that it did not get, by lane.
    pub drops: [Drops; Lane::ALL.len()],
}

impl Session {
    /// Items that it did not get, over all lanes.
    pub fn all_drops(&self) -> Drops {
        let mut all = Drops::default();
        self.drops.iter().for_each(|drops| all.merge(drops));
        all
    }
}

impl Hub {
    /// What it has done so far. O(topics × readers).
    pub fn stats(&self, now: Instant) -> Stats {
        let mut lags: HashMap<u64, Duration> = HashMap::new();
        let topics = self.topics().into_iter().map(|topic| {
            topic.lags(now, |session, lag| {
                let most = lags.entry(session).or_default();
                *most = (*most).max(lag);
            });
            let topic::Count { tally, subscribers, retained_bytes, compression } = topic.count(now);
            Topic {
                name: topic.name.clone(),
                kind: topic.spec.kind,
                content_type: topic.spec.content_type.clone(),
                messages: tally.messages,
                bytes: tally.bytes,
                subscribers,
                retained_bytes,
                drops: tally.drops,
                ages: tally.ages(),
                blocks: tally.blocks,
                compression,
            }
        });
        let topics = topics.collect();
        let sessions = self.inner.sessions.lock();
        let sessions = sessions.values().map(|shared| {
            let counters = &shared.counters;
            let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
            Session {
                id: shared.id,
                name: shared.name.lock().clone(),
                peer: shared.peer.address.clone(),
                transport: shared.peer.transport,
                topics: read(&counters.topics),
                delivered: read(&counters.delivered),
                bytes: read(&counters.bytes),
                in_flight: read(&counters.in_flight),
                unsent_target: Some(shared.peer.unsent_target.load(Ordering::Relaxed))
                    .filter(|bytes| *bytes > 0),
                round_trip: read(&counters.round_trip).checked_sub(1).map(Duration::from_nanos),
                lag: lags.get(&shared.id).copied().unwrap_or_default(),
                drops: counters.drops(),
            }
        });
        let Inner { engine, refusals, slowed, copies, router, .. } = &*self.inner;
        Stats {
            topics,
            sessions: sessions.collect(),
            services: router.stats(),
            refused: refusals.read(),
            slowed: slowed.get(),
            copies: copies.stats(),
            compression_allowed: engine.is_allowed(),
        }
    }

    /// Ages of all that was delivered since the hub was made, over all topics, in microseconds. To be put into a registry.
    pub fn ages(&self) -> &metrics::Histogram {
        &self.inner.ages
    }

    /// Something of `topic` arrived that was published at `born`.
    pub(crate) fn record_age(&self, topic: &topic::Topic, now: Instant, born: Instant) {
        topic.record_age(now, born);
        self.inner.ages.record(tally::micros(now.since(born)));
    }
}

/// Errors that were sent and messages that were discarded, by code.
#[derive(Default)]
pub(crate) struct Refusals([Counter; CODES.len()]);

const CODES: [ErrorCode; 13] = [
    ErrorCode::Malformed,
    ErrorCode::UnsupportedVersion,
    ErrorCode::TooLarge,
    ErrorCode::BadTopic,
    ErrorCode::KindMismatch,
    ErrorCode::UnknownAlias,
    ErrorCode::BadDocument,
    ErrorCode::Limit,
    ErrorCode::Timeout,
    ErrorCode::Unexpected,
    ErrorCode::Unauthorized,
    ErrorCode::Forbidden,
    ErrorCode::Loop,
];

impl Refusals {
    pub(crate) fn count(&self, code: ErrorCode) {
        self.count_many(code, 1);
    }

    pub(crate) fn count_many(&self, code: ErrorCode, count: u64) {
        if let Some(at) = CODES.iter().position(|known| *known == code) {
            self.0[at].add(count);
        }
    }

    fn read(&self) -> Vec<(ErrorCode, u64)> {
        CODES.into_iter().zip(&self.0).map(|(code, count)| (code, count.get())).collect()
    }
}
