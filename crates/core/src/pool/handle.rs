//! The handle of a pool.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::block::Block;
use super::config::Classes;
use super::shared::Shared;
use super::stats::Stats;
use super::{Buffer, Config, ConfigError, LINE, local};

/// A pool of buffers in size classes, for any number of threads. Cloning makes another handle of the same pool.
///
/// [`get`](Self::get) and dropping the [`Buffer`] are O(1), and take no lock and no read-modify-write of shared memory
/// as long as the thread's own cache serves; otherwise they exchange half of the cache with the overflow behind its
/// lock, or call the allocator.
///
/// # What it holds
///
/// Each thread that uses the pool holds at most [`thread_bytes`](Config::thread_bytes) of each class, and together they
/// share [`overflow_bytes`](Config::overflow_bytes) of each class; what comes back beyond that is freed. A thread's cache
/// goes to the overflow when the thread ends.
///
/// A thread has caches of eight pools at a time. With more, pools take turns: using one gives another's cache up to its overflow
/// and makes a new cache, so a thread that alternates between two of them pays locks and allocations each time. Share
/// one pool rather than making many.
///
/// Dropping the last handle frees the overflow, and the cache of the thread that drops it. Buffers that are out stay
/// valid. The caches of other threads go when one next overflows, when its thread next begins to use another pool, or when it ends;
/// until then each holds at most its `thread_bytes` of each class.
///
/// ```
/// use nyx_core::pool::Pool;
///
/// let pool = Pool::default();
/// drop(pool.get(1000)?); // from the allocator
/// drop(pool.get(600)?); // the same memory again
/// let stats = pool.stats();
/// assert_eq!((stats.misses(), stats.hits(), stats.returned(), stats.outstanding()), (1, 1, 2, 0));
/// assert_eq!(stats.retained_bytes(), 1024 + 64);
/// # Ok::<(), nyx_core::pool::GetError>(())
/// ```
#[derive(Clone)]
pub struct Pool {
    shared: Arc<Shared>,
    /// The handles share it, so it goes with the last of them.
    _open: Arc<Open>,
}

impl Pool {
    /// A pool that holds nothing yet.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] where the classes are no classes, out of order, or contradict the limit of requests.
    ///
    /// ```
    /// use nyx_core::pool::{Config, Pool};
    ///
    /// let mut config = Config::default();
    /// config.overflow_bytes = 0; // threads keep their own, and share nothing
    /// let pool = Pool::new(config)?;
    /// # Ok::<(), nyx_core::pool::ConfigError>(())
    /// ```
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        Ok(Self::with_classes(config, Classes::new(&config)?))
    }

    fn with_classes(config: Config, classes: Classes) -> Self {
        let shared = Arc::new(Shared::new(config, classes));
        let open = Arc::new(Open(Arc::clone(&shared)));
        Self { shared, _open: open }
    }

    /// An empty buffer with room for at least so many bytes, as many as its class has. No bytes cost no memory. A request
    /// beyond the largest class is served by the allocator, counts as a miss, and is freed when dropped.
    ///
    /// # Errors
    ///
    /// [`GetError`] for a request beyond the configured limit, or when memory has run out.
    ///
    /// ```
    /// use nyx_core::pool::{GetError, Pool};
    ///
    /// let pool = Pool::default();
    /// assert_eq!(pool.get(1000)?.capacity(), 1024);
    /// assert_eq!(pool.get(0)?.capacity(), 0);
    /// assert!(matches!(pool.get(usize::MAX), Err(GetError::TooLarge { .. })));
    /// # Ok::<(), GetError>(())
    /// ```
    #[inline]
    pub fn get(&self, bytes: usize) -> Result<Buffer, GetError> {
        match local::take(&self.shared, self.shared.classes().class_of(bytes)) {
            Some(block) => Ok(Buffer::new(block)),
            None => self.get_shared(bytes),
        }
    }

    /// A copy of these bytes in memory of the pool, which comes back when the last clone or slice of it is dropped. O(n).
    ///
    /// Where freezing a buffer [would copy](Buffer::FREEZE_COPY_MAX), and where the pool refuses, the memory is the
    /// allocator's.
    ///
    /// ```
    /// use nyx_core::pool::Pool;
    ///
    /// let pool = Pool::default();
    /// let bytes = pool.copy_from_slice(&[7; 5000]);
    /// assert_eq!((bytes.len(), pool.stats().outstanding()), (5000, 1));
    /// drop(bytes);
    /// assert_eq!(pool.stats().outstanding(), 0);
    /// ```
    pub fn copy_from_slice(&self, bytes: &[u8]) -> Bytes {
        if bytes.len() > Buffer::FREEZE_COPY_MAX
            && let Ok(mut buffer) = self.get(bytes.len())
            && buffer.extend_from_slice(bytes).is_ok()
        {
            return Bytes::from_owner(buffer);
        }
        Bytes::copy_from_slice(bytes)
    }

    /// The memory that a [copy](Self::copy_from_slice) of so many bytes holds, in bytes: for those who account for it. O(1).
    /// What the pool would refuse costs as much as it is long.
    ///
    /// ```
    /// use nyx_core::pool::Pool;
    ///
    /// let pool = Pool::default();
    /// assert_eq!(pool.copy_cost(100), 100); // the allocator's
    /// assert_eq!(pool.copy_cost(5_000), 8_192 + 64); // a class and the header of its block
    /// ```
    pub fn copy_cost(&self, bytes: usize) -> usize {
        if bytes <= Buffer::FREEZE_COPY_MAX || bytes > self.shared.config().request_bytes_max {
            return bytes;
        }
        let classes = self.shared.classes();
        let class = classes.sizes().nth(classes.class_of(bytes));
        let data = class.or_else(|| bytes.checked_next_multiple_of(LINE));
        data.unwrap_or(usize::MAX).saturating_add(LINE)
    }

    /// What the pool has done and holds. O(threads × classes), behind a lock that using the pool doesn't take.
    ///
    /// ```
    /// use nyx_core::pool::Pool;
    ///
    /// let pool = Pool::default();
    /// let buffer = pool.get(100)?;
    /// assert_eq!(pool.stats().outstanding(), 1);
    /// # Ok::<(), nyx_core::pool::GetError>(())
    /// ```
    pub fn stats(&self) -> Stats {
        let mut classes = self.shared.stats();
        let oversize = classes.pop().unwrap_or_default();
        Stats { classes, oversize }
    }

    /// What [`get`](Self::get) does when the block that was returned last is out.
    #[inline(never)]
    fn get_shared(&self, bytes: usize) -> Result<Buffer, GetError> {
        let max = self.shared.config().request_bytes_max;
        if bytes == 0 {
            return Ok(Buffer::EMPTY);
        }
        if bytes > max {
            return Err(GetError::TooLarge { requested: bytes, max });
        }
        let class = self.shared.classes().class_of(bytes);
        let block = if class < self.shared.classes().count() {
            let new = || Block::new(&self.shared, class, self.shared.class(class).bytes());
            let older = || local::take_shared(&self.shared, class);
            local::take_older(&self.shared, class).or_else(older).or_else(new)
        } else {
            let whole_lines = bytes.checked_next_multiple_of(LINE);
            whole_lines.and_then(|bytes| Block::new(&self.shared, self.shared.oversize(), bytes))
        };
        block.map(Buffer::new).ok_or(GetError::OutOfMemory { requested: bytes })
    }
}

impl Default for Pool {
    /// A pool with the default [`Config`].
    fn default() -> Self {
        Self::with_classes(Config::default(), Classes::DEFAULT)
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("config", self.shared.config()).finish_non_exhaustive()
    }
}

/// Closes the pool when dropped.
struct Open(Arc<Shared>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Why there is no buffer.
///
/// ```
/// use nyx_core::pool::{Config, GetError, Pool};
///
/// let mut config = Config::default();
/// config.request_bytes_max = 1 << 20;
/// let pool = Pool::new(config)?;
/// let refused = pool.get(5 << 20).unwrap_err();
/// assert_eq!(refused, GetError::TooLarge { requested: 5 << 20, max: 1 << 20 });
/// # Ok::<(), nyx_core::pool::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GetError {
    /// The request is beyond [`request_bytes_max`](Config::request_bytes_max). Whoever named the size erred, or the limit is
    /// too low.
    #[error("a buffer of {requested} bytes is over the limit of {max}")]
    TooLarge {
        /// Bytes asked for.
        requested: usize,
        /// The configured limit.
        max: usize,
    },
    /// The allocator has no memory. Drop what can be dropped, and try again.
    #[error("no memory for a buffer of {requested} bytes")]
    OutOfMemory {
        /// Bytes asked for.
        requested: usize,
    },
}
