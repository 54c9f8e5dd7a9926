//! Buffers that leave with a payload, and come back when nobody has it any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use crossbeam::queue::ArrayQueue;

/// The largest train that the kernel puts together, and the largest datagram.
pub(super) const BUFFER: usize = 64 * 1024;

/// Buffers that may be out at once: one call's worth.
pub(super) const LENT_MAX: usize = 32;

/// Receive buffers of [`BUFFER`] bytes. They were initialised when they were made and stay so, which memory of the common pool does not: zeroing
/// 64 KiB before each receive would cost more than a copy of most datagrams does.
#[derive(Debug)]
pub(super) struct Shelf(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    back: ArrayQueue<Box<[u8]>>,
    lent: AtomicUsize,
}

impl Default for Shelf {
    fn default() -> Self {
        Self(Arc::new(Inner { back: ArrayQueue::new(LENT_MAX), lent: AtomicUsize::new(0) }))
    }
}

impl Shelf {
    /// A buffer that came back, or a new one.
    pub(super) fn take(&self) -> Box<[u8]> {
        self.0.back.pop().unwrap_or_else(|| vec![0; BUFFER].into_boxed_slice())
    }

    /// Takes a buffer away for as long as somebody holds the result, and puts another in its place; `None` where too many are out.
    pub(super) fn lend(&self, buffer: &mut Box<[u8]>) -> Option<Bytes> {
        // Only this inbox's task lends, and it has the inbox to itself, so the count can only fall meanwhile.
        if self.lent() >= LENT_MAX {
            return None;
        }
        self.0.lent.fetch_add(1, Ordering::Relaxed);
        let memory = std::mem::replace(buffer, self.take());
        Some(Bytes::from_owner(Lent { memory, home: Arc::clone(&self.0) }))
    }

    pub(super) fn lent(&self) -> usize {
        self.0.lent.load(Ordering::Relaxed)
    }
}

/// A buffer that is out.
struct Lent {
    memory: Box<[u8]>,
    home: Arc<Inner>,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.memory
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.home.lent.fetch_sub(1, Ordering::Relaxed);
        // No more come back than may be out, so there is always room; what found none would be freed.
        let _ = self.home.back.push(std::mem::take(&mut self.memory));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_when_the_last_part_of_it_is_gone() {
        let shelf = Shelf::default();
        let mut buffer = shelf.take();
        let address = buffer.as_ptr();
        let part = shelf.lend(&mut buffer).unwrap().slice(..20_000);
        assert_eq!((part.as_ptr(), shelf.lent()), (address, 1));
        assert_ne!(buffer.as_ptr(), address);
        drop(part);
        let again = shelf.take();
        assert_eq!((again.as_ptr(), shelf.lent()), (address, 0));
    }

    #[test]
    fn no_more_are_out_than_may_be() {
        let shelf = Shelf::default();
        let mut buffer = shelf.take();
        let out: Vec<_> = std::iter::from_fn(|| shelf.lend(&mut buffer)).collect();
        assert_eq!((out.len(), shelf.lent()), (LENT_MAX, LENT_MAX));
        drop(out);
        assert!(shelf.lend(&mut buffer).is_some());
    }
}
