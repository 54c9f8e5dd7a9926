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

/// Pops from a shared queue. Each item goes to one receiver; those that wait are woken in order.
///
/// ```
/// use nyx_stream::queue::{self, Config, PopError};
///
/// let (sender, receiver) = queue::channel(Config::default())?;
/// assert!(sender.try_send(b"one".to_vec()).is_ok());
/// assert_eq!((receiver.len(), receiver.is_empty(), receiver.drops().total()), (1, false, 0));
/// drop(sender); // the last one: what is queued can still be received
/// assert_eq!(receiver.clone().try_recv(), Ok(b"one".to_vec()));
/// assert_eq!(receiver.try_recv(), Err(PopError::Closed));
/// # Ok::<(), queue::ConfigError>(())
/// ```
pub struct Receiver<T>(Arc<Shared<T>>);

impl<T: Item> Receiver<T> {
    /// Takes the oldest item, if there is one. What is too old by then is dropped; use
    /// [`try_recv_into`](Self::try_recv_into) to have it. Amortised O(1).
    ///
    /// # Errors
    /// When there is none, and whether any will come.
    ///
    /// ```
    /// use nyx_stream::queue::{self, Config, PopError};
    ///
    /// let (sender, receiver) = queue::channel(Config::default())?;
    /// assert!(sender.try_send(b"one".to_vec()).is_ok());
    /// assert_eq!(receiver.try_recv(), Ok(b"one".to_vec()));
    /// assert_eq!(receiver.try_recv(), Err(PopError::Empty));
    /// # Ok::<(), queue::ConfigError>(())
    /// ```
    #[inline]
    pub fn try_recv(&self) -> Result<T, PopError> {
        let now = self.0.now();
        match self.take_plain() {
            Ok(item) => Ok(item),
            Err(state) => Self::recv_by_policy(state, now, &mut Evicted::new()),
        }
    }

    /// Takes the oldest item, if there is one, and adds what was too old to `evicted`, even if there is none. Amortised
    /// O(1).
    ///
    /// # Errors
    /// When there is none, and whether any will come.
    ///
    /// ```
    /// use std::time::Duration;
    /// use nyx_core::clock::Manual;
    /// use nyx_stream::queue::{self, Config, Evicted, Policy};
    ///
    /// let clock = Manual::new();
    /// let policy = Policy::Predictive { max_age: Duration::from_millis(50) };
    /// let (sender, receiver) = queue::channel_with_clock(Config::new(8, 1 << 20, policy), clock.clone())?;
    /// assert!(sender.try_send(b"stale".to_vec()).is_ok());
    /// clock.advance(Duration::from_millis(51));
    /// let mut stale = Evicted::new();
    /// assert!(receiver.try_recv_into(&mut stale).is_err());
    /// assert_eq!(stale.next().map(|(item, _)| item), Some(b"stale".to_vec()));
    /// # Ok::<(), queue::ConfigError>(())
    /// ```
    #[inline]
    pub fn try_recv_into(&self, evicted: &mut Evicted<T>) -> Result<T, PopError> {
        let now = self.0.now();
        match self.take_plain() {
            Ok(item) => Ok(item),
            Err(state) => Self::recv_by_policy(state, now, evicted),
        }
    }

    /// The oldest item, or the lock where there is more to do than to take that.
    #[inline]
    fn take_plain(&self) -> Result<T, Guard<'_, State<T>>> {
        let mut state = self.0.lock();
        match state.queue.pop_plain() {
            Some(item) => {
                Shared::unlock(state);
                Ok(item)
            }
            None => Err(state),
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
    /// runs tasks. What is too old by then is dropped; use [`blocking_recv_into`](Self::blocking_recv_into) to have it.
    /// Amortised O(1) for each look, and O(those that wait) to begin and to end waiting.
    ///
    /// # Errors
    /// [`Empty`](PopError::Empty): none came in time. [`Closed`](PopError::Closed): none will come.
    ///
    /// ```
    /// use std::time::Duration;
    /// use nyx_stream::queue::{self, Config};
    ///
    /// let (sender, receiver) = queue::channel(Config::default())?;
    /// let producer = std::thread::spawn(move || sender.try_send(b"one".to_vec()).is_ok());
    /// assert_eq!(receiver.blocking_recv(Duration::MAX)?, b"one");
    /// # producer.join().unwrap();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn blocking_recv(&self, timeout: Duration) -> Result<T, PopError> {
        self.recv_in_thread(timeout, None)
    }

    /// Takes the oldest item as [`blocking_recv`](Self::blocking_recv) does, and adds what was too old to `evicted`,
    /// whether an item came or not.
    ///
    /// # Errors
    /// [`Empty`](PopError::Empty): none came in time. [`Closed`](PopError::Closed): none will come.
    ///
    /// ```
    /// use std::time::Duration;
    /// use nyx_stream::queue::{self, Config, Evicted};
    ///
    /// let (sender, receiver) = queue::channel(Config::default())?;
    /// assert!(sender.try_send(b"one".to_vec()).is_ok());
    /// let mut stale = Evicted::new();
    /// assert_eq!(receiver.blocking_recv_into(Duration::MAX, &mut stale)?, b"one");
    /// assert!(stale.is_empty()); // only `Policy::Predictive` has any
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn blocking_recv_into(&self, timeout: Duration, evicted: &mut Evicted<T>) -> Result<T, PopError> {
        self.recv_in_thread(timeout, Some(evicted))
    }

    fn recv_in_thread(&self, timeout: Duration, mut evicted: Option<&mut Evicted<T>>) -> Result<T, PopError> {
        let received = match evicted.as_deref_mut() {
            Some(evicted) => self.try_recv_into(evicted),
            None => self.try_recv(),
        };
        if received.as_ref().err() != Some(&PopError::Empty) {
            return received;
        }
        let mut place = Place::new(&self.0, End::Receive);
        let received = block_on(timeout, |waker| self.poll_recv(waker, &mut place, evicted.as_deref_mut()));
        received.map_or(Err(PopError::Empty), |received| received.map_err(|Closed| PopError::Closed))
    }

    /// Takes the oldest item, as soon as there is one. What is too old by then is dropped; use
    /// [`recv_into`](Self::recv_into) to have it. Amortised O(1) for each look, and O(those that wait) to begin and to end
    /// waiting.
    ///
    /// # Cancel safety
    /// A future that is dropped before it is ready has taken nothing.
    ///
    /// # Errors
    /// When none will come.
    ///
    /// ```
    /// # use std::{pin::pin, task::{Context, Poll, Waker}};
    /// use nyx_stream::queue::{self, Config};
    ///
    /// let (sender, receiver) = queue::channel(Config::default())?;
    /// let task = async { receiver.recv().await };
    /// assert!(sender.try_send(b"one".to_vec()).is_ok());
    /// # let done = pin!(task).poll(&mut Context::from_waker(Waker::noop()));
    /// assert_eq!(done, Poll::Ready(Ok(b"one".to_vec())));
    /// # Ok::<(), queue::ConfigError>(())
    /// ```
    pub async fn recv(&self) -> Result<T, Closed> {
        let mut place = Place::new(&self.0, End::Receive);
        poll_fn(|cx| self.poll_recv(Some(cx.waker()), &mut place, None)).await
    }

    /// Takes the oldest item as [`recv`](Self::recv) does, and adds what was too old to `evicted`.
    ///
    /// # Cancel safety
    /// A future that is dropped before it is ready has taken nothing. What it has evicted is in `evicted`.
    ///
    /// # Errors
    /// When none will come.
    ///
    /// ```
    /// # use std::{pin::pin, task::{Context, Poll, Waker}};
    /// use nyx_stream::queue::{self, Config, Evicted};
    ///
    /// let (sender, receiver) = queue::channel(Config::default())?;
    /// let mut stale = Evicted::new();
    /// let task = async { receiver.recv_into(&mut stale).await };
    /// assert!(sender.try_send(b"one".to_vec()).is_ok());
    /// # let done = pin!(task).poll(&mut Context::from_waker(Waker::noop()));
    /// assert_eq!(done, Poll::Ready(Ok(b"one".to_vec())));
    /// # Ok::<(), queue::ConfigError>(())
    /// ```
    pub async fn recv_into(&self, evicted: &mut Evicted<T>) -> Result<T, Closed> {
        let mut place = Place::new(&self.0, End::Receive);
        poll_fn(|cx| self.poll_recv(Some(cx.waker()), &mut place, Some(&mut *evicted))).await
    }

    /// Takes an item, or registers the waker, if there is one. What is too old is dropped if nobody wants it.
    fn poll_recv(
        &self,
        waker: Option<&Waker>,
        place: &mut Place<'_, T>,
        evicted: Option<&mut Evicted<T>>,
    ) -> Poll<Result<T, Closed>> {
        let mut unwanted = Evicted::new();
        let now = self.0.now();
        let mut state = self.0.lock();
        let popped = state.queue.pop_into(now, evicted.unwrap_or(&mut unwanted));
        let unneeded = match (&popped, waker) {
            (Err(PopError::Empty), Some(waker)) => state.register(End::Receive, &mut place.id, 0, waker),
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

    /// Takes no more, from any sender. What is queued can still be received; who waits is told. O(those that wait).
    ///
    /// ```
    /// use nyx_stream::queue::{self, Config, PopError};
    ///
    /// let (sender, receiver) = queue::channel::<Vec<u8>>(Config::default())?;
    /// receiver.close();
    /// assert!(sender.is_closed());
    /// assert_eq!(receiver.try_recv(), Err(PopError::Closed));
    /// # Ok::<(), queue::ConfigError>(())
    /// ```
    pub fn close(&self) {
        self.0.close();
    }

    /// Items in the queue. O(1).
    pub fn len(&self) -> usize {
        self.0.lock().queue.len()
    }

    /// Whether there are none. O(1).
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Items that were sent and will not be received, so far. O(1).
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
