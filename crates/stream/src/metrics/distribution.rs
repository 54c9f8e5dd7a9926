//! How the values of a histogram are spread, at one moment.

use super::histogram::Spread;
use super::layout;

/// A histogram in a [`Snapshot`](super::Snapshot).
///
/// ```
/// use nyx_core::Instant;
/// use nyx_stream::metrics::{Metric, RegisterError, Registry};
///
/// let registry = Registry::new();
/// let sizes = registry.histogram(Metric::new("size", "Size of items"))?;
/// (1..=4).for_each(|size| sizes.record(size));
///
/// let snapshot = registry.snapshot(Instant::ZERO);
/// let sizes = snapshot.histogram("size", &[]).unwrap();
/// assert_eq!((sizes.count(), sizes.sum(), sizes.mean()), (4, 10, Some(2.5)));
/// assert_eq!(sizes.quantiles([0.5, 1.0]), [Some(2), Some(4)]);
/// assert_eq!(sizes.quantile(0.75), Some(3));
/// assert_eq!(sizes.count_below(3), 2);
/// assert_eq!(sizes.buckets().collect::<Vec<_>>(), [(1, 1), (2, 1), (3, 1), (4, 1)]);
/// # Ok::<(), RegisterError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Distribution<'a> {
    spread: Spread,
    counts: &'a [u64],
}

impl<'a> Distribution<'a> {
    pub(super) const fn new(spread: Spread, counts: &'a [u64]) -> Self {
        Self { spread, counts }
    }

    /// How many values there are.
    pub const fn count(&self) -> u64 {
        self.spread.count
    }

    /// All values added up, exactly; at most 2⁶⁴ - 1. What was recorded while the snapshot was taken may be in it and not in the count.
    pub const fn sum(&self) -> u64 {
        self.spread.sum
    }

    /// The mean; `None` if there are no values.
    pub fn mean(&self) -> Option<f64> {
        (self.count() > 0).then(|| self.sum() as f64 / self.count() as f64)
    }

    /// The value that this share (0 to 1) of the values does not exceed, off by at most 1/32; `None` if there are no values or the
    /// share is no number. O(buckets in use).
    pub fn quantile(&self, share: f64) -> Option<u64> {
        let [found] = self.quantiles([share]);
        found
    }

    /// Several quantiles, in one pass. O(buckets in use).
    pub fn quantiles<const N: usize>(&self, shares: [f64; N]) -> [Option<u64>; N] {
        layout::quantiles(self.counts, self.spread.first, self.spread.count, shares)
    }

    /// How many values are below `bound`. Exact where the bound is a power of two or at most 32; else some of the values within 1/16 under
    /// the bound are left out. O(buckets in use).
    pub fn count_below(&self, bound: u64) -> u64 {
        if bound > layout::VALUE_MAX {
            return self.count();
        }
        let end = layout::index(bound).saturating_sub(self.spread.first).min(self.counts.len());
        self.counts[..end].iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// The buckets that have values, in rising order: the smallest value that each may have, and how many it has.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> + use<'a> {
        let first = self.spread.first;
        let counts = self.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        counts.map(move |(place, count)| (layout::lowest(first + place), *count))
    }
}
