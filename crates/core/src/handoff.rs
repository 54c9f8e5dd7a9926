//! A place where one thread leaves a thing and the next one finds it, without a lock.
//!
//! What is left and taken by single exchanges can be lost between those who look and those who leave. [`Handoff`] is in front of something with
//! a lock, such as a stack of what is at rest and a queue of those who wait, and promises this: whoever has said under that lock
//! that things are [wanted](Handoff::set_wanted), and then [looked](Handoff::reclaim), is not passed over. It
//! found what had been left, or whoever leaves the next thing is told, and brings it to the lock.
//!
//! The proof needs no fence. All accesses to the place are read-modify-write operations, so they have one order, and each synchronises
//! with all that come after it (a release sequence, C++ [intro.races]). Where leaving comes first, looking finds the thing, or somebody else took
//! it in between. Where looking comes first, what was written before it, the wish, is seen by whoever leaves.

use std::fmt;

#[cfg(not(loom))]
use crossbeam::atomic::AtomicCell;
use crossbeam::utils::CachePadded;

use crate::sync::atomic::{AtomicBool, Ordering};

/// Room for one thing that is given back and taken again often.
///
/// Taking and leaving cost one exchange each, 5 ns or so with the check. See the [module](self) for what is promised.
///
/// ```
/// use nyx_core::Handoff;
///
/// let place = Handoff::new();
/// assert!(place.leave(Box::new(1)).is_empty());
/// assert_eq!(place.take(), Some(Box::new(1)));
///
/// place.set_wanted(true);
/// let brought_back = place.leave(Box::new(2));
/// assert_eq!(brought_back.into_iter().collect::<Vec<_>>(), [Box::new(2)]);
/// ```
pub struct Handoff<T>(CachePadded<Place<T>>);

struct Place<T> {
    thing: AtomicCell<Option<Box<T>>>,
    wanted: AtomicBool,
}

impl<T> Handoff<T> {
    /// An empty place.
    pub fn new() -> Self {
        Self(CachePadded::new(Place { thing: AtomicCell::new(None), wanted: AtomicBool::new(false) }))
    }

    /// Takes what was left last. `None` where there is nothing, or others want it who came before.
    #[inline]
    pub fn take(&self) -> Option<Box<T>> {
        if self.is_wanted() { None } else { self.reclaim() }
    }

    /// Leaves a thing for the next one. What comes back is the caller's to bring to the lock: what lay here before, and the thing itself if
    /// somebody wants it.
    #[inline]
    #[must_use = "what comes back must go to those who want it"]
    pub fn leave(&self, thing: Box<T>) -> Back<T> {
        if self.is_wanted() {
            return Back { displaced: None, wanted: Some(thing) };
        }
        let displaced = self.0.thing.swap(Some(thing));
        // Who began to want it in between may not have seen it.
        let wanted = if self.is_wanted() { self.reclaim() } else { None };
        Back { displaced, wanted }
    }

    /// Takes what lies here, whoever wants it: for the holder of the lock, and for who must not leave it here after all.
    #[inline]
    pub fn reclaim(&self) -> Option<Box<T>> {
        self.0.thing.take()
    }

    /// Whether somebody wants what comes next. To be changed under the lock; who sets it looks afterwards.
    pub fn set_wanted(&self, wanted: bool) {
        self.0.wanted.store(wanted, Ordering::Release);
    }

    /// Whether somebody wants what comes next.
    #[inline]
    pub fn is_wanted(&self) -> bool {
        self.0.wanted.load(Ordering::Relaxed)
    }
}

impl<T> fmt::Debug for Handoff<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handoff").field("wanted", &self.is_wanted()).finish_non_exhaustive()
    }
}

impl<T> Default for Handoff<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// What comes back to whoever [left](Handoff::leave) a thing, the one that lay there longer first.
#[derive(Debug)]
pub struct Back<T> {
    displaced: Option<Box<T>>,
    wanted: Option<Box<T>>,
}

impl<T> Back<T> {
    /// Whether all is done.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.displaced.is_none() && self.wanted.is_none()
    }
}

impl<T> IntoIterator for Back<T> {
    type Item = Box<T>;
    type IntoIter = std::iter::Chain<std::option::IntoIter<Box<T>>, std::option::IntoIter<Box<T>>>;

    fn into_iter(self) -> Self::IntoIter {
        self.displaced.into_iter().chain(self.wanted)
    }
}

#[cfg(loom)]
use cell::AtomicCell;

/// Loom has no cell that is exchanged. A lock around each exchange orders as much as an exchange that acquires and releases.
#[cfg(loom)]
mod cell {
    use loom::sync::Mutex;

    pub(super) struct AtomicCell<T>(Mutex<T>);

    impl<T: Default> AtomicCell<T> {
        pub(super) fn new(value: T) -> Self {
            Self(Mutex::new(value))
        }

        pub(super) fn swap(&self, value: T) -> T {
            let held = self.0.lock();
            held.map_or_else(
                |_| unreachable!("nobody panics under it"),
                |mut held| std::mem::replace(&mut *held, value),
            )
        }

        pub(super) fn take(&self) -> T {
            self.swap(T::default())
        }
    }
}
