//! When a topic of sound goes on in another format.
//!
//! Subscribers rely on the rate and channels that they were told, so a topic's id stands for one format, however late something comes. In another format it
//! goes on under another id: what is a topic here gives way to a successor, which has its name, its epoch and the numbers that follow. It does so
//! when nobody publishes it and nobody is still to hear of it, see [`Topic::give_way`]; and since numbers go on, who was behind knows by how much.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use nyx_core::Instant;
use nyx_protocol::control::AudioFormat;
use nyx_protocol::wire::Kind;
use nyx_stream::policy::Pull;
use nyx_stream::{Reason, Ring, ring};
use thiserror::Error;

use super::{Store, Topic, Trails};
use crate::audience::{Audience, Place};
use crate::spec::Spec;
use crate::tally::Tally;

/// Why a topic of sound keeps its format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Kept {
    /// The configuration says which it has.
    #[error("it is configured so")]
    Configured,
    /// Somebody publishes it.
    #[error("it is being published")]
    Published,
    /// Nobody publishes it any more, and what was published last is in time for subscribers that have not got it.
    #[error("subscribers still hear what was published last")]
    Heard {
        /// Until then, at most.
        until: Instant,
    },
    /// Only for a session that advertises it does it go on in another.
    #[error("it is not advertised by a session")]
    Unadvertised,
}

/// What goes on in a successor: the numbers, in a ring that holds nothing, and the counts.
pub(crate) struct Former {
    pub(crate) ring: Ring,
    pub(crate) tally: Tally,
    pub(crate) trails: Trails,
    pub(crate) epoch: u64,
}

/// Where a topic comes from.
pub(crate) enum Origin {
    New { epoch: u64 },
    Former(Box<Former>),
}

/// That a session publishes a topic, until it is dropped.
pub(crate) struct Publication(Arc<Topic>);

impl Publication {
    /// Call it under the hub's lock of its topics: one that gives way gets no publisher meanwhile.
    pub(crate) fn new(topic: Arc<Topic>) -> Self {
        topic.inside.lock().publications += 1;
        Self(topic)
    }
}

impl Deref for Publication {
    type Target = Arc<Topic>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Drop for Publication {
    fn drop(&mut self) {
        self.0.inside.lock().publications -= 1;
    }
}

/// How a topic suits who wants to publish it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fit {
    /// It is what is wanted, or has no sound, or the publisher says nothing of its format.
    Exact,
    /// It has no format on which anybody relies. Better is one that has.
    Unsaid,
    /// Its sound is of another format.
    Other { has: AudioFormat, wanted: AudioFormat },
}

impl Topic {
    pub(crate) fn fit(&self, spec: &Spec) -> Fit {
        match (self.spec.audio, spec.audio) {
            _ if self.spec.kind != Kind::Audio => Fit::Exact,
            (Some(has), Some(wanted)) if has != wanted => Fit::Other { has, wanted },
            (None, Some(_)) => Fit::Unsaid,
            _ => Fit::Exact,
        }
    }

    /// Makes way for a successor, if nobody publishes this topic and nobody who reads it could still be sent something in time. Its
    /// readers find nothing more.
    pub(crate) fn give_way(&self, now: Instant) -> Result<Former, Kept> {
        if self.spec.keeps_format {
            return Err(Kept::Configured);
        }
        let mut inside = self.inside.lock();
        if inside.publications > 0 {
            return Err(Kept::Published);
        }
        let heard_until = self.heard_until(&inside.store, &inside.audience);
        if let Some(until) = heard_until.filter(|until| now <= *until) {
            return Err(Kept::Heard { until });
        }
        // Only sound has a format, and what is gone has no name that anybody finds.
        let Store::Ring(ring) = &mut inside.store else { return Err(Kept::Unadvertised) };
        ring.clear();
        let ring = std::mem::replace(ring, Ring::new(ring::Limits::new(0, 0)));
        inside.store = Store::Gone;
        let (tally, trails) = (std::mem::take(&mut inside.tally), std::mem::take(&mut inside.trails));
        Ok(Former { ring, tally, trails, epoch: self.epoch })
    }

    /// Until when a reader may still be sent something, or have something under way that may be lost and sent again.
    fn heard_until(&self, store: &Store, audience: &Audience) -> Option<Instant> {
        let Store::Ring(ring) = store else { return None };
        let newest = ring.latest()?;
        let is_awaited = audience.iter().any(|reader| match &reader.place {
            Place::Ring(cursor) => reader.gets_parcels || !cursor.is_at_head(ring),
            Place::Document(_) | Place::Baseline(_) => false,
        });
        is_awaited.then(|| newest.born + self.max_age.unwrap_or(Duration::MAX))
    }

    /// Whether a successor has its name.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self.inside.lock().store, Store::Gone)
    }

    /// What reader `key` has not got of this topic, and of others between it and the successor that begins with number `next`, as
    /// passed over.
    pub(crate) fn leave_behind(&self, key: usize, next: u64, pull: &mut Pull) {
        let mut inside = self.inside.lock();
        let Some(Place::Ring(cursor)) = inside.audience.get_mut(key).map(|reader| &reader.place) else {
            return;
        };
        let first = cursor.sequence();
        if next > first {
            pull.first_dropped = Some(first);
            pull.drops.add(Reason::Expired, next - first);
        }
    }
}
