//! How often something happened.

use std::fmt;
use std::sync::Arc;

use super::slot::{self, Padded, SHARED};
use crate::sync::atomic::AtomicU64;
use crate::sync::atomic::Ordering::Relaxed;

/// A number that only grows. Clones count together.
///
/// Each thread adds to a shard of its own, on cache lines of its own, so an addition costs a load and a store however many threads
/// count. [`get`](Self::get) adds the shards up: two calls on one thread never go backwards, and what happened before a call is in
/// what it returns. At 2⁶⁴ - 1 it stays.
///
/// Memory: 128 bytes for each of twice as many threads as there are processors (4 to 63), and 128 for all others together. Not for signal handlers:
/// one that interrupts an addition on its own thread is lost.
///
/// ```
/// use nyx_stream::metrics::Counter;
///
/// let frames = Counter::new();
/// std::thread::scope(|scope| {
///     scope.spawn(|| frames.add(2));
///     scope.spawn(|| frames.inc());
/// });
/// assert_eq!(frames.get(), 3);
/// ```
#[derive(Clone)]
pub struct Counter {
    shards: Arc<[Padded<AtomicU64>]>,
}

impl Counter {
    /// A counter at zero, in no registry.
    ///
    /// ```
    /// assert_eq!(nyx_stream::metrics::Counter::new().get(), 0);
    /// ```
    pub fn new() -> Self {
        Self { shards: (0..slot::shards()).map(|_| Padded(AtomicU64::new(0))).collect() }
    }

    /// Counts one. O(1), wait-free.
    ///
    /// ```
    /// let counter = nyx_stream::metrics::Counter::new();
    /// counter.inc();
    /// assert_eq!(counter.get(), 1);
    /// ```
    #[inline]
    pub fn inc(&self) {
        self.add(1);
    }

    /// Counts several. O(1), wait-free for the threads that have a shard of their own.
    ///
    /// ```
    /// let counter = nyx_stream::metrics::Counter::new();
    /// counter.add(u64::MAX);
    /// counter.add(2);
    /// assert_eq!(counter.get(), u64::MAX);
    /// ```
    #[inline]
    pub fn add(&self, count: u64) {
        match self.shards.get(slot::current()) {
            Some(own) => add_alone(&own.0, count),
            None => self.add_slowly(count),
        }
    }

    /// The first addition of a thread, and all of those that got no shard.
    #[cold]
    #[inline(never)]
    fn add_slowly(&self, count: u64) {
        match self.shards.get(slot::claim()) {
            Some(own) => add_alone(&own.0, count),
            None => add_among_others(&self.shards[SHARED].0, count),
        }
    }

    /// How many there were. O(shards).
    ///
    /// ```
    /// let counter = nyx_stream::metrics::Counter::new();
    /// counter.add(7);
    /// assert_eq!(counter.get(), 7);
    /// ```
    pub fn get(&self) -> u64 {
        self.shards.iter().fold(0, |sum: u64, shard| sum.saturating_add(shard.0.load(Relaxed)))
    }
}

/// Adds to what only this thread writes.
#[inline]
pub(super) fn add_alone(counter: &AtomicU64, count: u64) {
    counter.store(counter.load(Relaxed).saturating_add(count), Relaxed);
}

/// Adds to what other threads write as well.
pub(super) fn add_among_others(counter: &AtomicU64, count: u64) {
    // It never fails: the closure always has a value.
    let _ = counter.fetch_update(Relaxed, Relaxed, |present| Some(present.saturating_add(count)));
}

impl Default for Counter {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Counter").field(&self.get()).finish()
    }
}
