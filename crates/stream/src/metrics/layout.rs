//! How values are cut into buckets, and how quantiles are read from them. The one place that knows.
//!
//! The layout is that of HdrHistogram (G. Tene): each power of two is cut into the same number of equal buckets, so that the
//! error is relative, and finding a bucket takes a bit scan and a shift.

/// Buckets in each power of two: 2⁴. Values to 31 are exact, and half a bucket is at most 1/32 of its values.
const SUB_BITS: u32 = 4;
const SUB: usize = 1 << SUB_BITS;

/// Over a minute in nanoseconds, 19 hours in microseconds, 64 GiB in bytes.
const TOP_BIT: u32 = if cfg!(loom) { 6 } else { 36 };

/// The largest value that is told from others.
pub(super) const VALUE_MAX: u64 = (1 << TOP_BIT) - 1;

pub(super) const BUCKETS: usize = SUB * (TOP_BIT - SUB_BITS + 1) as usize;

/// Counts that are added up at once when a quantile is looked for: long enough for vector instructions to pay.
const BLOCK: usize = 16;

/// The bucket of a value.
#[inline]
pub(super) const fn index(value: u64) -> usize {
    let value = if value < VALUE_MAX { value } else { VALUE_MAX };
    // All below 2 × SUB lie in buckets of width one: setting the bit of SUB gives them shift zero.
    let shift = (value | SUB as u64).ilog2() - SUB_BITS;
    shift as usize * SUB + (value >> shift) as usize
}

/// The smallest value of a bucket, and how many values it spans.
const fn span(bucket: usize) -> (u64, u64) {
    if bucket < 2 * SUB {
        return (bucket as u64, 1);
    }
    let shift = bucket / SUB - 1;
    (((bucket - shift * SUB) as u64) << shift, 1 << shift)
}

/// The smallest value of a bucket.
pub(super) const fn lowest(bucket: usize) -> u64 {
    span(bucket).0
}

/// The value that stands for all of a bucket.
const fn middle(bucket: usize) -> u64 {
    let (lowest, width) = span(bucket);
    lowest + width / 2
}

/// The values that these shares of `total` do not exceed, found in one pass over `counts`, which begin at bucket `first`.
pub(super) fn quantiles<C: Copy + Into<u64>, const N: usize>(
    counts: &[C],
    first: usize,
    total: u64,
    shares: [f64; N],
) -> [Option<u64>; N] {
    let ranks = shares.map(|share| rank(share, total));
    let mut found = [None; N];
    let mut seen = 0u64;
    for (number, block) in counts.chunks(BLOCK).enumerate() {
        let end = seen.saturating_add(sum(block));
        for (rank, found) in ranks.iter().zip(&mut found) {
            if seen < *rank && *rank <= end {
                *found = Some(middle(first + number * BLOCK + place(block, rank - seen)));
            }
        }
        seen = end;
    }
    found
}

/// All counts together. Wrapping: a bucket counts single events, of which 2⁶⁴ don't happen.
pub(super) fn sum<C: Copy + Into<u64>>(counts: &[C]) -> u64 {
    counts.iter().fold(0, |sum, count| sum.wrapping_add((*count).into()))
}

/// Which of `total` ordered values a share asks for, from one; zero: none.
fn rank(share: f64, total: u64) -> u64 {
    if share.is_nan() || total == 0 {
        return 0;
    }
    ((share.clamp(0.0, 1.0) * total as f64).ceil() as u64).clamp(1, total)
}

/// Where the value of `rank` is in a block that holds it.
fn place<C: Copy + Into<u64>>(block: &[C], rank: u64) -> usize {
    let mut seen = 0u64;
    let found = block.iter().position(|count| {
        seen = seen.saturating_add((*count).into());
        seen >= rank
    });
    found.unwrap_or(0)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn buckets_follow_each_other_without_gap() {
        for bucket in 0..BUCKETS {
            let (lowest, width) = span(bucket);
            assert_eq!((index(lowest), index(lowest + width - 1)), (bucket, bucket));
            assert!(bucket + 1 == BUCKETS || index(lowest + width) == bucket + 1);
        }
        assert_eq!(index(u64::MAX), BUCKETS - 1);
    }

    proptest! {
        #[test]
        fn a_bucket_is_off_by_at_most_a_32nd(value in 0..=VALUE_MAX) {
            prop_assert!(middle(index(value)).abs_diff(value) <= value / 32);
        }

        #[test]
        fn quantiles_found_together_are_those_found_alone(
            counts in prop::collection::vec(0u64..5, 0..200), shares in prop::array::uniform4(0.0f64..=1.0),
        ) {
            let total = sum(&counts);
            let together = quantiles(&counts, 7, total, shares);
            for (share, found) in shares.into_iter().zip(together) {
                prop_assert_eq!(quantiles(&counts, 7, total, [share]), [found]);
                prop_assert_eq!(found.is_some(), total > 0);
            }
        }
    }
}
