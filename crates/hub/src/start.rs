//! Where a reader begins, also in the middle of a run.

use bytes::Bytes;
use nyx_core::Instant;
use nyx_protocol::wire;
use nyx_stream::policy::{Pull, Terms};
use nyx_stream::{Reason, Ring};

/// Where a reader begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// With what comes next, or, for frames and state, the newest that there is.
    Now,
    /// With the first item: it had subscribed before the topic was created.
    Beginning,
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
    pub(crate) count: u32,
    /// The number of the first.
    pub(crate) sequence: u64,
    pub(crate) born: Instant,
}

impl Rest {
    /// The messages from `sequence` to the end of its run, if it is not the first of it.
    pub(crate) fn of_run(ring: &Ring, sequence: u64) -> Option<Self> {
        let entry = ring.containing(sequence).filter(|entry| entry.sequence < sequence)?;
        let before = (sequence - entry.sequence) as usize;
        let skip: usize =
            wire::Messages::new(&entry.bytes).take(before).map(|m| m.header.message_len()).sum();
        let count = entry.count - before as u32;
        Some(Self { bytes: entry.bytes.slice(skip..), count, sequence, born: entry.born })
    }

    /// Takes it, if it is not too old.
    pub(crate) fn pull(self, terms: &Terms, pull: &mut Pull) {
        if terms.max_age.is_some_and(|max_age| terms.now.since(self.born) > max_age) {
            pull.drops.add(Reason::Expired, self.count.into());
            pull.first_dropped = Some(self.sequence);
            return;
        }
        pull.bytes += self.bytes.len();
        pull.items += u64::from(self.count);
        pull.oldest = Some(self.born);
        pull.chunks.push(self.bytes);
    }
}
