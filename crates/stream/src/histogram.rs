//! How values are spread, in constant space.

/// A log-linear histogram of unsigned values: values to 15 are exact, larger ones are kept to 1 part in 16.
///
/// The layout is HdrHistogram's (Tene): each power of two is cut into 16 equal buckets. A quantile is off by at most 1/32 of
/// its value, half a bucket. 1.9 KiB, whatever is recorded; values over 2³⁴ count as 2³⁴ (nearly five hours in microseconds).
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
    total: u64,
}

const SUB_BITS: u32 = 4;
const SUB: usize = 1 << SUB_BITS;
const TOP_BIT: u32 = 34;
const BUCKETS: usize = SUB * (TOP_BIT - SUB_BITS + 1) as usize;

impl Histogram {
    /// Nothing recorded.
    pub fn new() -> Self {
        Self { counts: Box::new([0; BUCKETS]), total: 0 }
    }

    /// Counts a value. O(1).
    pub fn record(&mut self, value: u64) {
        let count = &mut self.counts[bucket(value)];
        *count = count.saturating_add(1);
        self.total = self.total.saturating_add(1);
    }

    /// How many values were recorded.
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// Counts all that another has counted.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts.iter()) {
            *count = count.saturating_add(*more);
        }
        self.total = self.total.saturating_add(other.total);
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.counts.fill(0);
        self.total = 0;
    }

    /// The value that this share (0 to 1) of the recorded values does not exceed; `None` if nothing was recorded. O(buckets).
    pub fn quantile(&self, share: f64) -> Option<u64> {
        let rank = ((share.clamp(0.0, 1.0) * self.total as f64).ceil() as u64).max(1);
        let mut seen = 0;
        let found = self.counts.iter().position(|count| {
            seen += u64::from(*count);
            seen >= rank
        });
        found.map(middle)
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

fn bucket(value: u64) -> usize {
    let value = value.min((1 << TOP_BIT) - 1);
    if value < SUB as u64 {
        return value as usize;
    }
    let shift = value.ilog2() - SUB_BITS;
    (shift as usize) * SUB + (value >> shift) as usize
}

fn middle(bucket: usize) -> u64 {
    if bucket < SUB {
        return bucket as u64;
    }
    let shift = bucket / SUB - 1;
    let low = ((bucket - shift * SUB) as u64) << shift;
    low + (1 << shift) / 2
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn quantiles_are_off_by_at_most_a_32nd(mut values in prop::collection::vec(0u64..1_000_000_000, 1..300), share in 0.0f64..1.0) {
            let mut histogram = Histogram::new();
            values.iter().for_each(|value| histogram.record(*value));
            values.sort_unstable();
            let rank = ((share * values.len() as f64).ceil() as usize).max(1);
            let exact = values[rank - 1];
            let got = histogram.quantile(share).unwrap();
            prop_assert!(got.abs_diff(exact) <= exact / 32 + 1, "{got} for {exact}");
        }
    }

    #[test]
    fn extremes_fit() {
        let mut histogram = Histogram::new();
        assert_eq!(histogram.quantile(0.5), None);
        histogram.record(0);
        assert_eq!(histogram.quantile(0.5), Some(0));
        histogram.record(u64::MAX);
        assert!(histogram.quantile(1.0).is_some_and(|value| value > 1 << 33));
    }
}
