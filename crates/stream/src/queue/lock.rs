//! The lock around a shared queue.
//!
//! What happens under it takes a few nanoseconds, so a lock that spins costs the least: one compare-and-swap to take
//! it and a plain store to give it back, where a lock that can park costs a second compare-and-swap. Whoever finds it
//! held yields to the scheduler, since its holder may be waiting for this very core; and where both ends are busy it
//! is better that each gets a few items done than that the lock's cache line changes hands with every item. No waker is called, no item dropped and no clock read under it.

#[cfg(not(loom))]
pub(super) use spinning::{Guard, Lock};

#[cfg(loom)]
pub(super) use modelled::{Guard, Lock};

#[cfg(not(loom))]
mod spinning {
    use spin::Yield;
    use spin::mutex::{SpinMutex, SpinMutexGuard};

    pub(in super::super) type Guard<'a, T> = SpinMutexGuard<'a, T, Yield>;

    #[derive(Debug)]
    pub(in super::super) struct Lock<T>(SpinMutex<T, Yield>);

    impl<T> Lock<T> {
        pub(in super::super) const fn new(value: T) -> Self {
            Self(SpinMutex::new(value))
        }

        #[inline]
        pub(in super::super) fn lock(&self) -> Guard<'_, T> {
            self.0.lock()
        }
    }
}

#[cfg(loom)]
mod modelled {
    use std::sync::PoisonError;

    use loom::sync::Mutex;
    pub(in super::super) use loom::sync::MutexGuard as Guard;

    #[derive(Debug)]
    pub(in super::super) struct Lock<T>(Mutex<T>);

    impl<T> Lock<T> {
        pub(in super::super) fn new(value: T) -> Self {
            Self(Mutex::new(value))
        }

        pub(in super::super) fn lock(&self) -> Guard<'_, T> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }
}
