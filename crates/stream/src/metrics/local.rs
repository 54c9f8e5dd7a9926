//! How values are spread, for one owner.

use super::layout::{self, BUCKETS};

/// A log-linear histogram of unsigned values, as a plain value.
///
/// Values to 31 are exact, quantiles of larger ones are off by at most 1/32, and what is over 2³⁶ counts as that (19 hours in microseconds).
/// 2.1 KiB, whatever is recorded. Counts stay at 2³² - 1 a bucket.
///
/// ```
/// use nyx_stream::Histogram;
///
/// let mut ages = Histogram::new();
/// for age in 1..=1000 {
///     ages.record(age);
/// }
/// let p99 = ages.quantile(0.99).unwrap();
/// assert!(p99.abs_diff(990) <= 990 / 32);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    counts: Box<[u32; BUCKETS]>,
    /// The buckets that may have counts, half-open.
    first: usize,
    end: usize,
    total: u64,
}

impl Histogram {
    /// Nothing recorded.
    ///
    /// ```
    /// assert_eq!(nyx_stream::Histogram::new().quantile(0.5), None);
    /// ```
    pub fn new() -> Self {
        Self { counts: Box::new([0; BUCKETS]), first: BUCKETS, end: 0, total: 0 }
    }

    /// Counts a value. O(1).
    ///
    /// ```
    /// let mut sizes = nyx_stream::Histogram::new();
    /// sizes.record(7);
    /// assert_eq!(sizes.quantile(0.5), Some(7));
    /// ```
    #[inline]
    pub fn record(&mut self, value: u64) {
        let bucket = layout::index(value);
        let count = &mut self.counts[bucket];
        *count = count.saturating_add(1);
        self.total = self.total.saturating_add(1);
        self.first = self.first.min(bucket);
        self.end = self.end.max(bucket + 1);
    }

    /// How many values were recorded.
    ///
    /// ```
    /// assert_eq!(nyx_stream::Histogram::new().total(), 0);
    /// ```
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// Counts all that another has counted. O(its buckets in use).
    ///
    /// ```
    /// use nyx_stream::Histogram;
    ///
    /// let (mut all, mut more) = (Histogram::new(), Histogram::new());
    /// more.record(3);
    /// all.merge(&more);
    /// assert_eq!(all, more);
    /// ```
    pub fn merge(&mut self, other: &Self) {
        let (first, end) = (other.first, other.end.max(other.first));
        for (count, more) in self.counts[first..end].iter_mut().zip(&other.counts[first..end]) {
            *count = count.saturating_add(*more);
        }
        self.first = self.first.min(other.first);
        self.end = self.end.max(other.end);
        self.total = self.total.saturating_add(other.total);
    }

    /// Forgets everything. O(buckets in use).
    ///
    /// ```
    /// let mut sizes = nyx_stream::Histogram::new();
    /// sizes.record(7);
    /// sizes.clear();
    /// assert_eq!(sizes, nyx_stream::Histogram::new());
    /// ```
    pub fn clear(&mut self) {
        let used = self.first..self.end.max(self.first);
        self.counts[used].fill(0);
        (self.first, self.end, self.total) = (BUCKETS, 0, 0);
    }

    /// The value that this share (0 to 1) of the recorded values does not exceed; `None` if nothing was recorded or the share
    /// is no number. O(buckets in use).
    ///
    /// ```
    /// let mut sizes = nyx_stream::Histogram::new();
    /// (1..=4).for_each(|size| sizes.record(size));
    /// assert_eq!(sizes.quantile(0.75), Some(3));
    /// ```
    pub fn quantile(&self, share: f64) -> Option<u64> {
        let [found] = self.quantiles([share]);
        found
    }

    /// Several quantiles, in one pass. O(buckets in use).
    ///
    /// ```
    /// let mut sizes = nyx_stream::Histogram::new();
    /// (1..=4).for_each(|size| sizes.record(size));
    /// assert_eq!(sizes.quantiles([1.0, 0.5]), [Some(4), Some(2)]);
    /// ```
    pub fn quantiles<const N: usize>(&self, shares: [f64; N]) -> [Option<u64>; N] {
        let used = &self.counts[self.first..self.end.max(self.first)];
        // Where a bucket has stopped counting there are fewer counts than values; ranks are among the counts.
        layout::quantiles(used, self.first, self.total.min(layout::sum(used)), shares)
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}
