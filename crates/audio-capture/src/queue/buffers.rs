//! How many buffers a queue has.

/// All buffers that go round, each of a chunk's length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Buffers {
    /// Chunks that the queue holds before it drops the oldest.
    pub(super) capacity: usize,
    /// Buffers that a reader may hold at a time, and the one that is being filled, before the queue has to give up some of its own.
    pub(super) outside: usize,
}

impl Buffers {
    /// As many as are asked for, or as fit into `bytes_max`; a few in any case.
    pub(crate) fn new(capacity: usize, chunk_bytes: usize, bytes_max: Option<usize>) -> Self {
        let fit = bytes_max.map_or(usize::MAX, |bytes| bytes / chunk_bytes.max(1));
        let outside = (fit / OUTSIDE_SHARE).clamp(OUTSIDE_MIN, OUTSIDE_MAX);
        let capacity_max = fit.saturating_sub(outside).max(CAPACITY_MIN);
        Self { capacity: capacity.clamp(1, capacity_max), outside }
    }

    pub(super) const fn all(self) -> usize {
        self.capacity + self.outside
    }
}

/// More than a reader takes at a time that hands chunks on.
const OUTSIDE_MAX: usize = 64;

/// The chunk that is being filled, and one that is read.
const OUTSIDE_MIN: usize = 2;

/// The part of scarce memory that is outside the queue: one in so many.
const OUTSIDE_SHARE: usize = 8;

/// A queue that is shorter drops chunks whenever its reader is held up for a moment.
const CAPACITY_MIN: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_is_enough_changes_nothing() {
        let usual = Buffers { capacity: 1_000, outside: 64 };
        assert_eq!(Buffers::new(1_000, 3_840, None), usual);
        assert_eq!(Buffers::new(1_000, 3_840, Some(64 << 20)), usual);
    }

    #[test]
    fn all_buffers_fit_into_the_memory_but_for_the_few_that_there_must_be() {
        for chunk_bytes in [64, 3_840, 1 << 19, 1 << 20, 1 << 22] {
            let buffers = Buffers::new(1_000, chunk_bytes, Some(64 << 20));
            assert!(buffers.all() * chunk_bytes <= 64 << 20, "{chunk_bytes}: {buffers:?}");
        }
        assert_eq!(Buffers::new(1_000, 1 << 24, Some(64 << 20)), Buffers { capacity: 8, outside: 2 });
        assert_eq!(Buffers::new(3, 1 << 24, Some(64 << 20)), Buffers { capacity: 3, outside: 2 });
    }
}
