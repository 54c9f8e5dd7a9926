//! Atomics and cells that are set once: the standard ones, or loom's when its models run.

#[cfg(loom)]
pub(crate) use loom::sync::atomic;
#[cfg(not(loom))]
pub(crate) use std::sync::{OnceLock, atomic};

#[cfg(loom)]
pub(crate) use once::OnceLock;

/// Loom has no such cell, and would not see that the standard one orders what is made in it before what reads it.
#[cfg(loom)]
mod once {
    use std::sync::OnceLock as Cell;

    use loom::sync::Mutex;
    use loom::sync::atomic::AtomicBool;
    use loom::sync::atomic::Ordering::{Acquire, Release};

    pub(crate) struct OnceLock<T> {
        cell: Cell<T>,
        is_set: AtomicBool,
        setting: Mutex<()>,
    }

    impl<T> OnceLock<T> {
        pub(crate) fn new() -> Self {
            Self { cell: Cell::new(), is_set: AtomicBool::new(false), setting: Mutex::new(()) }
        }

        pub(crate) fn get(&self) -> Option<&T> {
            self.is_set.load(Acquire).then(|| self.cell.get()).flatten()
        }

        pub(crate) fn get_or_init(&self, make: impl FnOnce() -> T) -> &T {
            let _setting = self.setting.lock();
            let value = self.cell.get_or_init(make);
            self.is_set.store(true, Release);
            value
        }
    }
}
