//! Counters that cost the thread that counts no more than a plain addition.
//!
//! A thread's [`Counts`] have one writer, so an increment is a load and a store. What makes a sum over threads
//! meaningful is the order of reading: all returns are read before any take. A buffer is returned after it was taken,
//! and the store of a return releases what its thread knows, so whoever sees the return (acquire) sees the take as well,
//! on whichever thread it was. The number outstanding can then be too high for a moment, never negative.

use crate::sync::atomic::{AtomicU64, Ordering};

/// Buffers taken from what was held back, and returned.
pub(super) struct Counts {
    pub(super) hits: Counter,
    pub(super) returned: Counter,
}

impl Counts {
    pub(super) fn new() -> Self {
        Self { hits: Counter::new(), returned: Counter::new() }
    }
}

pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Adds one. Only for a counter that no other thread writes.
    #[inline]
    pub(super) fn bump(&self) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(1), Ordering::Release);
    }

    /// Adds to a counter that others may write too.
    pub(super) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Release);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// Hits and returns in all, the returns read first.
pub(super) fn sum<'a>(counts: impl Iterator<Item = &'a Counts> + Clone) -> (u64, u64) {
    let returned = counts.clone().map(|counts| counts.returned.get()).sum();
    let hits = counts.map(|counts| counts.hits.get()).sum();
    (hits, returned)
}
