//! A topic: what it is, what it keeps, who reads it.

mod baseline;
mod counts;
mod packing;
mod pulling;
mod succession;
mod trails;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use nyx_core::Instant;
use nyx_core::pool::Pool;
use nyx_protocol::choose::Pin;
use nyx_protocol::state::{Patch, PatchError, Value};
use nyx_protocol::topic::Name;
use nyx_protocol::trail::Trail;
use nyx_protocol::wire::{self, Flags, Header, Kind, Run};
use nyx_stream::{Cursor, Lane, Ring, ring};
use parking_lot::Mutex;

use crate::audience::{Audience, Patience, Place};
use crate::compression::{Engine, Opaque, Plain};
use crate::config::Config;
use crate::document::{Patched, Shelf};
use crate::shared::Shared;
use crate::spec::Spec;
use crate::start::{Joined, Rest, Start};
use crate::tally::Tally;

pub(crate) use baseline::{Baseline, Ticket};
pub(crate) use counts::Count;
pub use succession::Kept;
pub(crate) use succession::{Fit, Former, Origin, Publication};
use trails::Trails;

/// A topic of a [`Hub`](crate::Hub).
pub struct Topic {
    pub(crate) id: u32,
    pub(crate) name: Name,
    pub(crate) spec: Spec,
    pub(crate) max_age: Option<Duration>,
    pub(crate) lane: Lane,
    pub(crate) epoch: u64,
    /// If others had its name before: the number of its first item.
    pub(crate) begins: Option<u64>,
    /// Where runs are copied to that would pin more than they are.
    copies: Pool,
    patience: Patience,
    engine: Arc<Engine>,
    /// What is allowed to be compressed by.
    pin: Pin,
    /// Whether a publisher has sent blocks.
    packed: AtomicBool,
    plain: Plain,
    message_bytes: usize,
    /// Once an opaque payload went to a slow subscriber.
    opaque: Mutex<Option<Box<Opaque>>>,
    inside: Mutex<Inside>,
}

struct Inside {
    store: Store,
    audience: Audience,
    /// How many publish it.
    publications: u64,
    tally: Tally,
    trails: Trails,
}

/// Who publishes.
#[derive(Clone, Copy)]
pub(crate) struct Author<'a> {
    /// Is woken when it may try again.
    pub(crate) session: Option<&'a Arc<Shared>>,
    /// Which hubs it has passed.
    pub(crate) trail: &'a Trail,
}

enum Store {
    Ring(Ring),
    Document(Box<Shelf>),
    /// A successor has its name.
    Gone,
}

/// Why a run was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Untaken {
    /// Publishers have to wait, until this moment at most.
    Wait(Instant),
    /// A successor has its name.
    Gone,
}

/// Bytes after which a run is cut, so that a subscriber of few bytes at a time need not take a whole read buffer at once.
const RUN_BYTES: usize = 64 * 1024;

impl Topic {
    pub(crate) fn new(
        id: u32,
        name: Name,
        spec: Spec,
        origin: Origin,
        config: &Config,
        copies: Pool,
        engine: Arc<Engine>,
    ) -> Self {
        let mut trails = Trails::default();
        let (epoch, begins, store, tally) = match (origin, spec.kind) {
            (Origin::Former(former), _) => {
                trails = former.trails;
                (former.epoch, Some(former.ring.next_sequence()), Store::Ring(former.ring), former.tally)
            }
            (Origin::New { epoch }, Kind::State) => {
                let shelf = Shelf::new(epoch, config.document.clone());
                (epoch, None, Store::Document(Box::new(shelf)), Tally::default())
            }
            (Origin::New { epoch }, _) => {
                let ring = Ring::new(ring::Limits::new(config.topic_bytes, config.topic_entries));
                (epoch, None, Store::Ring(ring), Tally::default())
            }
        };
        Self {
            id,
            pin: engine.config.pin_of(&name),
            engine,
            packed: AtomicBool::new(false),
            plain: Plain::default(),
            message_bytes: config.message_bytes,
            opaque: Mutex::new(None),
            name,
            max_age: spec.max_age.or(config.max_age(spec.kind)).filter(|_| spec.kind != Kind::State),
            lane: spec.lane.unwrap_or(spec.kind.lane()),
            spec,
            epoch,
            begins,
            copies,
            patience: Patience { lag_bytes: lag_bytes(config), patience: config.patience },
            inside: Mutex::new(Inside {
                store,
                audience: Audience::default(),
                publications: 0,
                tally,
                trails,
            }),
        }
    }

    /// Its name.
    pub const fn name(&self) -> &Name {
        &self.name
    }

    /// What it carries.
    pub const fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Whether what a subscriber gets should be as fresh as can be, if it wants items that are at most so old.
    pub(crate) const fn is_fresh(&self, max_age: Option<Duration>) -> bool {
        max_age.is_some() || matches!(self.spec.kind, Kind::State)
    }

    /// Publishers of this topic wait for its subscribers, for a while.
    const fn is_lossless(&self) -> bool {
        matches!(self.spec.kind, Kind::Event) && self.max_age.is_none()
    }

    /// Whether the configuration has it that nothing of this topic is compressed.
    pub(crate) fn rules_out_compression(&self) -> bool {
        self.pin == Pin::Off
    }

    /// Takes `run` off the front of `buffer` into the ring; copies it if it is small against the memory of `pinned` bytes that
    /// it would keep. `content` is what a run that is a block holds, which was checked. Returns the number of its first item.
    ///
    /// # Errors
    /// Publishers have to wait, and the author is woken when it may try again; or a successor has the name. Nothing was taken.
    pub(crate) fn publish_run(
        &self,
        now: Instant,
        buffer: &mut BytesMut,
        run: Run,
        pinned: usize,
        author: Author<'_>,
        content: Option<usize>,
    ) -> Result<u64, Untaken> {
        let mut inside = self.inside.lock();
        let Inside { store: Store::Ring(ring), audience, tally, trails, .. } = &mut *inside else {
            debug_assert!(matches!(inside.store, Store::Gone), "a session compares kinds first");
            return Err(Untaken::Gone);
        };
        if self.is_lossless() {
            let admitted = audience.admit(now, ring.appended_bytes(), self.patience, author.session);
            admitted.map_err(Untaken::Wait)?;
        }
        tally.messages += u64::from(run.count);
        tally.bytes += run.len as u64;
        if let Some(content) = content {
            self.packed.store(true, Ordering::Relaxed);
            tally.blocks.messages += 1;
            tally.blocks.before_bytes += content as u64;
            tally.blocks.after_bytes += run.len as u64;
        }
        let first = ring.next_sequence();
        trails.note_items(first, ring.first_sequence(), author.trail);
        let copied = run.len < pinned / 4;
        let mut left = run.len;
        while left > 0 {
            let sequence = ring.next_sequence() as u32;
            let (len, count) = wire::patch_run(&mut buffer[..left], self.id, sequence, RUN_BYTES);
            let keyframe = Flags::KEYFRAME_BIT & buffer[1] != 0;
            let bytes = if copied {
                let bytes = self.copies.copy_from_slice(&buffer[..len]);
                buffer.advance(len);
                bytes
            } else {
                buffer.split_to(len).freeze()
            };
            ring.append(
                now,
                bytes,
                count,
                keyframe,
                if copied { self.copies.copy_cost(len) } else { pinned },
            );
            left -= len;
        }
        audience.notify();
        Ok(first)
    }

    /// Applies a patch to the document. Says whether that changed anything, and which version there is now.
    pub(crate) fn publish_patch(
        &self,
        patch: &Patch,
        wire_bytes: usize,
        trail: &Trail,
    ) -> Result<(bool, u64), PatchError> {
        let mut inside = self.inside.lock();
        let Inside { store: Store::Document(shelf), audience, tally, trails, .. } = &mut *inside else {
            debug_assert!(false, "a session compares kinds first");
            return Ok((false, 0));
        };
        let patched = shelf.patch(patch)?;
        tally.messages += 1;
        tally.bytes += wire_bytes as u64;
        let version = shelf.document().version();
        match patched {
            Patched::Unchanged => return Ok((false, version)),
            Patched::Changed => trails.note_version(version, trail),
            Patched::Renewed => {
                trails.restart(trail);
                audience.forget_bases();
            }
        }
        audience.notify();
        Ok((true, version))
    }

    /// Adds a reader, which wants items that are at most `max_age` old. It is asked once whether there is something for it already. `None`: a
    /// successor has the name.
    pub(crate) fn join(
        &self,
        session: &Arc<Shared>,
        slot: u32,
        start: Start,
        max_age: Option<Duration>,
        says_what_arrived: bool,
    ) -> Option<Joined> {
        let mut inside = self.inside.lock();
        let Inside { store, audience, trails, .. } = &mut *inside;
        let mut epoch = self.epoch;
        let (place, position, rest) = match store {
            Store::Document(shelf) => {
                let document = shelf.document();
                epoch = document.epoch();
                let base = match start {
                    Start::Resume { epoch, position } if epoch == document.epoch() => Some(position),
                    _ => None,
                };
                let base = base.filter(|base| *base <= document.version());
                let place = match says_what_arrived {
                    true => Place::Baseline(Baseline::at(base)),
                    false => Place::Document(base),
                };
                (place, base.unwrap_or(0), None)
            }
            Store::Gone => return None,
            Store::Ring(ring) => {
                let (cursor, position, rest) = match (self.spec.kind, start) {
                    (Kind::Event, Start::Resume { epoch, position })
                        if epoch == self.epoch && position <= ring.next_sequence() =>
                    {
                        let rest = Rest::of_run(ring, position, || trails.of_item(position));
                        (Cursor::after(ring, position), position, rest)
                    }
                    (Kind::Frame, Start::Now | Start::Resume { .. }) => {
                        let cursor = Cursor::at_latest_keyframe(ring);
                        (cursor, cursor.sequence(), None)
                    }
                    (_, Start::Beginning) => (Cursor::after(ring, 0), 0, None),
                    (_, Start::After(former)) => (Cursor::after(ring, former), former, None),
                    _ => (Cursor::at_head(ring), ring.next_sequence(), None),
                };
                (Place::Ring(cursor), position, rest)
            }
        };
        let lossless = self.is_lossless() && max_age.is_none();
        let key = audience.join(session.clone(), slot, place, lossless, says_what_arrived);
        Some(Joined { key, epoch, position, rest })
    }

    pub(crate) fn leave(&self, key: usize) {
        let mut inside = self.inside.lock();
        let Inside { store, audience, .. } = &mut *inside;
        let appended = match store {
            Store::Ring(ring) => ring.appended_bytes(),
            Store::Document(_) | Store::Gone => 0,
        };
        audience.leave(key, appended, self.patience);
    }

    /// Reader `key` could not apply what it got: it is sent a snapshot next.
    pub(crate) fn forget_base(&self, key: usize) {
        if let Some(reader) = self.inside.lock().audience.get_mut(key) {
            reader.forget_base();
        }
    }

    pub(crate) fn value(&self) -> Option<Value> {
        match &self.inside.lock().store {
            Store::Document(shelf) => (shelf.document().version() > 0).then(|| shelf.document().value()),
            Store::Ring(_) | Store::Gone => None,
        }
    }

    /// The newest item as a whole plain message.
    pub(crate) fn latest(&self) -> Option<Bytes> {
        let run = match &self.inside.lock().store {
            Store::Ring(ring) => ring.latest()?.bytes.clone(),
            Store::Document(_) | Store::Gone => return None,
        };
        let run = self.plain.of(&run, self.message_bytes).ok()?;
        let last = wire::Messages::new(&run).last()?;
        let len = last.header.message_len();
        Some(run.slice(run.len() - len..))
    }

    /// The header that an item published by the hub's owner has.
    pub(crate) const fn header(&self) -> Header {
        Header { topic: self.id, ..Header::data(self.spec.kind) }
    }
}

/// How far live readers may be behind before the ring has to let go of what they have not got: an item pins at most four times its
/// length, and what one publisher brings at once comes on top, so the ring holds eight times this.
fn lag_bytes(config: &Config) -> u64 {
    let by_bytes = config.topic_bytes / 8;
    let by_entries = config.topic_entries / 2 * ring::ENTRY_OVERHEAD;
    config.lag_bytes.min(by_bytes as u64).min(by_entries as u64)
}
