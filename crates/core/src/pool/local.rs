//! The cache of one thread: a few blocks of each class, taken and returned without a lock or a shared counter.
//!
//! A thread has a [slot](Slot) for each of up to eight pools. Slots have no destructor, so the compiler makes no check
//! whether one has been registered or has run, and they can be looked at while the thread ends. What they point to belongs to
//! [`OWNED`], whose destructor empties the slots first and then gives blocks and counts back.

use std::cell::{Cell, RefCell};
use std::ptr;
use std::sync::Arc;

use super::block::Block;
use super::count::Counts;
use super::shared::Shared;

/// What a thread holds of one pool.
pub(super) struct Cache {
    shared: Arc<Shared>,
    /// One for each class.
    bins: Box<[Bin]>,
}

impl Cache {
    fn new(shared: &Arc<Shared>) -> Self {
        Self { shared: Arc::clone(shared), bins: shared.limits().map(Bin::new).collect() }
    }

    pub(super) fn counts(&self, class: usize) -> &Counts {
        &self.bins[class].counts
    }

    /// Folds the counts into those of the pool and hands the blocks to the overflow. The cache is not used again.
    fn detach(&self) {
        self.shared.retire(self);
        for (class, bin) in self.bins.iter().enumerate() {
            let blocks = bin.stack.take();
            self.shared.class(class).stow(&mut bin.hot.take().into_iter().chain(blocks));
        }
    }
}

/// The blocks of one class, and what was done with them, in one cache line.
#[repr(align(64))]
pub(super) struct Bin {
    /// The block that was returned last. Beside the stack it spares taking and returning in turn the wait for each
    /// other's store of the stack's length.
    hot: Cell<Option<Block>>,
    /// The others, never more than it was made for.
    stack: RefCell<Vec<Block>>,
    counts: Counts,
}

// SAFETY: other threads reach a bin only through the list of caches in `Shared`, where they read the counts, which are
// atomic. The cells are for the thread that made the cache, or for the last owner, when there is no other.
unsafe impl Sync for Bin {}

impl Bin {
    /// A bin for so many blocks, one of them being hot.
    fn new(limit: usize) -> Self {
        let stack = RefCell::new(Vec::with_capacity(limit.saturating_sub(1)));
        Self { hot: Cell::new(None), stack, counts: Counts::new() }
    }

    #[inline]
    fn take_hot(&self) -> Option<Block> {
        let block = self.hot.take()?;
        self.counts.hits.bump();
        Some(block)
    }

    /// Takes a block back, and gives up an older one.
    #[inline]
    fn put_hot(&self, block: Block) -> Option<Block> {
        self.counts.returned.bump();
        self.hot.replace(Some(block))
    }

    fn take(&self) -> Option<Block> {
        self.take_hot().or_else(|| {
            let block = self.stack.borrow_mut().pop()?;
            self.counts.hits.bump();
            Some(block)
        })
    }

    /// Adds to the stack, or gives back what it has no room for.
    fn push(&self, block: Block) -> Option<Block> {
        let mut stack = self.stack.borrow_mut();
        if stack.len() == stack.capacity() {
            return Some(block);
        }
        stack.push(block);
        None
    }

    /// Takes one block from the overflow, and up to half of what fits into the stack with it.
    fn refill(&self, overflow: &mut Vec<Block>) -> Option<Block> {
        let block = overflow.pop()?;
        self.counts.hits.bump();
        let mut stack = self.stack.borrow_mut();
        let batch = (stack.capacity() / 2).min(stack.capacity() - stack.len()).min(overflow.len());
        stack.extend(overflow.drain(overflow.len() - batch..));
        Some(block)
    }
}

/// Where a thread finds its cache of a pool.
///
/// Invariant SLOT: while `key` isn't 0, `bins` points to the bins of the cache that is at the same place in [`OWNED`], and
/// `key` is that of its pool. Before the cache leaves its place, the key is cleared or another cache's written over it.
struct Slot {
    key: Cell<usize>,
    bins: Cell<*const [Bin]>,
}

impl Slot {
    const fn empty() -> Self {
        Self { key: Cell::new(0), bins: Cell::new(ptr::slice_from_raw_parts(ptr::null(), 0)) }
    }
}

/// The caches of this thread.
struct Owned(RefCell<[Option<Arc<Cache>>; SLOTS]>);

thread_local! {
    static LOCAL: [Slot; SLOTS] = const { [const { Slot::empty() }; SLOTS] };
    static OWNED: Owned = const { Owned(RefCell::new([const { None }; SLOTS])) };
}

/// The block of this class that the thread returned last, if it is still there.
#[inline]
pub(super) fn take(shared: &Shared, class: usize) -> Option<Block> {
    // SAFETY: a bin takes without a call out of this file, so no cache comes or goes.
    unsafe { find_home(shared.home(), shared.key(), class) }?.take_hot()
}

/// A block of this class from the rest of the thread's cache.
pub(super) fn take_older(shared: &Shared, class: usize) -> Option<Block> {
    // SAFETY: a bin takes without a call out of this file, so no cache comes or goes.
    unsafe { find(shared.key(), class) }?.take()
}

/// Gives a block back to its pool: to the thread's cache, to the overflow, or to the allocator.
#[inline]
pub(super) fn put(block: Block) {
    // SAFETY: a bin puts without a call out of this file, so no cache comes or goes.
    match unsafe { find_home(block.home(), block.key(), block.class()) } {
        Some(bin) => {
            if let Some(older) = bin.put_hot(block) {
                put_older(older);
            }
        }
        None => put_elsewhere(block),
    }
}

/// Puts a block that was counted already onto its stack.
#[inline(never)]
fn put_older(block: Block) {
    // SAFETY: a bin pushes without a call out of this file, so no cache comes or goes.
    let excess = match unsafe { find(block.key(), block.class()) } {
        Some(bin) => bin.push(block),
        None => Some(block),
    };
    if let Some(excess) = excess {
        spill(excess);
    }
}

/// The thread's bin of a class of a pool, if the cache is at home.
///
/// # Safety
///
/// The reference is not to be used after anything that lets a cache of this thread go: [`attach`], [`release`], or
/// code that isn't ours.
#[inline]
unsafe fn find_home<'a>(home: usize, key: usize, class: usize) -> Option<&'a Bin> {
    let found = LOCAL.try_with(|slots| {
        let slot = &slots[home % SLOTS];
        (slot.key.get() == key).then(|| slot.bins.get())
    });
    // SAFETY: SLOT, since the key is a pool's and not 0; the caller sees to it that the cache stays.
    found.ok().flatten().and_then(|bins| unsafe { &*bins }.get(class))
}

/// The thread's bin of a class of a pool, wherever its cache is.
///
/// # Safety
///
/// That of [`find_home`].
unsafe fn find<'a>(key: usize, class: usize) -> Option<&'a Bin> {
    // SAFETY: the caller's.
    (0..SLOTS).find_map(|place| unsafe { find_home(place, key, class) })
}

/// A block of this class from the overflow, which refills the thread's cache.
pub(super) fn take_shared(shared: &Arc<Shared>, class: usize) -> Option<Block> {
    let cache = attach(shared);
    let mut overflow = shared.class(class).overflow();
    match &cache {
        Some(cache) => cache.bins[class].refill(&mut overflow.blocks),
        None => {
            let block = overflow.blocks.pop()?;
            shared.class(class).direct.hits.add(1);
            Some(block)
        }
    }
}

/// Gives back a block whose cache isn't at home: it may be elsewhere, be yet to come, or not take this block.
#[inline(never)]
fn put_elsewhere(block: Block) {
    let class = block.class();
    // SAFETY: a bin puts without a call out of this file, so no cache comes or goes.
    if let Some(bin) = unsafe { find(block.key(), class) } {
        if let Some(older) = bin.put_hot(block) {
            put_older(older);
        }
        return;
    }
    let shared = Arc::clone(block.shared());
    let cache = if block.key() == shared.key() { attach(&shared) } else { None };
    match cache {
        Some(cache) => drop(cache.bins[class].put_hot(block)),
        None => {
            shared.class(class).direct.returned.add(1);
            shared.class(class).stow(&mut std::iter::once(block));
        }
    }
}

/// Hands a block that the cache has no room for to the overflow, and half of the cache's stack with it.
#[cold]
fn spill(block: Block) {
    let (shared, class) = (Arc::clone(block.shared()), block.class());
    let mut open = true;
    if let Some(cache) = held(shared.key()) {
        // The oldest ones go: the youngest may still be in the processor's cache.
        let mut stack = cache.bins[class].stack.borrow_mut();
        let half = stack.len().div_ceil(2);
        open = shared.class(class).stow(&mut std::iter::once(block).chain(stack.drain(..half)));
    }
    if !open {
        release(|cache| Arc::ptr_eq(&cache.shared, &shared));
    }
}

/// The thread's cache of a pool, made where there is none. `None` when the pool is closed or the thread is about to end.
fn attach(shared: &Arc<Shared>) -> Option<Arc<Cache>> {
    if let Some(cache) = held(shared.key()) {
        return Some(cache);
    }
    release(|cache| cache.shared.is_closed());
    // Before anything is allocated: buffers that outlive their pool, or come back while the thread ends, pass here each time.
    if shared.is_closed() || OWNED.try_with(|_| ()).is_err() {
        return None;
    }
    let cache = Arc::new(Cache::new(shared));
    let evicted = OWNED.try_with(|owned| shared.register(&cache).then(|| owned.insert(&cache))).ok()??;
    if let Some(evicted) = evicted {
        evicted.detach();
    }
    Some(cache)
}

/// The thread's cache of a pool, if it has one.
fn held(key: usize) -> Option<Arc<Cache>> {
    let find =
        |owned: &Owned| owned.0.borrow().iter().flatten().find(|cache| cache.shared.key() == key).cloned();
    OWNED.try_with(find).ok().flatten()
}

/// Lets go of caches of this thread.
pub(super) fn release(which: impl Fn(&Cache) -> bool) {
    // While the thread ends there is nothing to let go: `OWNED` has done it, or does it now.
    let _ = OWNED.try_with(|owned| owned.release(which));
}

/// Lets go of the thread's cache of one pool.
pub(super) fn release_pool(key: usize) {
    release(|cache| cache.shared.key() == key);
}

impl Owned {
    /// Puts a cache into its home, into any empty slot, or in the place of the one that is returned.
    fn insert(&self, cache: &Arc<Cache>) -> Option<Arc<Cache>> {
        let mut owned = self.0.borrow_mut();
        let home = cache.shared.home();
        let places = (0..SLOTS).map(|offset| (home + offset) % SLOTS);
        let place = places.clone().find(|&place| owned[place].is_none()).unwrap_or(home % SLOTS);
        let _ = LOCAL.try_with(|slots| {
            slots[place].bins.set(&raw const *cache.bins);
            slots[place].key.set(cache.shared.key());
        });
        owned[place].replace(Arc::clone(cache))
    }

    fn release(&self, which: impl Fn(&Cache) -> bool) {
        for place in 0..SLOTS {
            let cache = self.0.borrow_mut()[place].take_if(|cache| which(cache));
            let Some(cache) = cache else { continue };
            let _ = LOCAL.try_with(|slots| slots[place].key.set(0));
            cache.detach();
        }
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.release(|_| true);
    }
}

/// How many pools a thread caches at a time; those beyond take turns in their home slots.
pub(super) const SLOTS: usize = 8;

const _: () = assert!(size_of::<Bin>() == super::LINE);
