//! What a reader of a topic is sent, when it can take it.

use std::sync::atomic::Ordering;

use nyx_protocol::trail::Trail;
use nyx_protocol::wire::{self, Kind};
use nyx_stream::policy::{self, Pull, Terms};
use nyx_stream::{Drops, Reason};

use super::{Inside, Store, Topic};
use crate::audience::Place;
use crate::compression::{Encoder, Taker};
use crate::start::Rest;

impl Topic {
    /// What reader `key` should be sent now, after the `rest` that it may begin with; as blocks, if there is a `taker` of them; and the `trail` of it,
    /// for who wants to know. Says whether there may be more.
    pub(crate) fn pull(
        &self,
        key: usize,
        rest: Option<Rest>,
        terms: &Terms,
        taker: Option<&mut Taker>,
        trail: Option<&mut Trail>,
        pull: &mut Pull,
    ) -> bool {
        if let Some(rest) = rest {
            if let Some(trail) = trail {
                trail.clone_from(&rest.trail);
            }
            // What follows comes with the next pull: of what that passes over the subscriber is told behind this.
            rest.pull(&self.plain, self.message_bytes, terms, pull);
            if !pull.drops.is_empty() {
                self.count_drops(&pull.drops);
            }
            return true;
        }
        // What a block unpacks to is not known by what it takes here, and each entry has a trail of its own: one at a time.
        let singly = Terms { budget: 1, bytes_per_second: None, ..*terms };
        if taker.is_some() || !self.packed.load(Ordering::Relaxed) {
            let terms = if trail.is_some() { &singly } else { terms };
            return self.pull_stored(key, terms, taker, trail, pull);
        }
        let more = self.pull_stored(key, &singly, None, trail, pull);
        self.unpack(pull);
        more
    }

    /// Unpacks the block in `pull`, if there is one. What can't be unpacked joins what was passed over in front of it.
    fn unpack(&self, pull: &mut Pull) {
        let Some(chunk) = pull.chunks.first_mut() else { return };
        match self.plain.of(chunk, self.message_bytes) {
            Ok(plain) => {
                pull.bytes = pull.bytes + plain.len() - chunk.len();
                *chunk = plain;
            }
            Err(_) => {
                let Some(message) = wire::Messages::new(chunk).next() else { return };
                let items = nyx_protocol::compress::items(message.payload).into();
                pull.bytes -= chunk.len();
                pull.items -= items;
                let mut drops = Drops::default();
                drops.add(Reason::Unreadable, items);
                self.count_drops(&drops);
                pull.drops.merge(&drops);
                pull.first_dropped.get_or_insert(message.header.sequence.into());
                pull.chunks.clear();
            }
        }
    }

    fn pull_stored(
        &self,
        key: usize,
        terms: &Terms,
        taker: Option<&mut Taker>,
        trail: Option<&mut Trail>,
        pull: &mut Pull,
    ) -> bool {
        let mut inside = self.inside.lock();
        let Inside { store, audience, tally, trails, .. } = &mut *inside;
        let Some(reader) = audience.get_mut(key) else { return false };
        let mut kept_waiting = false;
        let more = match (store, &mut reader.place) {
            (Store::Ring(ring), Place::Ring(cursor)) => {
                let from = cursor.offset();
                match self.spec.kind {
                    Kind::Frame => policy::frames(ring, cursor, terms, pull),
                    Kind::Audio => policy::audio(ring, cursor, terms, pull),
                    Kind::Event | Kind::State => policy::events(ring, cursor, terms, pull),
                }
                if let Some(trail) = trail {
                    *trail = trails.of_item(cursor.sequence().saturating_sub(1));
                }
                let more = !cursor.is_at_head(ring);
                if self.is_lossless() {
                    let appended = ring.appended_bytes();
                    kept_waiting = audience.handle_progress(terms.now, key, from, appended, self.patience);
                }
                more
            }
            (Store::Document(shelf), Place::Document(base)) => {
                let version = shelf.document().version();
                if version > 0 && *base != Some(version) {
                    let message = match taker {
                        Some(taker) => {
                            let make = || Encoder::new(self.engine.clone(), self.id, self.pin);
                            shelf.block_from(terms.now, *base, self.id, taker, make)
                        }
                        None => shelf.message_from(*base, self.id),
                    };
                    pull.bytes += message.len();
                    pull.items += 1;
                    pull.oldest = Some(terms.now);
                    pull.chunks.push(message);
                    if let Some(trail) = trail {
                        *trail = trails.since_version(*base);
                    }
                    if let Some(base) = *base {
                        pull.drops.add(Reason::Conflated, version - base - 1);
                    }
                    *base = Some(version);
                }
                false
            }
            _ => false,
        };
        tally.drops.merge(&pull.drops);
        if !more {
            audience.arm(key, kept_waiting);
        }
        more
    }
}
