//! What a pool has done and what it holds.

/// The figures of a pool, from [`Pool::stats`](super::Pool::stats).
///
/// Other threads go on while they are read, so figures may be some operations apart; each is exact when nobody
/// uses the pool. Counters never fall, and no figure wraps.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Each size class, ascending.
    pub classes: Vec<ClassStats>,
    /// Requests beyond the largest class; its `bytes` is 0.
    pub oversize: ClassStats,
}

impl Stats {
    /// Buffers that were served from what the pool held.
    pub fn hits(&self) -> u64 {
        self.total(|class| class.hits)
    }

    /// Buffers that the allocator had to serve.
    pub fn misses(&self) -> u64 {
        self.total(|class| class.misses)
    }

    /// Buffers that came back.
    pub fn returned(&self) -> u64 {
        self.total(|class| class.returned)
    }

    /// Buffers in use, those frozen into [`Bytes`](bytes::Bytes) included.
    pub fn outstanding(&self) -> u64 {
        self.total(|class| class.outstanding)
    }

    /// Bytes of memory held back for reuse.
    pub fn retained_bytes(&self) -> u64 {
        self.total(|class| class.retained_bytes)
    }

    fn total(&self, of: impl Fn(&ClassStats) -> u64) -> u64 {
        self.classes.iter().chain([&self.oversize]).map(of).fold(0, u64::saturating_add)
    }
}

/// The figures of one size class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClassStats {
    /// Capacity of a buffer of this class in bytes.
    pub bytes: usize,
    /// Buffers that were served from what the pool held.
    pub hits: u64,
    /// Buffers that the allocator had to serve.
    pub misses: u64,
    /// Buffers that came back.
    pub returned: u64,
    /// Buffers in use: hits and misses less those that came back.
    pub outstanding: u64,
    /// Bytes of memory held back for reuse, headers included.
    pub retained_bytes: u64,
}
