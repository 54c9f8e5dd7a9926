//! How values are spread, recorded by many threads.

use std::fmt;
use std::sync::Arc;

use super::counter::{add_alone, add_among_others};
use super::layout::{self, BUCKETS};
use super::slot::{self, SHARED};
use crate::sync::OnceLock;
use crate::sync::atomic::Ordering::Relaxed;
use crate::sync::atomic::{AtomicU32, AtomicU64};

/// A log-linear histogram of unsigned values that threads record into at the same time. Clones record together.
///
/// Values to 31 are exact, quantiles of larger ones are off by at most 1/32, and what is over 2³⁶ counts as that. Each thread writes to a shard of
/// its own, which is made when it first records: 4.3 KiB each, and a few hundred bytes for the histogram itself, whatever is recorded. A
/// thousand histograms that two threads record into take 9 MB.
///
/// It is read by way of a [`Snapshot`](super::Snapshot), which looks only at the buckets between the smallest and the largest value. For a
/// histogram that has one owner see [`local::Histogram`](super::local::Histogram).
///
/// ```
/// use nyx_core::Instant;
/// use nyx_stream::metrics::{Metric, Registry, Unit};
///
/// let registry = Registry::new();
/// let ages = registry.histogram(Metric::new("age", "Age at delivery").with_unit(Unit::Micros))?;
/// (1..=1000).for_each(|age| ages.record(age));
///
/// let snapshot = registry.snapshot(Instant::ZERO);
/// let [p50, p99] = snapshot.histogram("age", &[]).unwrap().quantiles([0.5, 0.99]);
/// assert!(p50.unwrap().abs_diff(500) <= 500 / 32 && p99.unwrap().abs_diff(990) <= 990 / 32);
/// # Ok::<(), nyx_stream::metrics::RegisterError>(())
/// ```
#[derive(Clone)]
pub struct Histogram {
    shards: Arc<[OnceLock<Box<Shard>>]>,
}

impl Histogram {
    /// An empty histogram, in no registry.
    ///
    /// ```
    /// assert_eq!(nyx_stream::metrics::Histogram::new().count(), 0);
    /// ```
    pub fn new() -> Self {
        Self { shards: (0..slot::shards()).map(|_| OnceLock::new()).collect() }
    }

    /// Counts a value. O(1), wait-free for the threads that have a shard of their own.
    ///
    /// ```
    /// let sizes = nyx_stream::metrics::Histogram::new();
    /// sizes.record(0);
    /// sizes.record(u64::MAX);
    /// assert_eq!(sizes.count(), 2);
    /// ```
    #[inline]
    pub fn record(&self, value: u64) {
        match self.shards.get(slot::current()).and_then(OnceLock::get) {
            Some(own) => own.record_alone(value),
            None => self.record_slowly(value),
        }
    }

    /// The first value of a thread, and all of those that got no shard.
    #[cold]
    #[inline(never)]
    fn record_slowly(&self, value: u64) {
        match self.shards.get(slot::claim()) {
            Some(own) => own.get_or_init(Box::default).record_alone(value),
            None => self.shards[SHARED].get_or_init(Box::default).record_among_others(value),
        }
    }

    /// How many values were recorded. O(shards × buckets in use).
    ///
    /// ```
    /// let sizes = nyx_stream::metrics::Histogram::new();
    /// sizes.record(1);
    /// assert_eq!(sizes.count(), 1);
    /// ```
    pub fn count(&self) -> u64 {
        self.collect(&mut Vec::new()).count
    }

    /// Appends the counts of all buckets in use to `counts`.
    pub(super) fn collect(&self, counts: &mut Vec<u64>) -> Spread {
        let offset = counts.len();
        let shards = || self.shards.iter().filter_map(OnceLock::get);
        let (mut first, mut end) = (BUCKETS, 0);
        for shard in shards() {
            first = first.min(shard.first.load(Relaxed) as usize);
            end = end.max(shard.end.load(Relaxed) as usize);
        }
        // The range may be upside down while a shard's first value is being recorded. A value that is recorded meanwhile may lie
        // outside; the next snapshot has it.
        let end = end.max(first);
        let mut sum = 0u64;
        for shard in shards() {
            let these = shard.counts[first..end].iter().map(|count| count.load(Relaxed));
            if counts.len() == offset {
                counts.extend(these);
            } else {
                counts[offset..]
                    .iter_mut()
                    .zip(these)
                    .for_each(|(count, more)| *count = count.saturating_add(more));
            }
            sum = sum.saturating_add(shard.sum.load(Relaxed));
        }
        let count = layout::sum(&counts[offset..]);
        Spread { offset, first, len: end - first, count, sum }
    }
}

/// Where the counts of a histogram are in a snapshot, and what they come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Spread {
    pub(super) offset: usize,
    /// The bucket of the first count.
    pub(super) first: usize,
    pub(super) len: usize,
    pub(super) count: u64,
    /// Of the values as they were recorded.
    pub(super) sum: u64,
}

/// What one thread has recorded, or all that have no shard of their own.
#[repr(align(128))]
struct Shard {
    /// Buckets below it were never touched.
    first: AtomicU32,
    /// Nor were those from here on.
    end: AtomicU32,
    sum: AtomicU64,
    counts: [AtomicU64; BUCKETS],
}

impl Shard {
    #[inline]
    fn record_alone(&self, value: u64) {
        let bucket = layout::index(value);
        add_alone(&self.counts[bucket], 1);
        add_alone(&self.sum, value);
        // Stored only when it extends: nearly never, and a branch that is foreseen costs less than a store.
        let bucket = bucket as u32;
        if bucket < self.first.load(Relaxed) {
            self.first.store(bucket, Relaxed);
        }
        if bucket >= self.end.load(Relaxed) {
            self.end.store(bucket + 1, Relaxed);
        }
    }

    fn record_among_others(&self, value: u64) {
        let bucket = layout::index(value);
        self.counts[bucket].fetch_add(1, Relaxed);
        add_among_others(&self.sum, value);
        let bucket = bucket as u32;
        // Who sees that another has extended the range need not do it: whoever sees this thread's count by happens-before sees that store too.
        if bucket < self.first.load(Relaxed) {
            self.first.fetch_min(bucket, Relaxed);
        }
        if bucket >= self.end.load(Relaxed) {
            self.end.fetch_max(bucket + 1, Relaxed);
        }
    }
}

impl Default for Shard {
    fn default() -> Self {
        let counts = std::array::from_fn(|_| AtomicU64::new(0));
        Self { first: AtomicU32::new(BUCKETS as u32), end: AtomicU32::new(0), sum: AtomicU64::new(0), counts }
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Histogram").field("count", &self.count()).finish_non_exhaustive()
    }
}
