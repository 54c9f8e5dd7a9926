//! One block of memory: a header of one cache line, and the data of its class behind it.
//!
//! The header keeps the pool's shared part alive for as long as the block lives, so moving a block between its user, a
//! thread's cache and the overflow touches no count of references.

use std::alloc::{Layout, alloc, dealloc};
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::slice;
use std::sync::Arc;

use super::LINE;
use super::shared::Shared;

/// Owns one allocation. Dropping it frees the memory; giving it back to its pool is the business of
/// [`local`](super::local).
///
/// Invariant HEADER: the pointer is that of an allocation of `header.layout` that this value alone owns; it begins
/// with an initialised header, and `header.capacity` bytes follow.
pub(super) struct Block(NonNull<Header>);

#[repr(C, align(64))]
struct Header {
    key: usize,
    home: usize,
    class: usize,
    capacity: usize,
    shared: Arc<Shared>,
    layout: Layout,
}

impl Block {
    /// A new block for a class of the pool, or `None` where the allocator has no memory.
    pub(super) fn new(shared: &Arc<Shared>, class: usize, capacity: usize) -> Option<Self> {
        let layout = Layout::from_size_align(capacity.checked_add(size_of::<Header>())?, LINE).ok()?;
        // SAFETY: the layout holds a header, so its size isn't zero.
        let pointer = NonNull::new(unsafe { alloc(layout) })?.cast::<Header>();
        let key = if shared.class(class).is_cached() { shared.key() } else { UNCACHED };
        let header = Header { key, home: shared.home(), class, capacity, shared: Arc::clone(shared), layout };
        // SAFETY: the allocation has room for a header, is aligned like one (`LINE`), and nobody else knows it.
        unsafe { pointer.write(header) };
        shared.class(class).born();
        Some(Self(pointer))
    }

    #[inline]
    fn header(&self) -> &Header {
        // SAFETY: HEADER; nothing writes a header after `new`.
        unsafe { self.0.as_ref() }
    }

    /// What the slot of a thread's cache that takes this block holds as its key; [`UNCACHED`] where no cache takes it.
    #[inline]
    pub(super) fn key(&self) -> usize {
        self.header().key
    }

    /// The slot where a thread looks for its cache first.
    #[inline]
    pub(super) fn home(&self) -> usize {
        self.header().home
    }

    #[inline]
    pub(super) fn class(&self) -> usize {
        self.header().class
    }

    #[inline]
    pub(super) fn capacity(&self) -> usize {
        self.header().capacity
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.header().shared
    }

    /// The data as memory of unknown content: whatever an earlier user left can't be read through it.
    #[inline]
    pub(super) fn memory(&mut self) -> &mut [MaybeUninit<u8>] {
        let capacity = self.capacity();
        // SAFETY: HEADER: `capacity` bytes follow the header, in the same allocation, and `self` is borrowed mutably.
        unsafe { slice::from_raw_parts_mut(self.0.add(1).cast().as_ptr(), capacity) }
    }

    /// The first `len` bytes of the data.
    ///
    /// # Safety
    ///
    /// `len` is at most the capacity, and so many bytes have been written through [`memory`](Self::memory) by whoever
    /// has the block now.
    #[inline]
    pub(super) unsafe fn written(&self, len: usize) -> &[u8] {
        // SAFETY: HEADER for the place, the caller for the content; while `self` is borrowed nobody writes.
        unsafe { slice::from_raw_parts(self.0.add(1).cast().as_ptr(), len) }
    }

    /// Like [`written`](Self::written), to change.
    ///
    /// # Safety
    ///
    /// That of [`written`](Self::written).
    #[inline]
    pub(super) unsafe fn written_mut(&mut self, len: usize) -> &mut [u8] {
        // SAFETY: HEADER for the place, the caller for the content; `self` is borrowed mutably.
        unsafe { slice::from_raw_parts_mut(self.0.add(1).cast().as_ptr(), len) }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: HEADER; the header is moved out here, and nobody looks at it again, because `self` goes.
        let header = unsafe { self.0.read() };
        // SAFETY: HEADER: the allocation was made with this layout and is owned.
        unsafe { dealloc(self.0.as_ptr().cast(), header.layout) };
        header.shared.class(header.class).died();
    }
}

// SAFETY: HEADER: the memory is owned, the header is not written after `new`, and what it holds is `Send` and `Sync`.
unsafe impl Send for Block {}

// SAFETY: a shared block gives out only the header and what was written, and neither changes while it is shared.
unsafe impl Sync for Block {}

/// The key of a block that goes back past the caches. No pool has it, since a pool's key is the address of its shared
/// part, and an empty slot has 0.
const UNCACHED: usize = 1;

const _: () = assert!(size_of::<Header>() == LINE && align_of::<Header>() == LINE);
