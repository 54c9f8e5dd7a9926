//! The atomics of the queue's bell: the standard ones, or loom's where it explores their interleavings.

#[cfg(not(loom))]
pub(crate) use {
    atomic_waker::AtomicWaker,
    std::sync::atomic::{AtomicUsize, Ordering, fence},
};

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicUsize, Ordering, fence};

/// What loom has in its place.
#[cfg(loom)]
#[derive(Debug)]
pub(crate) struct AtomicWaker(loom::future::AtomicWaker);

#[cfg(loom)]
impl AtomicWaker {
    pub(crate) fn new() -> Self {
        Self(loom::future::AtomicWaker::new())
    }

    pub(crate) fn register(&self, waker: &std::task::Waker) {
        self.0.register_by_ref(waker);
    }

    pub(crate) fn wake(&self) {
        self.0.wake();
    }
}
