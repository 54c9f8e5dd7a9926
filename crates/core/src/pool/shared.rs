//! What the threads of a pool share: the overflow of each class, and the list of their caches.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::{Mutex, MutexGuard};

use super::LINE;
use super::block::Block;
use super::config::{Classes, Config};
use super::count::{Counter, Counts, sum};
use super::local::{Cache, SLOTS, release_pool};
use super::stats::ClassStats;

/// Lives as long as a handle, a block or a thread's cache of the pool.
///
/// Blocks in an overflow keep it alive, so a pool ends in two steps: the last handle [closes](Self::close) it, which empties
/// the overflows for good; the last block that comes back frees the rest.
pub(super) struct Shared {
    classes: Classes,
    home: usize,
    config: Config,
    /// One for each class, and one for what is larger.
    each: Box<[Class]>,
    registry: Mutex<Registry>,
}

struct Registry {
    caches: Vec<Arc<Cache>>,
    closed: bool,
}

impl Shared {
    pub(super) fn new(config: Config, classes: Classes) -> Self {
        let each =
            classes.sizes().map(|bytes| Class::new(bytes, &config)).chain([Class::oversize()]).collect();
        let registry = Mutex::new(Registry { caches: Vec::new(), closed: false });
        // Pools get homes in turn, so that a thread's first eight don't meet.
        let home = HOMES.fetch_add(1, Ordering::Relaxed) % SLOTS;
        Self { classes, home, config, each, registry }
    }

    #[inline]
    pub(super) fn classes(&self) -> &Classes {
        &self.classes
    }

    /// Identifies the pool among all that are alive: the address of this value, so neither 0 nor odd.
    #[inline]
    pub(super) fn key(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// The slot where a thread looks for its cache first.
    #[inline]
    pub(super) fn home(&self) -> usize {
        self.home
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    pub(super) fn class(&self, class: usize) -> &Class {
        &self.each[class]
    }

    /// The class of what is larger than any class.
    pub(super) fn oversize(&self) -> usize {
        self.each.len() - 1
    }

    /// How many blocks a thread may hold of each class.
    pub(super) fn limits(&self) -> impl Iterator<Item = usize> {
        self.each.iter().map(|class| class.cache_limit)
    }

    /// Adds a thread's cache, unless the pool is closed.
    pub(super) fn register(&self, cache: &Arc<Cache>) -> bool {
        let mut registry = self.registry.lock();
        if !registry.closed {
            registry.caches.push(Arc::clone(cache));
        }
        !registry.closed
    }

    /// Takes a cache off the list and keeps its counts.
    pub(super) fn retire(&self, cache: &Cache) {
        let mut registry = self.registry.lock();
        for (index, class) in self.each.iter().enumerate() {
            class.direct.hits.add(cache.counts(index).hits.get());
            class.direct.returned.add(cache.counts(index).returned.get());
        }
        registry.caches.retain(|other| !std::ptr::eq(&raw const **other, cache));
    }

    pub(super) fn is_closed(&self) -> bool {
        self.registry.lock().closed
    }

    /// Frees what the overflows hold, and all that comes back to them later.
    pub(super) fn close(&self) {
        self.registry.lock().closed = true;
        for class in &self.each {
            let blocks = {
                let mut overflow = class.overflow.lock();
                overflow.closed = true;
                std::mem::take(&mut overflow.blocks)
            };
            drop(blocks);
        }
        release_pool(self.key());
    }

    /// The figures of each class, the last of them for what is larger.
    pub(super) fn stats(&self) -> Vec<ClassStats> {
        // Held throughout, so that no thread's counts are seen twice or not at all.
        let registry = self.registry.lock();
        let of = |(index, class): (usize, &Class)| {
            let caches = registry.caches.iter().map(|cache| cache.counts(index));
            let (hits, returned) = sum(caches.chain([&class.direct]));
            class.stats(hits, returned)
        };
        self.each.iter().enumerate().map(of).collect()
    }
}

/// One size class.
#[repr(align(128))]
pub(super) struct Class {
    overflow: Mutex<Overflow>,
    /// What threads without a cache, and those that have ended, have taken and returned.
    pub(super) direct: Counts,
    /// Blocks ever made.
    made: Counter,
    /// Blocks ever freed.
    freed: Counter,
    bytes: usize,
    cache_limit: usize,
    overflow_limit: usize,
}

/// What the threads hand each other.
pub(super) struct Overflow {
    pub(super) blocks: Vec<Block>,
    closed: bool,
}

impl Class {
    fn new(bytes: usize, config: &Config) -> Self {
        let block = bytes + LINE;
        Self {
            bytes,
            cache_limit: (config.thread_bytes / block).min(CACHE_BLOCKS_MAX),
            overflow_limit: config.overflow_bytes / block,
            ..Self::oversize()
        }
    }

    fn oversize() -> Self {
        Self {
            overflow: Mutex::new(Overflow { blocks: Vec::new(), closed: false }),
            direct: Counts::new(),
            made: Counter::new(),
            freed: Counter::new(),
            bytes: 0,
            cache_limit: 0,
            overflow_limit: 0,
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether threads keep blocks of this class.
    pub(super) fn is_cached(&self) -> bool {
        self.cache_limit > 0
    }

    /// Counts a block that was made.
    pub(super) fn born(&self) {
        self.made.add(1);
    }

    /// Counts a block that was freed.
    pub(super) fn died(&self) {
        self.freed.add(1);
    }

    pub(super) fn overflow(&self) -> MutexGuard<'_, Overflow> {
        self.overflow.lock()
    }

    /// Puts blocks into the overflow while there is room, and frees the others. Says whether the pool is still open.
    pub(super) fn stow(&self, blocks: &mut dyn Iterator<Item = Block>) -> bool {
        let open = {
            let mut overflow = self.overflow.lock();
            let limit = if overflow.closed { 0 } else { self.overflow_limit };
            let room = limit.saturating_sub(overflow.blocks.len());
            overflow.blocks.extend(blocks.take(room));
            !overflow.closed
        };
        // Outside the lock: the allocator may take its time.
        blocks.for_each(drop);
        open
    }

    fn stats(&self, hits: u64, returned: u64) -> ClassStats {
        let freed = self.freed.get();
        let misses = self.made.get();
        let outstanding = (hits + misses).saturating_sub(returned);
        let retained = misses.saturating_sub(freed).saturating_sub(outstanding);
        let retained_bytes = retained.saturating_mul((self.bytes + LINE) as u64);
        ClassStats { bytes: self.bytes, hits, misses, returned, outstanding, retained_bytes }
    }
}

/// Where the next pool is at home.
static HOMES: AtomicUsize = AtomicUsize::new(0);

/// The most blocks that a thread holds of one class. Half of them move at a time, which makes the lock's cost per block
/// small against the work that fills one.
const CACHE_BLOCKS_MAX: usize = 64;
