//! Publishing and reading without a session, for adapters that have one item at a time.

use bytes::{Bytes, BytesMut};
use nyx_core::Instant;
use nyx_protocol::state::{Patch, PatchError, Value};
use nyx_protocol::topic::Name;
use nyx_protocol::trail::{TooManyHops, Trail};
use nyx_protocol::wire::{self, Flags, Kind, Run};
use std::sync::Arc;
use thiserror::Error;

use crate::hub::{CreateError, Hub};
use crate::spec::Spec;
use crate::topic::{Author, Topic, Untaken};

/// The newest that a topic has.
#[derive(Clone, Debug, PartialEq)]
pub enum Latest {
    /// A state topic's document.
    Document(Value),
    /// The newest item, a whole message with its header.
    Message(Bytes),
}

/// Why something was not published.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The topic can't be had.
    #[error(transparent)]
    Topic(#[from] CreateError),
    /// The topic carries documents and this is an item, or the other way round. The caller erred.
    #[error("topic `{name}` carries {has}: patch state topics, publish items on others")]
    WrongKind {
        /// The topic.
        name: Name,
        /// What it carries.
        has: Kind,
    },
    /// The item is too long.
    #[error(
        "an item of {length} bytes is over the limit of {limit}: send smaller ones or raise limits.message_bytes"
    )]
    TooLarge {
        /// Bytes of the item.
        length: usize,
        /// What the hub takes.
        limit: usize,
    },
    /// The patch does not fit the document. Nothing changed.
    #[error(transparent)]
    Patch(#[from] PatchError),
    /// The topic has gone on in another format since the caller got it. Nothing was taken.
    #[error("topic `{0}` has gone on in another format: get it again")]
    Gone(Name),
    /// Subscribers lag and publishers are being slowed. Nothing was taken.
    #[error("subscribers of this topic are behind: try again in a moment")]
    Busy {
        /// When it will be taken at the latest.
        until: Instant,
    },
}

/// Why what another hub forwards is not taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum LoopError {
    /// It has been here, and is known.
    #[error(
        "this has passed this hub already, and is not taken in again: hubs forward in a circle, which does no harm"
    )]
    Home,
    /// It has passed too many hubs.
    #[error(transparent)]
    TooManyHops(#[from] TooManyHops),
}

impl Hub {
    /// The way of what another hub forwards, if it may come in.
    ///
    /// # Errors
    /// When it has come home, or has passed too many hubs.
    pub fn trail(&self, passed: &[u64]) -> Result<Trail, LoopError> {
        let trail = Trail::new(passed)?;
        if trail.has_passed(self.id()) { Err(LoopError::Home) } else { Ok(trail) }
    }

    /// Publishes one item of a kind other than state. Returns its number in the topic.
    ///
    /// # Errors
    /// Nothing was published then.
    pub fn publish(
        &self,
        now: Instant,
        topic: &Arc<Topic>,
        codec: u8,
        unix_micros: Option<u64>,
        payload: &[u8],
    ) -> Result<u64, PublishError> {
        self.publish_forwarded(now, topic, codec, unix_micros, payload, &Trail::default())
    }

    /// The same of an item that has [passed](Self::trail) other hubs.
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    pub fn publish_forwarded(
        &self,
        now: Instant,
        topic: &Arc<Topic>,
        codec: u8,
        unix_micros: Option<u64>,
        payload: &[u8],
        trail: &Trail,
    ) -> Result<u64, PublishError> {
        if topic.spec.kind == Kind::State {
            return Err(wrong_kind(topic));
        }
        let limit = self.inner.config.message_bytes;
        let length = payload.len() + unix_micros.map_or(0, |_| wire::TIMESTAMP_LEN);
        if length > limit {
            return Err(PublishError::TooLarge { length, limit });
        }
        let flags = if topic.spec.kind == Kind::Frame { Flags::KEYFRAME } else { Flags::NONE };
        let header = wire::Header { codec, flags, ..topic.header() };
        let mut message = BytesMut::with_capacity(wire::HEADER_LEN + wire::TIMESTAMP_LEN + payload.len());
        match unix_micros {
            Some(micros) => wire::put_stamped(&mut message, header, micros, payload),
            None => wire::put_message(&mut message, header, payload),
        }
        let run = Run { kind: topic.spec.kind, topic: topic.id, len: message.len(), count: 1 };
        let pinned = message.capacity();
        let author = Author { session: None, trail };
        // Nobody is woken when there is room: the caller is told when to try again.
        let published = topic.publish_run(now, &mut message, run, pinned, author, None);
        published.map_err(|untaken| match untaken {
            Untaken::Wait(until) => PublishError::Busy { until },
            Untaken::Gone => PublishError::Gone(topic.name.clone()),
        })
    }

    /// Changes a state topic's document. Says whether that changed anything.
    ///
    /// # Errors
    /// Nothing changed then.
    pub fn patch(&self, topic: &Topic, patch: &Patch) -> Result<bool, PublishError> {
        self.patch_forwarded(topic, patch, &Trail::default())
    }

    /// The same by what has [passed](Self::trail) other hubs.
    ///
    /// # Errors
    /// As [`patch`](Self::patch).
    pub fn patch_forwarded(&self, topic: &Topic, patch: &Patch, trail: &Trail) -> Result<bool, PublishError> {
        if topic.spec.kind != Kind::State {
            return Err(wrong_kind(topic));
        }
        let mut encoded = BytesMut::new();
        patch.encode(&mut encoded);
        Ok(topic.publish_patch(patch, encoded.len(), trail)?.0)
    }

    /// The newest that this topic has, if it has anything.
    pub fn latest(&self, name: &Name) -> Option<Latest> {
        let topic = self.topic(name)?;
        match topic.spec.kind {
            Kind::State => topic.value().map(Latest::Document),
            _ => topic.latest().map(Latest::Message),
        }
    }

    /// A topic of this kind: what an adapter that was told no more than a name and a kind publishes to.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn topic_for(&self, name: &Name, kind: Kind) -> Result<Arc<Topic>, CreateError> {
        self.create(name, &Spec::new(kind))
    }
}

fn wrong_kind(topic: &Topic) -> PublishError {
    PublishError::WrongKind { name: topic.name.clone(), has: topic.spec.kind }
}
