//! The half that pushes.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use nyx_core::Instant;

use super::block::block_on;
use super::channel::{End, Place, Shared, State};
use super::error::PushError;
use super::evicted::Evicted;
use super::item::Item;
use super::lock::Guard;
use crate::drops::{Drops, Reason};

/// Pushes into a shared queue.
///
/// All that send waits only where the policy is [`Block`](super::Policy::Block); under any other it returns at once.
/// Those that wait are served in order: when room comes and is not enough for the first of them, no other sender takes
/// it, so a large item waits no longer than until those in front of it have left.
///
/// ```
/// use nyx_stream::queue::{self, Config};
///
/// let (sender, receiver) = queue::channel(Config::default())?;
/// assert!(sender.clone().try_send(b"one".to_vec()).is_ok());
/// assert_eq!((sender.len(), sender.is_empty(), sender.drops().total()), (1, false, 0));
/// drop(receiver); // the last one
/// assert!(sender.is_closed());
/// # Ok::<(), queue::ConfigError>(())
/// ```
pub struct Sender<T>(Arc<Shared<T>>);

impl<T: Item> Sender<T> {
    /// Queues an item if it can be queued now, and returns those that made room for it. O(1), and O(1) for each of
    /// those.
    ///
    /// # Errors
    /// Returns the item, and says why it was not queued. What was evicted all the same, which only
    /// [`Predictive`](super::Policy::Predictive) and [`Keyframes`](super::Policy::Keyframes) do, is dropped; use
    /// [`try_send_into`](Self::try_send_into) to have it.
    ///
    /// ```
    /// use nyx_stream::{Reason, queue::{self, Config, Policy}};
    ///
    /// let (sender, _receiver) = queue::channel(Config::new(1, 1 << 20, Policy::DropOldest))?;
    /// assert!(sender.try_send(b"one".to_vec())?.is_empty());
    /// assert_eq!(sender.try_send(b"two".to_vec())?.next(), Some((b"one".to_vec(), Reason::Overrun)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn try_send(&self, item: T) -> Result<Evicted<T>, PushError<T>> {
        let now = self.0.now();
        let mut state = self.0.lock();
        let mut item = item;
        // Where anybody waits there is more to do than to queue it.
        if !state.anyone_waits {
            item = match state.queue.push_plain(now, item) {
                Ok(()) => return Ok(Evicted::new()),
                Err(item) => item,
            };
            item = match state.queue.replace_oldest(now, item) {
                Ok(oldest) => return Ok(Evicted::one(oldest, Reason::Overrun)),
                Err(item) => item,
            };
        }
        let mut evicted = Evicted::new();
        Self::send_by_policy(state, now, item, &mut evicted).map(|()| evicted)
    }

    /// Apart, so that the usual case is short enough to be inlined.
    #[inline(never)]
    fn send_by_policy(
        mut state: Guard<'_, State<T>>,
        now: Instant,
        item: T,
        evicted: &mut Evicted<T>,
    ) -> Result<(), PushError<T>> {
        let pushed = state.push(None, now, item, evicted);
        Shared::unlock(state);
        pushed
    }

    /// Queues an item if it can be queued now, and adds those that made room for it to `evicted`, which keeps its memory,
    /// whether it was queued or not. O(1), and O(1) for each of those.
    ///
    /// # Errors
    /// Returns the item, and says why it was not queued.
    ///
    /// ```
    /// use nyx_stream::queue::{self, Config, Evicted, Policy};
    ///
    /// let (sender, _receiver) = queue::channel(Config::new(1, 1 << 20, Policy::DropOldest))?;
    /// let mut evicted = Evicted::new();
    /// for text in ["one", "two", "three"] {
    ///     sender.try_send_into(text.as_bytes().to_vec(), &mut evicted)?;
    /// }
    /// assert_eq!(evicted.map(|(item, _)| item).collect::<Vec<_>>(), [&b"one"[..], b"two"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn try_send_into(&self, item: T, evicted: &mut Evicted<T>) -> Result<(), PushError<T>> {
        let now = self.0.now();
        let mut state = self.0.lock();
        let pushed = if state.anyone_waits { Err(item) } else { state.queue.push_plain(now, item) };
        match pushed {
            Ok(()) => Ok(()),
            Err(item) => Self::send_by_policy(state, now, item, evicted),
        }
    }

    /// Queues an item, and blocks the thread until there is room for it, for `timeout` at most. Not for a thread that
    /// runs tasks. O(1) for each look, and O(those that wait) to begin and to end waiting.
    ///
    /// # Errors
    /// Returns the item, and says why it was not queued; [`Full`](PushError::Full): there was no room in time. What was
    /// evicted all the same is dropped, as by [`try_send`](Self::try_send): under a policy that evicts nothing ever
    /// waits, so use [`try_send_into`](Self::try_send_into) there to have it.
    ///
    /// ```
    /// use std::time::Duration;
    /// use nyx_stream::queue::{self, Config, Policy, PushError};
    ///
    /// let (sender, _receiver) = queue::channel(Config::new(1, 1 << 20, Policy::Block))?;
    /// assert!(sender.blocking_send(b"one".to_vec(), Duration::MAX).is_ok());
    /// let late = sender.blocking_send(b"two".to_vec(), Duration::ZERO);
    /// assert_eq!(late.unwrap_err(), PushError::Full(b"two".to_vec()));
    /// # Ok::<(), queue::ConfigError>(())
    /// ```
    pub fn blocking_send(&self, item: T, timeout: Duration) -> Result<Evicted<T>, PushError<T>> {
        let mut item = match self.try_send(item) {
            Err(PushError::Full(item)) => Some(item),
            sent => return sent,
        };
        let mut place = Place::new(&self.0, End::Send);
        let sent = block_on(timeout, |waker| self.poll_send(waker, &mut place, &mut item));
        sent.unwrap_or_else(|| timed_out(item))
    }

    /// Queues an item, and waits until there is room for it, or until `deadline` is ready: a timer of whatever runtime is
    /// there, or [`std::future::pending`]. O(1) for each look, and O(those that wait) to begin and to end waiting.
    ///
    /// # Cancel safety
    /// A future that is dropped before it is ready has queued nothing; the item is dropped with it. To have it back, make
    /// `deadline` ready instead.
    ///
    /// # Errors
    /// Returns the item, and says why it was not queued; [`Full`](PushError::Full): there was no room in time. What was
    /// evicted all the same is dropped, as by [`blocking_send`](Self::blocking_send).
    ///
    /// ```
    /// # use runtime::block_on;
    /// # mod runtime {
    /// #     pub fn block_on<F: Future>(future: F) -> F::Output {
    /// #         let mut future = std::pin::pin!(future);
    /// #         let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    /// #         loop {
    /// #             if let std::task::Poll::Ready(output) = future.as_mut().poll(&mut cx) {
    /// #                 return output;
    /// #             }
    /// #         }
    /// #     }
    /// # }
    /// use nyx_stream::queue::{self, Config, Policy, PushError};
    ///
    /// let (sender, receiver) = queue::channel(Config::new(1, 1 << 20, Policy::Block))?;
    /// block_on(async {
    ///     assert!(sender.send(b"one".to_vec(), std::future::pending()).await.is_ok());
    ///     // There is no room, and no time to wait for some.
    ///     let refused = sender.send(b"two".to_vec(), std::future::ready(())).await;
    ///     assert_eq!(refused.unwrap_err(), PushError::Full(b"two".to_vec()));
    ///     assert_eq!(receiver.recv().await, Ok(b"one".to_vec()));
    /// });
    /// # Ok::<(), queue::ConfigError>(())
    /// ```
    pub async fn send(
        &self,
        item: T,
        deadline: impl Future<Output = ()>,
    ) -> Result<Evicted<T>, PushError<T>> {
        let mut item = Some(item);
        let mut place = Place::new(&self.0, End::Send);
        let mut deadline = pin!(deadline);
        poll_fn(|cx| {
            let sent = self.poll_send(Some(cx.waker()), &mut place, &mut item);
            if sent.is_pending() && deadline.as_mut().poll(cx).is_ready() {
                return Poll::Ready(timed_out(item.take()));
            }
            sent
        })
        .await
    }

    /// Takes the item and queues it, or leaves it and registers the waker, if there is one.
    fn poll_send(
        &self,
        waker: Option<&Waker>,
        place: &mut Place<'_, T>,
        item: &mut Option<T>,
    ) -> Poll<Result<Evicted<T>, PushError<T>>> {
        let mut evicted = Evicted::new();
        let Some(unsent) = item.take() else { return Poll::Pending };
        let now = self.0.now();
        let mut state = self.0.lock();
        match state.push(place.id, now, unsent, &mut evicted) {
            Err(PushError::Full(unsent)) => {
                let need = unsent.bytes();
                let unneeded = waker.and_then(|waker| state.register(End::Send, &mut place.id, need, waker));
                drop(state);
                drop(unneeded);
                *item = Some(unsent);
                Poll::Pending
            }
            pushed => {
                let unneeded = state.leave(End::Send, &mut place.id);
                Shared::unlock(state);
                drop(unneeded);
                Poll::Ready(pushed.map(|()| evicted))
            }
        }
    }
}

impl<T> Sender<T> {
    pub(super) fn new(shared: Arc<Shared<T>>) -> Self {
        shared.enter(End::Send);
        Self(shared)
    }

    /// Takes no more, from any sender. What is queued can still be received; who waits is told. O(those that wait).
    ///
    /// ```
    /// use nyx_stream::queue::{self, Config, PushError};
    ///
    /// let (sender, _receiver) = queue::channel(Config::default())?;
    /// sender.close();
    /// assert!(matches!(sender.try_send(vec![1]), Err(PushError::Closed(_))));
    /// # Ok::<(), queue::ConfigError>(())
    /// ```
    pub fn close(&self) {
        self.0.close();
    }

    /// Whether nothing can be sent any more. O(1).
    pub fn is_closed(&self) -> bool {
        self.0.lock().queue.is_closed()
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

fn timed_out<T>(item: Option<T>) -> Result<Evicted<T>, PushError<T>> {
    item.map_or_else(|| Ok(Evicted::new()), |item| Err(PushError::Full(item)))
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self::new(self.0.clone())
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.leave(End::Send);
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}
