//! What is told of a topic: how much it has carried, and how far behind its readers are.

use std::time::Duration;

use nyx_core::Instant;
use nyx_stream::Drops;

use super::{Store, Topic};
use crate::audience::Place;
use crate::compression::{Encoder, Opaque};
use crate::stats;
use crate::tally::Tally;

/// What a topic has counted.
pub(crate) struct Count {
    pub(crate) tally: Tally,
    pub(crate) subscribers: usize,
    pub(crate) retained_bytes: usize,
    pub(crate) compression: Option<stats::Compression>,
}

impl Topic {
    /// Something arrived that was this old.
    pub(crate) fn record_age(&self, now: Instant, born: Instant) {
        let mut inside = self.inside.lock();
        inside.tally.record_age(now, now.since(born));
    }

    /// Readers missed this, of this topic or of what had its name before.
    pub(crate) fn count_drops(&self, drops: &Drops) {
        self.inside.lock().tally.drops.merge(drops);
    }

    pub(crate) fn count(&self, now: Instant) -> Count {
        let mut inside = self.inside.lock();
        inside.tally.turn_ages(now);
        let (retained_bytes, compression) = match &inside.store {
            Store::Ring(ring) => {
                let opaque = self.opaque.lock();
                (ring.held_bytes() + self.plain.held_bytes(), opaque.as_deref().map(Opaque::stats))
            }
            Store::Gone => (0, None),
            Store::Document(shelf) => (shelf.held_bytes(), shelf.encoder().map(Encoder::stats)),
        };
        let subscribers = inside.audience.len();
        Count { tally: inside.tally.clone(), subscribers, retained_bytes, compression }
    }

    /// For each reader that is behind: its session, and the age of the oldest item that it has not got.
    pub(crate) fn lags(&self, now: Instant, mut each: impl FnMut(u64, Duration)) {
        let inside = self.inside.lock();
        let Store::Ring(ring) = &inside.store else { return };
        for reader in inside.audience.iter() {
            if let Place::Ring(cursor) = &reader.place
                && let Some(next) = ring.ahead(cursor).next()
            {
                each(reader.session.id, now.since(next.born));
            }
        }
    }
}
