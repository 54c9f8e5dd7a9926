//! The topics that a session reads, and which of them have something for it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use nyx_stream::Lanes;

use crate::topic::Topic;

/// One topic that the session reads.
pub(super) struct Slot {
    pub(super) topic: Arc<Topic>,
    /// The reader's key in the topic.
    pub(super) key: usize,
    pub(super) max_age: Option<Duration>,
    /// The rest of a run in the middle of which a resumed reader goes on.
    pub(super) rest: Option<Bytes>,
    /// Whether it stands in the lanes.
    pub(super) queued: bool,
}

#[derive(Default)]
pub(super) struct Slots {
    slots: Vec<Option<Slot>>,
    by_topic: HashMap<u32, u32>,
    lanes: Lanes<u32>,
    prompt: usize,
}

impl Slots {
    pub(super) fn len(&self) -> usize {
        self.by_topic.len()
    }

    /// Whether it reads something that ages: then everything is sent as things that age are.
    pub(super) const fn has_prompt(&self) -> bool {
        self.prompt > 0
    }

    pub(super) fn reads(&self, topic: &Topic) -> bool {
        self.by_topic.contains_key(&topic.id)
    }

    /// The number that the next slot will have. Numbers are not reused: a late notice finds nothing.
    pub(super) fn next(&self) -> u32 {
        self.slots.len() as u32
    }

    /// Adds a slot under the number that [`next`](Self::next) said, and looks into it first.
    pub(super) fn add(&mut self, slot: Slot) {
        let number = self.next();
        self.by_topic.insert(slot.topic.id, number);
        self.prompt += usize::from(slot.topic.is_prompt());
        self.slots.push(Some(slot));
        self.enqueue(number);
    }

    pub(super) fn by_topic(&self, id: u32) -> Option<u32> {
        self.by_topic.get(&id).copied()
    }

    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut Slot> {
        self.slots.get_mut(number as usize)?.as_mut()
    }

    /// The slot has something, or may have.
    pub(super) fn enqueue(&mut self, number: u32) {
        let Some(Some(slot)) = self.slots.get_mut(number as usize) else { return };
        if !slot.queued {
            slot.queued = true;
            self.lanes.push(slot.topic.lane, number);
        }
    }

    /// The next slot to look into.
    pub(super) fn pop(&mut self) -> Option<u32> {
        loop {
            let (_, number) = self.lanes.pop()?;
            if let Some(Some(slot)) = self.slots.get_mut(number as usize) {
                slot.queued = false;
                return Some(number);
            }
        }
    }

    pub(super) fn charge(&mut self, number: u32, bytes: usize) {
        if let Some(Some(slot)) = self.slots.get(number as usize) {
            self.lanes.charge(slot.topic.lane, bytes);
        }
    }

    /// Whether no slot is known to have something.
    pub(super) fn is_idle(&self) -> bool {
        self.lanes.is_empty()
    }

    /// Stops reading the topics that `keep` does not want.
    pub(super) fn retain(&mut self, keep: impl Fn(&Topic) -> bool) {
        for place in &mut self.slots {
            if let Some(slot) = place.take_if(|slot| !keep(&slot.topic)) {
                slot.topic.leave(slot.key);
                self.by_topic.remove(&slot.topic.id);
                self.prompt -= usize::from(slot.topic.is_prompt());
            }
        }
        if self.by_topic.is_empty() {
            self.lanes = Lanes::new();
        }
    }

    pub(super) fn leave_all(&mut self) {
        self.retain(|_| false);
    }
}
