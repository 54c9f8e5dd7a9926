//! What a pool has done and what it holds.

/// The figures of a pool, from [`Pool::stats`](super::Pool::stats).
///
/// Other threads go on while they are read, so figures may be some operations apart; each is exact when nobody
/// uses the pool. Counters never fall, and no figure wraps. The sums are O(classes).
///
/// ```
/// use nyx_core::pool::Pool;
///
/// let pool = Pool::default();
/// let buffer = pool.get(1_000)?;
/// let stats = pool.stats();
/// assert_eq!((stats.misses(), stats.outstanding()), (1, 1));
/// assert_eq!((stats.classes.len(), stats.oversize.misses), (11, 0));
/// # Ok::<(), nyx_core::pool::GetError>(())
/// ```
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
    ///
    /// ```
    /// # use nyx_core::pool::Pool;
    /// let pool = Pool::default();
    /// drop(pool.get(1_000)?);
    /// drop(pool.get(1_000)?);
    /// assert_eq!(pool.stats().hits(), 1);
    /// # Ok::<(), nyx_core::pool::GetError>(())
    /// ```
    pub fn hits(&self) -> u64 {
        self.total(|class| class.hits)
    }

    /// Buffers that the allocator had to serve.
    ///
    /// ```
    /// # use nyx_core::pool::Pool;
    /// let pool = Pool::default();
    /// drop(pool.get(1_000)?);
    /// drop(pool.get(1_000)?);
    /// assert_eq!(pool.stats().misses(), 1);
    /// # Ok::<(), nyx_core::pool::GetError>(())
    /// ```
    pub fn misses(&self) -> u64 {
        self.total(|class| class.misses)
    }

    /// Buffers that came back.
    ///
    /// ```
    /// # use nyx_core::pool::Pool;
    /// let pool = Pool::default();
    /// drop(pool.get(1_000)?);
    /// drop(pool.get(1_000)?);
    /// assert_eq!(pool.stats().returned(), 2);
    /// # Ok::<(), nyx_core::pool::GetError>(())
    /// ```
    pub fn returned(&self) -> u64 {
        self.total(|class| class.returned)
    }

    /// Buffers in use, those frozen into [`Bytes`](bytes::Bytes) included.
    ///
    /// ```
    /// # use nyx_core::pool::Pool;
    /// let pool = Pool::default();
    /// let bytes = pool.copy_from_slice(&[1; 5_000]);
    /// assert_eq!(pool.stats().outstanding(), 1);
    /// # Ok::<(), nyx_core::pool::GetError>(())
    /// ```
    pub fn outstanding(&self) -> u64 {
        self.total(|class| class.outstanding)
    }

    /// Bytes of memory held back for reuse.
    ///
    /// ```
    /// # use nyx_core::pool::Pool;
    /// let pool = Pool::default();
    /// drop(pool.get(1_000)?);
    /// assert_eq!(pool.stats().retained_bytes(), 1_024 + 64); // a class and its header
    /// # Ok::<(), nyx_core::pool::GetError>(())
    /// ```
    pub fn retained_bytes(&self) -> u64 {
        self.total(|class| class.retained_bytes)
    }

    fn total(&self, of: impl Fn(&ClassStats) -> u64) -> u64 {
        self.classes.iter().chain([&self.oversize]).map(of).fold(0, u64::saturating_add)
    }
}

/// The figures of one size class.
///
/// ```
/// use nyx_core::pool::Pool;
///
/// let pool = Pool::default();
/// let buffer = pool.get(100)?;
/// let used = pool.stats().classes.into_iter().find(|class| class.misses > 0).unwrap();
/// assert_eq!((used.bytes, used.outstanding, used.retained_bytes), (128, 1, 0));
/// # Ok::<(), nyx_core::pool::GetError>(())
/// ```
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
