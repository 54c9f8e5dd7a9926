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
use crate::drops::Drops;

/// Pushes into a shared queue.
///
/// All that send waits only where the policy is [`Block`](super::Policy::Block); under any other it returns at once.
pub struct Sender<T>(Arc<Shared<T>>);

impl<T: Item> Sender<T> {
    /// Queues an item if it can be queued now, and returns those that made room for it.
    ///
    /// # Errors
    /// Returns the item, and says why it was not queued.
    #[inline]
    pub fn try_send(&self, item: T) -> Result<Evicted<T>, PushError<T>> {
        let now = self.0.now();
        let mut state = self.0.lock();
        match state.queue.push_plain(now, item) {
            Ok(()) => {
                Shared::unlock(state);
                Ok(Evicted::new())
            }
            Err(item) => Self::send_by_policy(state, now, item),
        }
    }

    /// Apart, so that the usual case is short enough to be inlined.
    #[inline(never)]
    fn send_by_policy(
        mut state: Guard<'_, State<T>>,
        now: Instant,
        item: T,
    ) -> Result<Evicted<T>, PushError<T>> {
        let mut evicted = Evicted::new();
        let pushed = state.queue.push_by_policy(now, item, &mut evicted);
        Shared::unlock(state);
        pushed.map(|()| evicted)
    }

    /// Queues an item if it can be queued now, and adds those that made room for it to `evicted`, which keeps its memory.
    ///
    /// # Errors
    /// Returns the item, and says why it was not queued.
    #[inline]
    pub fn try_send_into(&self, item: T, evicted: &mut Evicted<T>) -> Result<(), PushError<T>> {
        let now = self.0.now();
        let mut state = self.0.lock();
        let pushed = state.queue.push_into(now, item, evicted);
        Shared::unlock(state);
        pushed
    }

    /// Queues an item, and blocks the thread until there is room for it, for `timeout` at most. Not for a thread that
    /// runs tasks.
    ///
    /// # Errors
    /// Returns the item, and says why it was not queued; [`Full`](PushError::Full): there was no room in time.
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
    /// there, or [`std::future::pending`].
    ///
    /// # Cancel safety
    /// A future that is dropped before it is ready has queued nothing; the item is dropped with it. To have it back, make
    /// `deadline` ready instead.
    ///
    /// # Errors
    /// Returns the item, and says why it was not queued; [`Full`](PushError::Full): there was no room in time.
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
        match state.queue.push_into(now, unsent, &mut evicted) {
            Err(PushError::Full(unsent)) => {
                let unneeded = waker.and_then(|waker| state.register(End::Send, &mut place.id, waker));
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

    /// Takes no more, from any sender. What is queued can still be received; who waits is told.
    pub fn close(&self) {
        self.0.close();
    }

    /// Whether nothing can be sent any more.
    pub fn is_closed(&self) -> bool {
        self.0.lock().queue.is_closed()
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
