//! The guard of a block: a vector of bytes that does not grow.

use std::fmt;
use std::mem::MaybeUninit;
use std::ops::{Deref, DerefMut};

use bytes::buf::UninitSlice;
use bytes::{BufMut, Bytes};

use super::block::Block;
use super::local;

/// Memory from a [`Pool`](super::Pool): empty at first, with the capacity of its class, and given back when dropped.
///
/// It can be written, read back as far as it was written, and frozen. What an earlier user left in the memory is never
/// zeroed and can't be read: only what has been written since is within reach. It doesn't grow; ask the pool for as many
/// bytes as will be needed. The data begins on a cache line. Every method is O(1) where it doesn't say otherwise.
///
/// The [`BufMut`] side panics when it is given more than there is room for, as that trait says;
/// [`extend_from_slice`](Self::extend_from_slice) returns an error instead.
///
/// ```
/// use bytes::BufMut;
/// use nyx_core::pool::Pool;
///
/// let pool = Pool::default();
/// let mut buffer = pool.get(6)?;
/// assert_eq!((buffer.len(), buffer.capacity()), (0, 64));
/// buffer.put_u16(7);
/// buffer.extend_from_slice(b"data")?;
/// assert_eq!(&buffer[..], b"\x00\x07data");
///
/// let bytes = buffer.freeze();
/// std::thread::spawn(move || drop(bytes)).join().unwrap();
/// assert_eq!(pool.stats().outstanding(), 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Buffer {
    /// `None` for no bytes.
    block: Option<Block>,
    /// Invariant WRITTEN: at most the capacity, and so many bytes have been written since the block was taken.
    len: usize,
}

impl Buffer {
    /// So many bytes are copied by [`freeze`](Self::freeze), and no more.
    ///
    /// [`Bytes`] needs a small allocation for its owner, which costs as much as one for a copy. On the reference machine the copy
    /// was 4 to 14 % cheaper up to here, 30 % where another thread drops it, and 10 % dearer where it is cloned; at 1 KiB it
    /// cost a quarter more. It also holds no more memory than its bytes.
    ///
    /// ```
    /// use nyx_core::pool::{Buffer, Pool};
    ///
    /// let pool = Pool::default();
    /// let small = pool.copy_from_slice(&[1; Buffer::FREEZE_COPY_MAX]);
    /// let large = pool.copy_from_slice(&[1; Buffer::FREEZE_COPY_MAX + 1]);
    /// assert_eq!(pool.stats().outstanding(), 1);
    /// ```
    pub const FREEZE_COPY_MAX: usize = 256;

    /// A buffer of no bytes.
    pub(super) const EMPTY: Self = Self { block: None, len: 0 };

    #[inline]
    pub(super) const fn new(block: Block) -> Self {
        Self { block: Some(block), len: 0 }
    }

    /// How many bytes the buffer can hold in all: the size of its class.
    ///
    /// ```
    /// # use nyx_core::pool::Pool;
    /// assert_eq!(Pool::default().get(65)?.capacity(), 128);
    /// # Ok::<(), nyx_core::pool::GetError>(())
    /// ```
    #[inline]
    pub fn capacity(&self) -> usize {
        self.block.as_ref().map_or(0, Block::capacity)
    }

    /// Appends bytes, all of them or none. O(n).
    ///
    /// # Errors
    ///
    /// [`Full`] where they don't fit; the buffer is unchanged.
    ///
    /// ```
    /// use nyx_core::pool::{Full, Pool};
    ///
    /// let mut buffer = Pool::default().get(64)?;
    /// buffer.extend_from_slice(&[1; 60])?;
    /// assert_eq!(buffer.extend_from_slice(&[2; 5]), Err(Full { offered: 5, room: 4 }));
    /// assert_eq!(buffer.len(), 60);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn extend_from_slice(&mut self, bytes: &[u8]) -> Result<(), Full> {
        let spare = self.spare_capacity_mut();
        let room = spare.len();
        let Some(place) = spare.get_mut(..bytes.len()) else {
            return Err(Full { offered: bytes.len(), room });
        };
        place.write_copy_of_slice(bytes);
        self.len += bytes.len();
        Ok(())
    }

    /// The room behind what has been written, as memory of unknown content. [`BufMut::advance_mut`] makes what was
    /// written into it part of the buffer.
    ///
    /// ```
    /// use bytes::BufMut;
    /// use nyx_core::pool::Pool;
    ///
    /// let mut buffer = Pool::default().get(64)?;
    /// assert_eq!(buffer.spare_capacity_mut().len(), 64);
    /// buffer.spare_capacity_mut()[0].write(7);
    /// // SAFETY: one byte was written.
    /// unsafe { buffer.advance_mut(1) };
    /// assert_eq!(buffer[..], [7]);
    /// # Ok::<(), nyx_core::pool::GetError>(())
    /// ```
    #[inline]
    pub fn spare_capacity_mut(&mut self) -> &mut [MaybeUninit<u8>] {
        let memory = self.block.as_mut().map_or(Default::default(), Block::memory);
        memory.get_mut(self.len..).unwrap_or_default()
    }

    /// Forgets all but the first `len` bytes; no effect where there are no more.
    ///
    /// ```
    /// # use nyx_core::pool::Pool;
    /// let mut buffer = Pool::default().get(64)?;
    /// buffer.extend_from_slice(b"message and rest")?;
    /// buffer.truncate(7);
    /// assert_eq!(&buffer[..], b"message");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Forgets what was written.
    ///
    /// ```
    /// # use nyx_core::pool::Pool;
    /// let mut buffer = Pool::default().get(64)?;
    /// buffer.extend_from_slice(b"message")?;
    /// buffer.clear();
    /// assert_eq!((buffer.len(), buffer.capacity()), (0, 64));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// What was written, to share and to keep; the memory goes back to the pool when the last clone or slice of it is
    /// dropped, on whichever thread.
    ///
    /// Up to [`FREEZE_COPY_MAX`](Self::FREEZE_COPY_MAX) bytes are copied out instead, and the memory goes back at once. So it
    /// is O(1), with one small allocation.
    ///
    /// ```
    /// use nyx_core::pool::Pool;
    ///
    /// let pool = Pool::default();
    /// let mut buffer = pool.get(1000)?;
    /// buffer.extend_from_slice(&[7; 1000])?;
    /// let bytes = buffer.freeze();
    /// let part = bytes.slice(..10);
    /// drop(bytes);
    /// assert_eq!(pool.stats().outstanding(), 1);
    /// drop(part);
    /// assert_eq!(pool.stats().outstanding(), 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn freeze(self) -> Bytes {
        if self.len <= Self::FREEZE_COPY_MAX {
            Bytes::copy_from_slice(&self)
        } else {
            Bytes::from_owner(self)
        }
    }
}

impl Drop for Buffer {
    #[inline]
    fn drop(&mut self) {
        if let Some(block) = self.block.take() {
            local::put(block);
        }
    }
}

impl Deref for Buffer {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        let Some(block) = &self.block else { return &[] };
        // SAFETY: WRITTEN.
        unsafe { block.written(self.len) }
    }
}

impl DerefMut for Buffer {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        let Some(block) = &mut self.block else { return &mut [] };
        // SAFETY: WRITTEN.
        unsafe { block.written_mut(self.len) }
    }
}

impl AsRef<[u8]> for Buffer {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        self
    }
}

// SAFETY: `chunk_mut` is the spare capacity, which `remaining_mut` counts, and which stays in its place.
unsafe impl BufMut for Buffer {
    #[inline]
    fn remaining_mut(&self) -> usize {
        self.capacity() - self.len
    }

    #[inline]
    unsafe fn advance_mut(&mut self, count: usize) {
        assert!(
            count <= self.remaining_mut(),
            "a buffer with room for {} bytes advanced by {count}",
            self.remaining_mut()
        );
        // WRITTEN holds: the caller has initialised them.
        self.len += count;
    }

    #[inline]
    fn chunk_mut(&mut self) -> &mut UninitSlice {
        UninitSlice::uninit(self.spare_capacity_mut())
    }

    #[inline]
    fn put_slice(&mut self, bytes: &[u8]) {
        if let Err(full) = self.extend_from_slice(bytes) {
            panic!("{full}");
        }
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer").field("len", &self.len).field("capacity", &self.capacity()).finish()
    }
}

/// The bytes offered don't fit into the buffer. Take a larger one, or write what there is room for.
///
/// ```
/// use nyx_core::pool::Pool;
///
/// let full = Pool::default().get(64)?.extend_from_slice(&[0; 65]).unwrap_err();
/// assert_eq!((full.offered, full.room), (65, 64));
/// # Ok::<(), nyx_core::pool::GetError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{offered} bytes don't fit into a buffer with room for {room}")]
pub struct Full {
    /// Bytes offered.
    pub offered: usize,
    /// Bytes there is room for.
    pub room: usize,
}
