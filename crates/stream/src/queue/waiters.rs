//! Who waits at one end of a shared queue.

use std::collections::VecDeque;
use std::task::Waker;

/// Those who wait, in order of arrival. Whoever is woken keeps the place until done, so being woken in vain costs
/// nobody the turn.
///
/// All methods are called under the lock. Wakers come out of it to be woken or dropped outside, because either may
/// run anything; only [`Waker::clone`] runs under it, which in all runtimes there are counts a reference.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    row: VecDeque<Waiter>,
    next_id: Id,
    /// How many of the row are to be woken.
    asleep: usize,
    /// Whether nobody may pass the first of the row: room came, and it was not enough.
    is_held: bool,
}

#[derive(Debug)]
struct Waiter {
    id: Id,
    /// Bytes of room for which it waits.
    need: usize,
    /// `None`: it was woken, and has not looked since.
    waker: Option<Waker>,
}

/// One who waits, or did.
pub(super) type Id = u64;

impl Waiters {
    /// Has `waker` woken when something changes. Whoever is in the row keeps the place. Returns a waker that is no
    /// longer needed.
    pub(super) fn register(&mut self, id: &mut Option<Id>, need: usize, waker: &Waker) -> Option<Waker> {
        let Some(place) = self.place(*id) else {
            *id = Some(self.next_id);
            self.row.push_back(Waiter { id: self.next_id, need, waker: Some(waker.clone()) });
            self.next_id += 1;
            self.asleep += 1;
            return None;
        };
        match &mut self.row[place].waker {
            Some(present) => (!present.will_wake(waker)).then(|| std::mem::replace(present, waker.clone())),
            none => {
                // Woken in vain: somebody was faster.
                *none = Some(waker.clone());
                self.asleep += 1;
                self.is_held |= place == 0;
                None
            }
        }
    }

    /// Whether a push or a pop has nobody here to think of.
    #[inline]
    pub(super) const fn is_idle(&self) -> bool {
        self.asleep == 0 && !self.is_held
    }

    /// Whether this one, or one that is not in the row, has to let the first of the row go before.
    pub(super) fn is_before(&self, id: Option<Id>) -> bool {
        self.is_held && self.row.front().is_some_and(|first| Some(first.id) != id)
    }

    /// The one to wake now: who waits longest, if there is as much room as it `fits`. One for whom there is not, though
    /// there is some, is not to be passed any more.
    pub(super) fn next(&mut self, fits: impl Fn(usize) -> bool) -> Option<Waker> {
        let place = self.row.iter().position(|waiter| waiter.waker.is_some())?;
        let waiter = &mut self.row[place];
        if !fits(waiter.need) {
            self.is_held |= place == 0 && fits(1);
            return None;
        }
        self.asleep -= 1;
        waiter.waker.take()
    }

    /// Takes one out who waits no longer. Returns a waker that is no longer needed.
    pub(super) fn leave(&mut self, id: &mut Option<Id>) -> Option<Waker> {
        let place = self.place(id.take())?;
        self.is_held &= place > 0;
        let waker = self.row.remove(place)?.waker;
        self.asleep -= usize::from(waker.is_some());
        waker
    }

    /// Takes out all.
    pub(super) fn all(&mut self) -> impl Iterator<Item = Waker> + use<> {
        (self.asleep, self.is_held) = (0, false);
        std::mem::take(&mut self.row).into_iter().filter_map(|waiter| waiter.waker)
    }

    /// Ids rise along the row.
    fn place(&self, id: Option<Id>) -> Option<usize> {
        let id = id?;
        self.row.binary_search_by_key(&id, |waiter| waiter.id).ok()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_side_that_everybody_has_left_is_idle() {
        let (mut waiters, waker) = (Waiters::default(), Waker::noop());
        let mut ids = [None, None];
        for id in &mut ids {
            assert!(waiters.register(id, 1, waker).is_none());
        }
        assert!(!waiters.is_idle());
        assert!(waiters.next(|_| true).is_some(), "the first is woken, and finds nothing");
        assert!(waiters.register(&mut ids[0], 1, waker).is_none());
        assert!(waiters.is_before(ids[1]) && waiters.is_before(None) && !waiters.is_before(ids[0]));
        for id in &mut ids {
            assert!(waiters.leave(id).is_some());
        }
        assert!(waiters.is_idle() && !waiters.is_before(None));
    }
}
