//! Who waits at one end of a shared queue.

use std::collections::VecDeque;
use std::task::Waker;

/// Wakers in order of arrival. All methods are called under the lock; wakers come out of it to be woken or dropped
/// outside, because either may run anything.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    waiting: VecDeque<(u64, Waker)>,
    next_id: u64,
}

/// One who waits, or did.
pub(super) type Id = u64;

impl Waiters {
    /// Has `waker` woken when something changes. Whoever is registered keeps the place. Returns a waker that is no
    /// longer needed.
    pub(super) fn register(&mut self, id: &mut Option<Id>, waker: &Waker) -> Option<Waker> {
        if let Some((_, present)) = self.waiting.iter_mut().find(|(other, _)| Some(*other) == *id) {
            return (!present.will_wake(waker)).then(|| std::mem::replace(present, waker.clone()));
        }
        *id = Some(self.next_id);
        self.waiting.push_back((self.next_id, waker.clone()));
        self.next_id += 1;
        None
    }

    /// Whether nobody waits.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Takes out the one who waits longest.
    pub(super) fn next(&mut self) -> Option<Waker> {
        self.waiting.pop_front().map(|(_, waker)| waker)
    }

    /// Takes one out who waits no longer; `None`: it did not wait, or was woken.
    pub(super) fn leave(&mut self, id: &mut Option<Id>) -> Option<Waker> {
        let id = id.take()?;
        let at = self.waiting.iter().position(|(other, _)| *other == id)?;
        self.waiting.remove(at).map(|(_, waker)| waker)
    }

    /// Takes out all.
    pub(super) fn all(&mut self) -> impl Iterator<Item = Waker> + use<> {
        std::mem::take(&mut self.waiting).into_iter().map(|(_, waker)| waker)
    }
}
