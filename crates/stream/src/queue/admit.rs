//! Which items go so that another one can come: what the policies do when there is a choice.

use std::time::Duration;

use nyx_core::Instant;

use super::evicted::Evicted;
use super::fifo::Queue;
use super::item::Item;
use crate::drops::Reason;

impl<T: Item> Queue<T> {
    pub(super) fn make_room(&mut self, bytes: usize, evicted: &mut Evicted<T>) {
        while !self.has_room(bytes) && self.evict(Reason::Overrun, evicted) {}
    }

    /// Whether there was anything to evict.
    pub(super) fn evict(&mut self, reason: Reason, evicted: &mut Evicted<T>) -> bool {
        let Some(slot) = self.slots.pop_front() else { return false };
        self.room += slot.bytes;
        self.drops.add(reason, 1);
        evicted.add(slot.item, reason);
        true
    }

    /// [`Policy::Keyframes`].
    pub(super) fn admit_frame(
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
    pub(super) fn admit_in_time(
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
}

/// Why an item of this age is late that leaves after `wait`; `None`: it is not.
fn late(age: Duration, wait: Duration, max_age: Duration) -> Option<Reason> {
    if age > max_age {
        return Some(Reason::Expired);
    }
    (age.saturating_add(wait) > max_age).then_some(Reason::PredictedLate)
}
