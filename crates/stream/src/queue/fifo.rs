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
    slots: VecDeque<Slot<T>>,
    /// Bytes that still fit.
    room: usize,
    /// Items that may be queued.
    items_max: u32,
    /// Whether an item for which there is room is simply queued: not where the policy looks at each, nor when closed.
    pushes_plainly: bool,
    /// Whether the oldest item is simply taken.
    pops_plainly: bool,
    is_closed: bool,
    /// Whether the group that is being pushed is broken: all of it is refused until the next keyframe.
    is_broken: bool,
    popped: u64,
    config: Config,
    /// Keyframes among the slots, where the policy asks.
    keyframes: usize,
    drain: Drain,
    drops: Drops,
}

#[derive(Debug)]
struct Slot<T> {
    item: T,
    bytes: usize,
    born: Instant,
}

impl<T: Item> Queue<T> {
    /// An empty queue.
    ///
    /// # Errors
    /// Where nothing could ever be queued.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        let config = config.check()?;
        let is_plain = !config.policy.looks_at_each();
        Ok(Self {
            slots: VecDeque::with_capacity(config.items.min(CAPACITY_AT_FIRST)),
            room: config.bytes,
            items_max: u32::try_from(config.items).unwrap_or(u32::MAX),
            pushes_plainly: is_plain,
            pops_plainly: is_plain,
            is_closed: false,
            is_broken: true,
            popped: 0,
            config,
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
    #[inline]
    pub fn push(&mut self, now: Instant, item: T) -> Result<Evicted<T>, PushError<T>> {
        match self.push_plain(now, item) {
            Ok(()) => Ok(Evicted::new()),
            Err(item) => {
                let mut evicted = Evicted::new();
                self.push_by_policy(now, item, &mut evicted).map(|()| evicted)
            }
        }
    }

    /// Queues an item, and adds those that made room for it to `evicted`.
    ///
    /// # Errors
    /// Returns the item, and says why it was not queued.
    #[inline]
    pub fn push_into(&mut self, now: Instant, item: T, evicted: &mut Evicted<T>) -> Result<(), PushError<T>> {
        self.push_plain(now, item).or_else(|item| self.push_by_policy(now, item, evicted))
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
    pub(super) fn push_by_policy(
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

    #[inline]
    fn has_room(&self, bytes: usize) -> bool {
        bytes <= self.room && self.slots.len() < self.items_max as usize
    }

    fn make_room(&mut self, bytes: usize, evicted: &mut Evicted<T>) {
        while !self.has_room(bytes) && self.evict(Reason::Overrun, evicted) {}
    }

    /// Whether there was anything to evict.
    fn evict(&mut self, reason: Reason, evicted: &mut Evicted<T>) -> bool {
        let Some(slot) = self.slots.pop_front() else { return false };
        self.room += slot.bytes;
        self.drops.add(reason, 1);
        evicted.add(slot.item, reason);
        true
    }

    /// [`Policy::Keyframes`].
    fn admit_frame(
        &mut self,
        is_keyframe: bool,
        bytes: usize,
        evicted: &mut Evicted<T>,
    ) -> Result<(), Reason> {
        if is_keyframe {
            self.is_broken = false;
        } else if self.is_broken {
            return Err(Reason::Conflated);
        }
        // A group in front of the newest can go, and before a keyframe all of them.
        while !self.has_room(bytes) && (is_keyframe || self.has_older_group()) {
            self.evict_group(evicted);
        }
        if !self.has_room(bytes) {
            self.is_broken = true;
            return Err(Reason::Overrun);
        }
        self.keyframes += usize::from(is_keyframe);
        Ok(())
    }

    fn has_older_group(&self) -> bool {
        let in_front = usize::from(self.starts_with_keyframe());
        self.keyframes > in_front
    }

    fn starts_with_keyframe(&self) -> bool {
        self.slots.front().is_some_and(|slot| slot.item.is_keyframe())
    }

    /// The oldest frame goes and all that depend on it.
    fn evict_group(&mut self, evicted: &mut Evicted<T>) {
        self.keyframes = self.keyframes.saturating_sub(self.starts_with_keyframe().into());
        self.evict(Reason::Overrun, evicted);
        while !self.starts_with_keyframe() && self.evict(Reason::Conflated, evicted) {}
    }

    /// [`Policy::Predictive`].
    fn admit_in_time(
        &mut self,
        now: Instant,
        born: Instant,
        max_age: Duration,
        bytes: usize,
        evicted: &mut Evicted<T>,
    ) -> Result<(), Reason> {
        let until_next = self.drain.time_until(now, 0);
        while let Some(reason) =
            self.slots.front().and_then(|oldest| late(now - oldest.born, until_next, max_age))
        {
            self.evict(reason, evicted);
        }
        let until_its_turn = self.drain.time_until(now, self.bytes());
        if let Some(reason) = late(now - born, until_its_turn, max_age) {
            return Err(reason);
        }
        self.make_room(bytes, evicted);
        Ok(())
    }

    /// Takes the oldest item. What is too old by then is dropped; use [`pop_into`](Self::pop_into) to have it. Amortised
    /// O(1).
    ///
    /// # Errors
    /// When there is none, and whether any will come.
    #[inline]
    pub fn pop(&mut self, now: Instant) -> Result<T, PopError> {
        match self.pop_plain() {
            Some(item) => Ok(item),
            None => self.pop_by_policy(now, &mut Evicted::new()),
        }
    }

    /// Takes the oldest item, and adds what is too old by then to `evicted`.
    ///
    /// # Errors
    /// When there is none, and whether any will come.
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
    /// Takes no more. What is queued can still be popped.
    pub const fn close(&mut self) {
        (self.is_closed, self.pushes_plainly) = (true, false);
    }

    /// Items in the queue.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Whether nothing more fits, however small.
    pub(super) fn is_full(&self) -> bool {
        self.slots.len() >= self.items_max as usize || self.room == 0
    }

    /// Bytes of all items in the queue.
    pub const fn bytes(&self) -> usize {
        self.config.bytes - self.room
    }

    /// What it may hold.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Whether it takes no more.
    pub const fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Items that were pushed, with those that were refused and counted.
    pub fn pushed(&self) -> u64 {
        // What went in is nowhere else, so it need not be counted apart.
        self.popped + self.drops.total() + self.slots.len() as u64
    }

    /// Items that were popped.
    pub const fn popped(&self) -> u64 {
        self.popped
    }

    /// Items that were pushed and will not be popped.
    pub const fn drops(&self) -> &Drops {
        &self.drops
    }

    /// What the consumer has been taking while it had anything to take; `None` when not known, or when the policy
    /// does not ask.
    pub fn bytes_per_second(&self) -> Option<u64> {
        self.drain.bytes_per_second()
    }
}

impl Policy {
    /// Whether it has something to say about an item for which there is room, and about one that is taken.
    const fn looks_at_each(self) -> bool {
        matches!(self, Self::Keyframes | Self::Predictive { .. })
    }
}

/// Why an item of this age is late that leaves after `wait`; `None`: it is not.
fn late(age: Duration, wait: Duration, max_age: Duration) -> Option<Reason> {
    if age > max_age {
        return Some(Reason::Expired);
    }
    (age.saturating_add(wait) > max_age).then_some(Reason::PredictedLate)
}

/// Places that are there from the beginning: enough that a queue of the usual size never allocates again.
const CAPACITY_AT_FIRST: usize = 64;
