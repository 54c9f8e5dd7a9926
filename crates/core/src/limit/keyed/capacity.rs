use thiserror::Error;

use super::table::{LockedShard, Set};
use crate::ByteSize;

/// How many keys a [`Keyed`](super::Keyed) limiter holds, and so how much memory. Nothing is allocated here, and all is O(1).
///
/// ```
/// use nyx_core::ByteSize;
/// use nyx_core::limit::Capacity;
///
/// assert_eq!(Capacity::keys(1_000_000)?.memory(), ByteSize::new(16_056_320));
/// assert_eq!(Capacity::within("16MiB".parse().unwrap())?.max_keys(), 1_046_528);
/// # Ok::<(), nyx_core::limit::CapacityError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    pub(super) shards: usize,
    pub(super) sets_per_shard: usize,
}

impl Capacity {
    /// Room for `keys` keys, rounded up to whole sets of eight and the same number of them in each shard.
    ///
    /// # Errors
    ///
    /// If it is zero or beyond the address space.
    ///
    /// ```
    /// use nyx_core::limit::{Capacity, CapacityError};
    ///
    /// assert_eq!(Capacity::keys(1_001)?.max_keys(), 1_024);
    /// assert_eq!(Capacity::keys(0), Err(CapacityError::Zero));
    /// # Ok::<(), nyx_core::limit::CapacityError>(())
    /// ```
    pub fn keys(keys: usize) -> Result<Self, CapacityError> {
        if keys == 0 {
            return Err(CapacityError::Zero);
        }
        Self::of_sets(keys.div_ceil(Set::WAYS), usize::div_ceil)
    }

    /// As many keys as fit into `memory`, locks included.
    ///
    /// # Errors
    ///
    /// If that is none, or it is beyond the address space.
    ///
    /// ```
    /// use nyx_core::ByteSize;
    /// use nyx_core::limit::Capacity;
    ///
    /// let capacity = Capacity::within(ByteSize::new(1_000_000))?;
    /// assert!(capacity.memory() <= ByteSize::new(1_000_000));
    /// # Ok::<(), nyx_core::limit::CapacityError>(())
    /// ```
    pub fn within(memory: ByteSize) -> Result<Self, CapacityError> {
        let bytes = memory.len();
        let shards = shards_for(bytes / size_of::<Set>());
        let sets = bytes.saturating_sub(shards * size_of::<LockedShard>()) / size_of::<Set>();
        if sets == 0 { Err(CapacityError::Zero) } else { Self::of_sets(sets, |sets, shards| sets / shards) }
    }

    /// The shard of a hash, by its uppermost bits.
    #[inline]
    pub(super) fn shard_of(&self, hash: u64) -> usize {
        scale(hash, self.shards)
    }

    fn of_sets(sets: usize, divide: fn(usize, usize) -> usize) -> Result<Self, CapacityError> {
        let shards = shards_for(sets);
        let capacity = Self { shards, sets_per_shard: divide(sets, shards) };
        let bytes =
            capacity.sets_per_shard.checked_mul(size_of::<Set>()).and_then(|bytes| bytes.checked_mul(shards));
        match bytes {
            Some(bytes) if bytes <= isize::MAX as usize / 2 => Ok(capacity),
            _ => Err(CapacityError::TooLarge),
        }
    }

    /// The most keys that are known at one time.
    ///
    /// ```
    /// # use nyx_core::limit::Capacity;
    /// assert_eq!(Capacity::keys(1)?.max_keys(), 8); // a set
    /// # Ok::<(), nyx_core::limit::CapacityError>(())
    /// ```
    pub fn max_keys(&self) -> usize {
        self.shards * self.sets_per_shard * Set::WAYS
    }

    /// The memory that all of them take up, locks included.
    ///
    /// ```
    /// # use nyx_core::limit::Capacity;
    /// assert_eq!(Capacity::keys(1)?.memory().bytes(), 128 + 128); // a set and its lock
    /// # Ok::<(), nyx_core::limit::CapacityError>(())
    /// ```
    pub fn memory(&self) -> ByteSize {
        let sets = self.sets_per_shard * size_of::<Set>();
        ByteSize::new((self.shards * (sets + size_of::<LockedShard>())) as u64)
    }
}

/// Why there is no limiter for so many keys.
///
/// ```
/// use nyx_core::ByteSize;
/// use nyx_core::limit::{Capacity, CapacityError};
///
/// assert_eq!(Capacity::within(ByteSize::new(255)), Err(CapacityError::Zero));
/// assert_eq!(Capacity::keys(usize::MAX), Err(CapacityError::TooLarge));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CapacityError {
    /// No room for a single set of keys. Give it at least one key, or 256 bytes.
    #[error("a keyed limiter needs room for at least one key, or 256 bytes")]
    Zero,
    /// More than the machine can address or has free. Give it less.
    #[error("there is not the memory for so many keys; give the limiter less")]
    TooLarge,
}

/// Maps a hash evenly to `0..len`, by a multiplication instead of a division (Lemire, "Fast random integer generation in an
/// interval", 2019).
#[inline]
pub(super) fn scale(hash: u64, len: usize) -> usize {
    ((u128::from(hash) * len as u128) >> 64) as usize
}

/// Enough that threads seldom meet, and few enough that small tables stay small. A power of two, so that the bits below spread
/// evenly over the sets of each.
fn shards_for(sets: usize) -> usize {
    1 << (sets / SETS_PER_SHARD_MIN).clamp(1, SHARDS_MAX).ilog2()
}

pub(super) const SHARDS_MAX: usize = 256;
const SETS_PER_SHARD_MIN: usize = 8;
