//! What a recording holds.

use std::borrow::Cow;
use std::time::Duration;

use super::format::{Fields, put, put_micros};
use super::{Topic, TopicId};
use crate::control::Reason;
use crate::state::{DecodeError, Limits, Patch};

/// One record. Times count from the beginning of the recording, in microseconds, and never run backwards.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Record<'a> {
    /// A recorder begins here: topics are defined anew.
    Session(Session),
    /// A topic is defined, before its first item.
    Topic {
        /// What its items are marked with.
        id: TopicId,
        /// The topic.
        topic: &'a Topic,
    },
    /// An item.
    Data {
        /// Its topic.
        topic: &'a Topic,
        /// The item.
        data: Data<'a>,
    },
    /// Items are missing, before the next one of the topic.
    Gap {
        /// Their topic.
        topic: &'a Topic,
        /// Which, and why.
        gap: Gap,
    },
    /// The recorder had no connection.
    Outage(Outage),
    /// The recorder ended as it should, at this time.
    End(Duration),
}

/// One run of a recorder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// When it begins.
    pub at: Duration,
    /// What that was in microseconds since the Unix epoch.
    pub unix_micros: u64,
}

impl Session {
    /// The time `at` in microseconds since the Unix epoch, while this session lasts.
    ///
    /// ```
    /// use std::time::Duration;
    /// use nyx_protocol::record::Session;
    ///
    /// let session = Session { at: Duration::from_secs(60), unix_micros: 1_700_000_000_000_000 };
    /// assert_eq!(session.unix_micros_at(Duration::from_secs(61)), 1_700_000_001_000_000);
    /// ```
    pub fn unix_micros_at(&self, at: Duration) -> u64 {
        self.unix_micros.wrapping_add(super::format::micros(at.saturating_sub(self.at)))
    }
}

/// An item: an event, a frame, a chunk of sound, or a change of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Data<'a> {
    /// Where it was published.
    pub topic: TopicId,
    /// When it reached the recorder.
    pub at: Duration,
    /// Its number in its topic; of state, the version that it makes.
    pub sequence: u64,
    /// How the payload is encoded, see [`codec`](crate::wire::codec).
    pub codec: u8,
    /// Whether it can be used alone: a keyframe, or a state payload that sets the whole document.
    pub key: bool,
    /// When it was captured, in microseconds since the Unix epoch, if the publisher said.
    pub unix_micros: Option<u64>,
    /// Its content; of state, an encoded [`Patch`].
    pub payload: &'a [u8],
}

impl<'a> Data<'a> {
    /// An item with codec 0 and no capture time, that needs others.
    pub const fn new(topic: TopicId, at: Duration, sequence: u64, payload: &'a [u8]) -> Self {
        Self { topic, at, sequence, codec: 0, key: false, unix_micros: None, payload }
    }

    /// Of a state topic: what becomes of the document.
    ///
    /// # Errors
    /// When the payload is no patch within these limits: the recorder erred, or they are too narrow.
    pub fn patch(&self, limits: &Limits) -> Result<Patch, DecodeError> {
        Patch::decode(self.payload, limits)
    }

    /// All but the payload.
    pub(super) fn put(&self, session: &Session, out: &mut Vec<u8>) {
        let stamp = self.unix_micros.map_or(0, |_| flag::CAPTURE);
        let key = if self.key { flag::KEY } else { 0 };
        put(out, self.topic.0.into());
        out.extend_from_slice(&[stamp | key, self.codec]);
        put_micros(out, self.at);
        put(out, self.sequence);
        if let Some(captured) = self.unix_micros {
            let age = session.unix_micros_at(self.at).wrapping_sub(captured) as i64;
            put(out, ((age << 1) ^ (age >> 63)) as u64);
        }
    }

    pub(super) fn read(session: &Session, fields: &mut Fields<'a>) -> Result<Self, &'static str> {
        let topic = TopicId(fields.u32()?);
        let flags = fields.u8()?;
        if flags & !(flag::CAPTURE | flag::KEY) != 0 {
            return Err("an item has an unknown flag");
        }
        let codec = fields.u8()?;
        let (at, sequence) = (fields.micros()?, fields.number()?);
        let mut unix_micros = None;
        if flags & flag::CAPTURE != 0 {
            let age = fields.number()?;
            let age = (age >> 1) as i64 ^ -((age & 1) as i64);
            unix_micros = Some(session.unix_micros_at(at).wrapping_sub(age as u64));
        }
        let (key, payload) = (flags & flag::KEY != 0, fields.rest());
        Ok(Self { topic, at, sequence, codec, key, unix_micros, payload })
    }
}

/// Bits of an item's flags.
mod flag {
    pub(super) const CAPTURE: u8 = 1;
    pub(super) const KEY: u8 = 2;
}

/// Items of a topic that the recorder did not get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Which topic.
    pub topic: TopicId,
    /// When the recorder heard of it.
    pub at: Duration,
    /// The number of the first one missing.
    pub first_sequence: u64,
    /// How many, by reason. Of more than 256 parts those of one reason are read again as one.
    pub missing: Vec<Missing>,
}

/// A number of items that are missing for one reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Why. What a later version gives reads as [`Reason::Unspecified`].
    pub reason: Reason,
    /// How many.
    pub count: u64,
}

impl Gap {
    /// How many items are missing, of all reasons.
    pub fn total(&self) -> u64 {
        self.missing.iter().fold(0, |sum, missing| sum.saturating_add(missing.count))
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        put(out, self.topic.0.into());
        put_micros(out, self.at);
        put(out, self.first_sequence);
        for missing in self.missing_within_bounds().iter() {
            out.push(missing.reason as u8);
            put(out, missing.count);
        }
    }

    /// No more parts than a reader takes: where there are, each reason once.
    fn missing_within_bounds(&self) -> Cow<'_, [Missing]> {
        if self.missing.len() <= REASONS_MAX {
            return Cow::Borrowed(&self.missing);
        }
        let mut told: Vec<Missing> = Vec::new();
        for missing in &self.missing {
            match told.iter_mut().find(|earlier| earlier.reason == missing.reason) {
                Some(earlier) => earlier.count = earlier.count.saturating_add(missing.count),
                None => told.push(*missing),
            }
        }
        Cow::Owned(told)
    }

    pub(super) fn read(fields: &mut Fields<'_>) -> Result<Self, &'static str> {
        let topic = TopicId(fields.u32()?);
        let (at, first_sequence) = (fields.micros()?, fields.number()?);
        let mut missing = Vec::new();
        while fields.finish().is_err() {
            if missing.len() == REASONS_MAX {
                return Err("a gap has too many reasons");
            }
            let reason = Reason::try_from(i32::from(fields.u8()?)).unwrap_or_default();
            missing.push(Missing { reason, count: fields.number()? });
        }
        Ok(Self { topic, at, first_sequence, missing })
    }
}

/// One for each value of a byte.
const REASONS_MAX: usize = 256;

/// A time without a connection: what was published in it is missing, as far as no gap says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outage {
    /// When the connection was there again.
    pub at: Duration,
    /// How long there was none.
    pub downtime: Duration,
}
