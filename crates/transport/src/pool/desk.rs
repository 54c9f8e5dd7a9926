//! Where an address gives its connections out: the one that was given back last in front of a lock, everything else behind it.

use std::ops::{Deref, DerefMut};

use nyx_core::{Handoff, Instant};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::oneshot;

use super::backoff::Backoff;
use super::front::{Answer, Front};
use super::stats::Stats;
use super::uses::AllUses;

/// While nobody waits, using a connection again is two exchanges: the [`Handoff`] promises that who begins to wait is not passed over.
pub(super) struct Desk<T> {
    pub(super) last: Handoff<T>,
    inside: Mutex<Inside<T>>,
}

/// What somebody who waited gets.
#[derive(Debug)]
pub(super) enum Grant<T> {
    /// What another gave back this moment.
    Connection(Box<T>),
    /// A place: make a connection.
    Slot,
    /// The time is over.
    Expired,
}

/// Tells somebody who waits. What it gets lies there and not behind the lock, which is taken once less for it.
pub(super) type Waiter<T> = oneshot::Sender<Grant<T>>;

/// What is behind the lock.
pub(super) struct Inside<T> {
    pub(super) front: Front<Box<T>, Waiter<T>>,
    pub(super) backoff: Backoff,
    pub(super) ledger: Stats,
    pub(super) uses: AllUses,
    pub(super) random: fastrand::Rng,
}

impl<T> Desk<T> {
    pub(super) fn new(front: Front<Box<T>, Waiter<T>>, backoff: Backoff, seed: u64) -> Self {
        let random = fastrand::Rng::with_seed(seed);
        let inside =
            Mutex::new(Inside { front, backoff, ledger: Stats::default(), uses: AllUses::default(), random });
        Self { last: Handoff::new(), inside }
    }

    /// What is behind the lock. Whatever is done there may change whether somebody waits.
    pub(super) fn open(&self) -> Open<'_, T> {
        Open { inside: self.inside.lock(), last: &self.last }
    }

    /// The same, with the connection that was given back last among those at rest.
    pub(super) fn gather(&self) -> Open<'_, T> {
        let mut open = self.open();
        // While somebody waits, whoever left one there is about to bring it here.
        if open.front.waiting() == 0
            && let Some(held) = self.last.reclaim()
        {
            open.front.park(held);
        }
        open
    }

    /// Somebody wants a connection, and would wait until `deadline`.
    pub(super) fn ask(&self, deadline: Instant, waiter: Waiter<T>) -> Answer<Box<T>> {
        let mut open = self.open();
        if open.front.waiting() == 0 {
            // First the wish, then the look: what is left from here on is brought to the lock.
            self.last.set_wanted(true);
            if let Some(held) = self.last.reclaim() {
                open.front.park(held);
            }
        }
        open.front.acquire(deadline, waiter)
    }
}

/// What is behind the lock, while it is held. At the end those in front of it are told whether somebody waits.
pub(super) struct Open<'a, T> {
    inside: MutexGuard<'a, Inside<T>>,
    last: &'a Handoff<T>,
}

impl<T> Deref for Open<'_, T> {
    type Target = Inside<T>;

    fn deref(&self) -> &Inside<T> {
        &self.inside
    }
}

impl<T> DerefMut for Open<'_, T> {
    fn deref_mut(&mut self) -> &mut Inside<T> {
        &mut self.inside
    }
}

impl<T> Drop for Open<'_, T> {
    fn drop(&mut self) {
        let waits = self.inside.front.waiting() > 0;
        if waits != self.last.is_wanted() {
            self.last.set_wanted(waits);
        }
    }
}
