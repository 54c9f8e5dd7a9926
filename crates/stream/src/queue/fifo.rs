//! The queue as a value.

use std::collections::VecDeque;
use std::time::Duration;

use nyx_core::Instant;

use super::config::{Config, ConfigError, Policy};
use super::drain::Drain;
use super::error::{PopError, PushError};
use super::evicted::Evicted;
use super::item::Item;
use crate::drops::{Drops, Reason};

/// A queue that is bounded by count and by bytes, first in, first out.
///
/// Every item that is pushed is popped, dropped for a [`Reason`], or still queued: [`pushed`](Self::pushed) =
/// [`popped`](Self::popped) + [`drops`](Self::drops) + [`len`](Self::len). An item that had to make room is
/// `overrun`; one whose keyframe has gone is `conflated`; one that is too old is `expired`, and one that would be is
/// `predicted_late`.
///
/// `now` matters to [`Policy::Predictive`] alone; others take any, such as [`Instant::ZERO`].
///
/// ```
/// use std::time::Duration;
/// use nyx_core::Instant;
/// use nyx_stream::{Reason, queue::{Config, Policy, PushError, Queue}};
///
/// let ms = |n| Instant::ZERO + Duration::from_millis(n);
/// let policy = Policy::Predictive { max_age: Duration::from_millis(50) };
/// let mut queue = Queue::new(Config::new(64, 1 << 20, policy))?;
/// // The consumer needs 20 ms for an item of 1000 bytes.
/// for i in 0..3 {
///     queue.push(ms(i * 20), vec![0; 1000])?;
///     queue.pop(ms(i * 20))?;
/// }
/// // It is busy for 20 ms more, then comes for these: two are in time, the third is not.
/// queue.push(ms(40), vec![1; 1000])?;
/// queue.push(ms(40), vec![2; 1000])?;
/// let refused = queue.push(ms(40), vec![3; 1000]);
/// assert!(matches!(refused, Err(PushError::Refused { reason: Reason::PredictedLate, .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
// What every push and pop touches comes first and fits into one cache line, with the lock of a shared queue in front.
#[derive(Debug)]
#[repr(C)]
pub struct Queue<T> {
    pub(super) slots: VecDeque<Slot<T>>,
    /// Bytes that still fit.
    pub(super) room: usize,
    /// Items that may be queued.
    items_max: u32,
    /// Whether an item for which there is room is simply queued: not where the policy looks at each, nor when closed.
    pushes_plainly: bool,
    /// Whether the oldest item is simply taken.
    pops_plainly: bool,
    /// Whether the oldest item simply makes room for a new one.
    replaces_plainly: bool,
    pub(super) is_closed: bool,
    pub(super) popped: u64,
    pub(super) config: Config,
    /// Whether the group that is being pushed is broken: all of it is refused until the next keyframe.
    pub(super) is_broken: bool,
    /// Keyframes among the slots, where the policy asks.
    pub(super) keyframes: usize,
    pub(super) drain: Drain,
    pub(super) drops: Drops,
}

#[derive(Debug)]
pub(super) struct Slot<T> {
    pub(super) item: T,
    pub(super) bytes: usize,
    pub(super) born: Instant,
}

impl<T: Item> Queue<T> {
    /// An empty queue. O(1), and memory for 64 items at most.
    ///
    /// # Errors
    /// Where nothing could ever be queued, or more items than can be counted.
    ///
    /// ```
    /// use nyx_stream::queue::{Config, Queue};
    ///
    /// let queue = Queue::<Vec<u8>>::new(Config::default())?;
    /// assert!(queue.is_empty() && !queue.is_closed());
    /// # Ok::<(), nyx_stream::queue::ConfigError>(())
    /// ```
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        let config = config.check()?;
        let is_plain = !config.policy.looks_at_each();
        Ok(Self {
            slots: VecDeque::with_capacity(config.items.min(CAPACITY_AT_FIRST)),
            room: config.bytes,
            // The configuration was refused if it has more.
            items_max: u32::try_from(config.items).unwrap_or(u32::MAX),
            pushes_plainly: is_plain,
            pops_plainly: is_plain,
            replaces_plainly: matches!(config.policy, Policy::DropOldest),
            is_closed: false,
            popped: 0,
            config,
            is_broken: true,
            keyframes: 0,
            drain: Drain::default(),
            drops: Drops::default(),
        })
    }

    /// Queues an item, and returns those that made room for it. O(1), and O(1) for each of those.
    ///
    /// # Errors
    /// Returns the item, and says why it was not queued. What was evicted all the same, which only
    /// [`Policy::Predictive`] and [`Policy::Keyframes`] do, is dropped; use [`push_into`](Self::push_into) to have it.
    ///
    /// ```
    /// use nyx_core::Instant;
    /// use nyx_stream::{Reason, queue::{Config, Policy, Queue}};
    ///
    /// let mut queue = Queue::new(Config::new(1, 1 << 20, Policy::DropOldest))?;
    /// assert!(queue.push(Instant::ZERO, b"one".to_vec())?.is_empty());
    /// let mut evicted = queue.push(Instant::ZERO, b"two".to_vec())?;
    /// assert_eq!(evicted.next(), Some((b"one".to_vec(), Reason::Overrun)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn push(&mut self, now: Instant, item: T) -> Result<Evicted<T>, PushError<T>> {
        match self.push_plain(now, item) {
            Ok(()) => Ok(Evicted::new()),
            Err(item) => match self.replace_oldest(now, item) {
                Ok(oldest) => Ok(Evicted::one(oldest, Reason::Overrun)),
                Err(item) => {
                    let mut evicted = Evicted::new();
                    self.push_by_policy(now, item, &mut evicted).map(|()| evicted)
                }
            },
        }
    }

    /// Queues an item, and adds those that made room for it to `evicted`, whether it was queued or not. O(1), and O(1)
    /// for each of those.
    ///
    /// # Errors
    /// Returns the item, and says why it was not queued.
    ///
    /// ```
    /// use nyx_core::Instant;
    /// use nyx_stream::queue::{Config, Evicted, Policy, Queue};
    ///
    /// let mut queue = Queue::new(Config::new(1, 1 << 20, Policy::DropOldest))?;
    /// let mut evicted = Evicted::new();
    /// for text in ["one", "two", "three"] {
    ///     queue.push_into(Instant::ZERO, text.as_bytes().to_vec(), &mut evicted)?;
    /// }
    /// assert_eq!(evicted.map(|(item, _)| item).collect::<Vec<_>>(), [&b"one"[..], b"two"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn push_into(&mut self, now: Instant, item: T, evicted: &mut Evicted<T>) -> Result<(), PushError<T>> {
        let Err(item) = self.push_plain(now, item) else { return Ok(()) };
        match self.replace_oldest(now, item) {
            Ok(oldest) => {
                evicted.add(oldest, Reason::Overrun);
                Ok(())
            }
            Err(item) => self.push_by_policy(now, item, evicted),
        }
    }

    /// Queues an item in place of the oldest if that is all there is to do: the common case where the policy is
    /// [`Policy::DropOldest`]. Returns the oldest, or the item.
    #[inline]
    pub(super) fn replace_oldest(&mut self, now: Instant, item: T) -> Result<T, T> {
        let bytes = item.bytes();
        let fits = |oldest: &mut Slot<T>| bytes <= self.room + oldest.bytes;
        if !self.replaces_plainly {
            return Err(item);
        }
        let Some(oldest) = self.slots.pop_front_if(fits) else { return Err(item) };
        self.room += oldest.bytes;
        self.drops.add(Reason::Overrun, 1);
        self.accept(item, bytes, now);
        Ok(oldest.item)
    }

    /// Queues an item if that is all there is to do.
    #[inline]
    pub(super) fn push_plain(&mut self, now: Instant, item: T) -> Result<(), T> {
        let bytes = item.bytes();
        if !self.pushes_plainly || !self.has_room(bytes) {
            return Err(item);
        }
        self.accept(item, bytes, now);
        Ok(())
    }

    /// Queues or refuses an item when there is more to do.
    #[inline(never)]
    fn push_by_policy(
        &mut self,
        now: Instant,
        item: T,
        evicted: &mut Evicted<T>,
    ) -> Result<(), PushError<T>> {
        if self.is_closed {
            return Err(PushError::Closed(item));
        }
        let bytes = item.bytes();
        if bytes > self.config.bytes {
            // What follows may depend on it.
            self.is_broken = true;
            self.drops.add(Reason::Overrun, 1);
            return Err(PushError::TooLarge(item));
        }
        let mut born = now;
        let admission = match self.config.policy {
            Policy::DropOldest => {
                self.make_room(bytes, evicted);
                Ok(())
            }
            Policy::DropNewest => Err(Reason::Overrun),
            Policy::Block => return Err(PushError::Full(item)),
            Policy::Keyframes => self.admit_frame(item.is_keyframe(), bytes, evicted),
            Policy::Predictive { max_age } => {
                born = item.born().unwrap_or(now);
                self.admit_in_time(now, born, max_age, bytes, evicted)
            }
        };
        if let Err(reason) = admission {
            self.drops.add(reason, 1);
            return Err(PushError::Refused { item, reason });
        }
        self.accept(item, bytes, born);
        Ok(())
    }

    #[inline]
    fn accept(&mut self, item: T, bytes: usize, born: Instant) {
        self.room -= bytes;
        self.slots.push_back(Slot { item, bytes, born });
    }

    /// Takes the oldest item. What is too old by then is dropped; use [`pop_into`](Self::pop_into) to have it. Amortised
    /// O(1).
    ///
    /// # Errors
    /// When there is none, and whether any will come.
    ///
    /// ```
    /// use nyx_core::Instant;
    /// use nyx_stream::queue::{Config, PopError, Queue};
    ///
    /// let mut queue = Queue::new(Config::default())?;
    /// queue.push(Instant::ZERO, b"one".to_vec())?;
    /// assert_eq!(queue.pop(Instant::ZERO), Ok(b"one".to_vec()));
    /// assert_eq!(queue.pop(Instant::ZERO), Err(PopError::Empty));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn pop(&mut self, now: Instant) -> Result<T, PopError> {
        match self.pop_plain() {
            Some(item) => Ok(item),
            None => self.pop_by_policy(now, &mut Evicted::new()),
        }
    }

    /// Takes the oldest item, and adds what is too old by then to `evicted`, even if there is none. Amortised O(1).
    ///
    /// # Errors
    /// When there is none, and whether any will come.
    ///
    /// ```
    /// use std::time::Duration;
    /// use nyx_core::Instant;
    /// use nyx_stream::{Reason, queue::{Config, Evicted, Policy, Queue}};
    ///
    /// let policy = Policy::Predictive { max_age: Duration::from_millis(50) };
    /// let mut queue = Queue::new(Config::new(8, 1 << 20, policy))?;
    /// queue.push(Instant::ZERO, b"stale".to_vec())?;
    /// let mut stale = Evicted::new();
    /// assert!(queue.pop_into(Instant::ZERO + Duration::from_secs(1), &mut stale).is_err());
    /// assert_eq!(stale.next(), Some((b"stale".to_vec(), Reason::Expired)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn pop_into(&mut self, now: Instant, evicted: &mut Evicted<T>) -> Result<T, PopError> {
        match self.pop_plain() {
            Some(item) => Ok(item),
            None => self.pop_by_policy(now, evicted),
        }
    }

    /// Takes the oldest item if that is all there is to do.
    #[inline]
    pub(super) fn pop_plain(&mut self) -> Option<T> {
        if self.pops_plainly { self.pop_front() } else { None }
    }

    /// Takes the oldest item when there is more to do, or there is none.
    #[inline(never)]
    pub(super) fn pop_by_policy(&mut self, now: Instant, evicted: &mut Evicted<T>) -> Result<T, PopError> {
        if let Policy::Predictive { max_age } = self.config.policy {
            self.drop_expired(now, max_age, evicted);
        }
        let room = self.room;
        let Some(item) = self.pop_front() else {
            return Err(if self.is_closed { PopError::Closed } else { PopError::Empty });
        };
        match self.config.policy {
            Policy::Predictive { .. } => self.drain.handle_taken(now, self.room - room),
            Policy::Keyframes => self.keyframes = self.keyframes.saturating_sub(item.is_keyframe().into()),
            Policy::DropOldest | Policy::DropNewest | Policy::Block => {}
        }
        Ok(item)
    }

    #[inline]
    fn pop_front(&mut self) -> Option<T> {
        let slot = self.slots.pop_front()?;
        self.popped += 1;
        self.room += slot.bytes;
        Some(slot.item)
    }

    fn drop_expired(&mut self, now: Instant, max_age: Duration, evicted: &mut Evicted<T>) {
        self.drain.handle_return(now);
        while self.slots.front().is_some_and(|oldest| now - oldest.born > max_age) {
            self.evict(Reason::Expired, evicted);
        }
    }
}

impl<T> Queue<T> {
    /// Takes no more. What is queued can still be popped. O(1).
    ///
    /// ```
    /// use nyx_core::Instant;
    /// use nyx_stream::queue::{Config, PushError, Queue};
    ///
    /// let mut queue = Queue::new(Config::default())?;
    /// queue.close();
    /// assert!(matches!(queue.push(Instant::ZERO, vec![1]), Err(PushError::Closed(_))));
    /// # Ok::<(), nyx_stream::queue::ConfigError>(())
    /// ```
    pub const fn close(&mut self) {
        (self.is_closed, self.pushes_plainly, self.replaces_plainly) = (true, false, false);
    }

    /// Whether an item of so many bytes fits beside those that are there.
    #[inline]
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        bytes <= self.room && self.slots.len() < self.items_max as usize
    }
}

impl Policy {
    /// Whether it has something to say about an item for which there is room, and about one that is taken.
    const fn looks_at_each(self) -> bool {
        matches!(self, Self::Keyframes | Self::Predictive { .. })
    }
}

/// Places that are there from the beginning: enough that a queue of the usual size never allocates again.
const CAPACITY_AT_FIRST: usize = 64;
