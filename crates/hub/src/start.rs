//! Where a reader begins, also in the middle of a run.

use bytes::Bytes;
use nyx_core::Instant;
use nyx_protocol::trail::Trail;
use nyx_protocol::wire;
use nyx_stream::policy::{Pull, Terms};
use nyx_stream::{Reason, Ring};

use crate::compression::{Plain, is_block};

/// Where a reader begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// With what comes next, or, for frames and state, the newest that there is.
    Now,
    /// With the first item: it had subscribed before the topic was created.
    Beginning,
    /// With what a topic's successor begins: the item of this sequence.
    After(u64),
    /// State: after this version. Events: with the item of this sequence. With another epoch: as [`Now`](Self::Now).
    Resume { epoch: u64, position: u64 },
}

/// A reader's key in its topic, in which epoch and where it begins, and the rest of a run in the middle of which it goes on.
pub(crate) struct Joined {
    pub(crate) key: usize,
    pub(crate) epoch: u64,
    pub(crate) position: u64,
    pub(crate) rest: Option<Rest>,
}

/// The messages from the middle of a run on.
pub(crate) struct Rest {
    pub(crate) bytes: Bytes,
    /// Items at the front of `bytes`, which are a block, that are not part of it.
    pub(crate) skip: u32,
    pub(crate) count: u32,
    /// The number of the first.
    pub(crate) sequence: u64,
    pub(crate) born: Instant,
    /// Which hubs they have passed.
    pub(crate) trail: Trail,
}

impl Rest {
    /// The messages from `sequence`, which has this trail, to the end of its run, if it is not the first of it.
    pub(crate) fn of_run(ring: &Ring, sequence: u64, trail: impl FnOnce() -> Trail) -> Option<Self> {
        let entry = ring.containing(sequence).filter(|entry| entry.sequence < sequence)?;
        let before = (sequence - entry.sequence) as u32;
        let count = entry.count - before;
        let (born, trail) = (entry.born, trail());
        if is_block(&entry.bytes) {
            return Some(Self { bytes: entry.bytes.clone(), skip: before, count, sequence, born, trail });
        }
        let messages = wire::Messages::new(&entry.bytes).take(before as usize);
        let skipped: usize = messages.map(|message| message.header.message_len()).sum();
        Some(Self { bytes: entry.bytes.slice(skipped..), skip: 0, count, sequence, born, trail })
    }

    /// Takes it, if it is not too old. What is in a block is unpacked, whoever it is for: nobody gets an item twice.
    pub(crate) fn pull(self, plain: &Plain, limit: usize, terms: &Terms, pull: &mut Pull) {
        if terms.max_age.is_some_and(|max_age| terms.now.since(self.born) > max_age) {
            pull.drops.add(Reason::Expired, self.count.into());
            pull.first_dropped = Some(self.sequence);
            return;
        }
        let bytes = if self.skip == 0 { Ok(self.bytes) } else { plain.from(&self.bytes, self.skip, limit) };
        let Ok(bytes) = bytes else {
            pull.drops.add(Reason::Unreadable, self.count.into());
            pull.first_dropped = Some(self.sequence);
            return;
        };
        pull.bytes += bytes.len();
        pull.items += u64::from(self.count);
        pull.oldest = Some(self.born);
        pull.chunks.push(bytes);
    }
}
