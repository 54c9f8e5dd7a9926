//! The half that pops.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use nyx_core::Instant;

use super::block::block_on;
use super::channel::{End, Place, Shared, State};
use super::error::{Closed, PopError};
use super::evicted::Evicted;
use super::item::Item;
use super::lock::Guard;
use crate::drops::Drops;

/// Pops from a shared queue.
pub struct Receiver<T>(Arc<Shared<T>>);

impl<T: Item> Receiver<T> {
    /// Takes the oldest item, if there is one.
    ///
    /// # Errors
    /// When there is none, and whether any will come.
    #[inline]
    pub fn try_recv(&self) -> Result<T, PopError> {
        self.try_recv_into(&mut Evicted::new())
    }

    /// Takes the oldest item, if there is one, and adds what was too old to `evicted`.
    ///
    /// # Errors
    /// When there is none, and whether any will come.
    #[inline]
    pub fn try_recv_into(&self, evicted: &mut Evicted<T>) -> Result<T, PopError> {
        let now = self.0.now();
        let mut state = self.0.lock();
        match state.queue.pop_plain() {
            Some(item) => {
                Shared::unlock(state);
                Ok(item)
            }
            None => Self::recv_by_policy(state, now, evicted),
        }
    }

    /// Apart, so that the usual case is short enough to be inlined.
    #[inline(never)]
    fn recv_by_policy(
        mut state: Guard<'_, State<T>>,
        now: Instant,
        evicted: &mut Evicted<T>,
    ) -> Result<T, PopError> {
        let popped = state.queue.pop_by_policy(now, evicted);
        Shared::unlock(state);
        popped
    }

    /// Takes the oldest item, and blocks the thread until there is one, for `timeout` at most. Not for a thread that
    /// runs tasks.
    ///
    /// # Errors
    /// [`Empty`](PopError::Empty): none came in time. [`Closed`](PopError::Closed): none will come.
    pub fn blocking_recv(&self, timeout: Duration) -> Result<T, PopError> {
        let received = self.try_recv();
        if received.as_ref().err() != Some(&PopError::Empty) {
            return received;
        }
        let mut place = Place::new(&self.0, End::Receive);
        let received = block_on(timeout, |waker| self.poll_recv(waker, &mut place));
        received.map_or(Err(PopError::Empty), |received| received.map_err(|Closed| PopError::Closed))
    }

    /// Takes the oldest item, as soon as there is one.
    ///
    /// # Cancel safety
    /// A future that is dropped before it is ready has taken nothing.
    ///
    /// # Errors
    /// When none will come.
    pub async fn recv(&self) -> Result<T, Closed> {
        let mut place = Place::new(&self.0, End::Receive);
        poll_fn(|cx| self.poll_recv(Some(cx.waker()), &mut place)).await
    }

    /// Takes an item, or registers the waker, if there is one.
    fn poll_recv(&self, waker: Option<&Waker>, place: &mut Place<'_, T>) -> Poll<Result<T, Closed>> {
        let mut evicted = Evicted::new();
        let now = self.0.now();
        let mut state = self.0.lock();
        let popped = state.queue.pop_into(now, &mut evicted);
        let unneeded = match (&popped, waker) {
            (Err(PopError::Empty), Some(waker)) => state.register(End::Receive, &mut place.id, waker),
            (Err(PopError::Empty), None) => None,
            _ => state.leave(End::Receive, &mut place.id),
        };
        Shared::unlock(state);
        drop(unneeded);
        match popped {
            Ok(item) => Poll::Ready(Ok(item)),
            Err(PopError::Closed) => Poll::Ready(Err(Closed)),
            Err(PopError::Empty) => Poll::Pending,
        }
    }
}

impl<T> Receiver<T> {
    pub(super) fn new(shared: Arc<Shared<T>>) -> Self {
        shared.enter(End::Receive);
        Self(shared)
    }

    /// Takes no more, from any sender. What is queued can still be received; who waits is told.
    pub fn close(&self) {
        self.0.close();
    }

    /// Items in the queue.
    pub fn len(&self) -> usize {
        self.0.lock().queue.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Items that were sent and will not be received, so far.
    pub fn drops(&self) -> Drops {
        *self.0.lock().queue.drops()
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Self::new(self.0.clone())
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.0.leave(End::Receive);
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}
