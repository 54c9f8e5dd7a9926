//! Wakes the reader when as much is there as it waits for.
#![cfg_attr(not(loom), expect(unreachable_pub, reason = "loom's test reaches it from outside"))]

use crate::sync::{AtomicUsize, AtomicWaker, Ordering, fence};
use std::task::Waker;

/// One reader waits, one writer rings. The writer takes no lock, and makes a system call only where the reader sleeps and has waited for what
/// came last.
///
/// Nothing is missed. The reader says how much it wants, leaves its waker, and then looks; the writer puts something in, and then
/// reads how much is wanted. A sequentially consistent fence stands between the two steps on both sides, so at least one of them sees
/// what the other did (Dekker's argument): either the reader finds enough, or the writer rings. And a ring that comes before the waker is
/// there comes before the reader looks.
#[derive(Debug)]
pub struct Bell {
    wanted: AtomicUsize,
    waker: AtomicWaker,
}

impl Bell {
    /// A bell for which nobody waits.
    pub fn new() -> Self {
        Self { wanted: AtomicUsize::new(1), waker: AtomicWaker::new() }
    }

    /// The writer has put something in; `depth` counts what is there.
    pub fn ring(&self, depth: impl FnOnce() -> usize) {
        fence(Ordering::SeqCst);
        if depth() >= self.wanted.load(Ordering::Relaxed) {
            self.waker.wake();
        }
    }

    /// The writer has closed: however little there is, nothing more will come.
    pub fn ring_last(&self) {
        fence(Ordering::SeqCst);
        self.waker.wake();
    }

    /// The reader is about to look whether there are `wanted` chunks, and wants to be woken if there are not yet.
    pub fn listen(&self, wanted: usize, waker: &Waker) {
        self.wanted.store(wanted, Ordering::Relaxed);
        self.waker.register(waker);
        fence(Ordering::SeqCst);
    }
}
