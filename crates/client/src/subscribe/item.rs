//! What a subscription yields.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use nyx_protocol::control::{self, Announce};
use nyx_protocol::wire;

use crate::{AudioFormat, EventCodec, FrameCodec, Kind, Name, Refusal, Samples};

/// What is known about a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Topic {
    /// Its name.
    pub name: Name,
    /// What it carries.
    pub kind: Kind,
    /// A media type such as `image/jpeg`; empty when not known.
    pub content_type: String,
    /// For audio: rate and channels, if the publisher said.
    pub audio: Option<AudioFormat>,
    /// How old its items may become before they are dropped; `None`: they do not expire.
    pub max_age: Option<Duration>,
}

impl Topic {
    /// `None` if the hub announced something that can't be.
    pub(crate) fn new(announce: &Announce) -> Option<Self> {
        Some(Self {
            name: Name::new(&announce.topic).ok()?,
            kind: announce.kind().to_wire()?,
            content_type: announce.content_type.clone(),
            audio: announce
                .audio
                .map(|format| AudioFormat { sample_rate: format.sample_rate, channels: format.channels }),
            max_age: (announce.max_age_ms > 0).then(|| Duration::from_millis(announce.max_age_ms.into())),
        })
    }
}

/// One thing that a subscription received.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Item {
    /// A message.
    Event(Event),
    /// An image.
    Frame(Frame),
    /// A chunk of sound.
    Audio(Audio),
    /// A document has changed: see [`Subscription::document`](super::Subscription::document).
    State(State),
    /// Items are missing, before the next one of the topic.
    Gap(Gap),
    /// The connection was lost, and is there again. State and events go on where they stopped, if the hub still has
    /// them; what is missing comes as a gap.
    Reconnected(Reconnected),
    /// The hub has ended the session, or takes no new one, and says why: the token was revoked or has expired, say. Told once, and again when
    /// it says something else. The client goes on trying with the token that it has; if that succeeds, [`Reconnected`](Item::Reconnected) follows. Who
    /// does not want to wait for that drops the client.
    Refused(Refusal),
}

/// A message.
///
/// The payload shares a receive buffer of 256 KiB with its neighbours: copy a small one that is kept for long.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// Where it was published.
    pub topic: Arc<Topic>,
    /// Its number in the topic, from 0, without holes.
    pub sequence: u64,
    /// What the payload is.
    pub codec: EventCodec,
    /// When it happened, in microseconds since the Unix epoch, if the publisher said.
    pub unix_micros: Option<u64>,
    /// Its content.
    pub payload: Bytes,
}

/// An image.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Frame {
    /// Where it was published.
    pub topic: Arc<Topic>,
    /// Its number in the topic, from 0, without holes.
    pub sequence: u64,
    /// How it is encoded.
    pub codec: FrameCodec,
    /// Whether it can be decoded alone.
    pub keyframe: bool,
    /// When it was captured, in microseconds since the Unix epoch, if the publisher said.
    pub unix_micros: Option<u64>,
    /// The encoded image.
    pub payload: Bytes,
}

/// A chunk of sound.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Audio {
    /// Where it was published, and in which format: another publisher may have gone on in another than that of the last chunk. Numbers go on.
    pub topic: Arc<Topic>,
    /// Its number in the topic, from 0, without holes.
    pub sequence: u64,
    /// How the samples are encoded.
    pub samples: Samples,
    /// When it was captured, in microseconds since the Unix epoch, if the publisher said.
    pub unix_micros: Option<u64>,
    /// The samples, interleaved.
    pub payload: Bytes,
}

/// A document has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct State {
    /// Which.
    pub topic: Arc<Topic>,
    /// The version that the document has now.
    pub version: u64,
    /// Whether it was replaced, and not changed: after the start, or when this subscriber was too far behind.
    pub snapshot: bool,
    /// When the latest change was published, in microseconds since the Unix epoch, if known.
    pub unix_micros: Option<u64>,
    /// Bytes of the message.
    pub encoded_len: usize,
}

/// Items that this subscriber does not get.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gap {
    /// Of which topic.
    pub topic: Arc<Topic>,
    /// The number of the first one missing.
    pub first_sequence: u64,
    /// How many, by reason.
    pub missing: Vec<Missing>,
}

impl Gap {
    /// How many items are missing, of all reasons.
    pub fn total(&self) -> u64 {
        self.missing.iter().fold(0, |sum, missing| sum.saturating_add(missing.count))
    }

    /// Adds a later gap of the same topic.
    pub(crate) fn merge(&mut self, other: Self) {
        other.missing.into_iter().for_each(|missing| missing.add_to(&mut self.missing));
    }
}

/// A number of items that are missing for one reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Why.
    pub reason: Reason,
    /// How many.
    pub count: u64,
}

impl Missing {
    /// Adds these to others, each reason once.
    pub(crate) fn add_to(self, others: &mut Vec<Self>) {
        match others.iter_mut().find(|other| other.reason == self.reason) {
            Some(other) => other.count = other.count.saturating_add(self.count),
            None => others.push(self),
        }
    }
}

impl From<&control::Drop> for Missing {
    fn from(drop: &control::Drop) -> Self {
        Self { reason: drop.reason().into(), count: drop.count }
    }
}

/// Why an item was not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// It was older than the topic's `max_age`.
    Expired,
    /// A fresher one took its place.
    Conflated,
    /// The topic's store went on without this subscriber.
    Overrun,
    /// It would have been too old on arrival.
    PredictedLate,
    /// The subscriber's rate limit.
    RateLimited,
    /// Its publisher sent what does not decode.
    Unreadable,
    /// A document takes more than this subscription's [limits](super::Options::limits): raise them. When it fits again it comes whole.
    OverLimits,
    /// It was published while there was no connection, or the hub gives a reason that this version does not know.
    Unknown,
}

impl Reason {
    /// The reason's name in metrics and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Conflated => "conflated",
            Self::Overrun => "overrun",
            Self::PredictedLate => "predicted_late",
            Self::RateLimited => "rate_limited",
            Self::Unreadable => "unreadable",
            Self::OverLimits => "over_limits",
            Self::Unknown => "unknown",
        }
    }
}

impl From<control::Reason> for Reason {
    fn from(reason: control::Reason) -> Self {
        match reason {
            control::Reason::Unspecified => Self::Unknown,
            control::Reason::Expired => Self::Expired,
            control::Reason::Conflated => Self::Conflated,
            control::Reason::Overrun => Self::Overrun,
            control::Reason::PredictedLate => Self::PredictedLate,
            control::Reason::RateLimited => Self::RateLimited,
            control::Reason::Unreadable => Self::Unreadable,
        }
    }
}

/// The connection was lost, and is there again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reconnected {
    /// How long there was none.
    pub downtime: Duration,
}

/// What [`Subscription::recv_batch`](super::Subscription::recv_batch) yields.
#[derive(Clone, Debug)]
pub enum Batch {
    /// Consecutive events, or one frame or chunk of sound.
    Messages(Messages),
    /// Anything else.
    Item(Item),
}

/// Consecutive messages of one topic, as they came: one slice of bytes.
#[derive(Clone, Debug)]
pub struct Messages {
    pub(crate) topic: Arc<Topic>,
    pub(crate) first_sequence: u64,
    pub(crate) bytes: Bytes,
}

impl Messages {
    /// Where they were published.
    pub const fn topic(&self) -> &Arc<Topic> {
        &self.topic
    }

    /// The number of the first one in its topic; the others follow without holes.
    pub const fn first_sequence(&self) -> u64 {
        self.first_sequence
    }

    /// The messages. Nothing is copied, counted or allocated; [`wire::Message::owned_payload`] with
    /// [`bytes`](Self::bytes) makes an owner of one.
    pub fn iter(&self) -> wire::Messages<'_> {
        wire::Messages::new(&self.bytes)
    }

    /// The messages as they came, with their headers.
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

impl<'a> IntoIterator for &'a Messages {
    type Item = wire::Message<'a>;
    type IntoIter = wire::Messages<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
