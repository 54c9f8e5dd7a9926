//! The topics that a session reads, and which of them have something for it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use nyx_protocol::compress::dictionary::Name;
use nyx_protocol::topic;
use nyx_protocol::trail::Trail;
use nyx_stream::Lanes;
use slab::Slab;

use crate::compression::Prefixes;
use crate::start::Rest;
use crate::topic::Topic;

/// One topic that the session reads.
pub(super) struct Slot {
    pub(super) topic: Arc<Topic>,
    /// How many subscriptions select it. There is a slot as long as one does.
    pub(super) selected: u32,
    /// Tells it from others that had its number before.
    pub(super) serial: u64,
    /// The reader's key in the topic.
    pub(super) key: usize,
    pub(super) max_age: Option<Duration>,
    /// Whether the subscriber acknowledges each message.
    pub(super) prompt: bool,
    /// The rest of a run in the middle of which a resumed reader goes on.
    pub(super) rest: Option<Rest>,
    /// Whether it stands in the lanes.
    pub(super) queued: bool,
    /// The topic's dictionary that the subscriber has.
    pub(super) dictionary: Option<Name>,
    /// Bytes that a dictionary would have saved so far.
    pub(super) missed: u64,
    /// Opaque payloads that the subscriber keeps as prefixes.
    pub(super) prefixes: Option<Box<Prefixes>>,
    /// The next message is to be plain: the last could not be used.
    pub(super) plainly: bool,
    /// Which hubs what follows has passed, as the subscriber was told. `None`: it does not want to know.
    pub(super) passed: Option<Trail>,
}

impl Slot {
    pub(super) const fn new(
        topic: Arc<Topic>,
        key: usize,
        max_age: Option<Duration>,
        prompt: bool,
        rest: Option<Rest>,
    ) -> Self {
        Self {
            topic,
            selected: 1,
            serial: 0,
            key,
            max_age,
            prompt,
            rest,
            queued: false,
            dictionary: None,
            missed: 0,
            prefixes: None,
            plainly: false,
            passed: None,
        }
    }

    fn is_fresh(&self) -> bool {
        self.topic.is_fresh(self.max_age)
    }
}

#[derive(Default)]
pub(super) struct Slots {
    slots: Slab<Slot>,
    by_topic: HashMap<u32, u32>,
    lanes: Lanes<u32>,
    fresh: usize,
    /// How many there have been.
    added: u64,
}

impl Slots {
    pub(super) fn len(&self) -> usize {
        self.by_topic.len()
    }

    /// Whether it reads something that ages: then everything is sent as things that age are.
    pub(super) const fn has_fresh(&self) -> bool {
        self.fresh > 0
    }

    pub(super) fn reads(&self, topic: &Topic) -> bool {
        self.by_topic.contains_key(&topic.id)
    }

    /// The number that the next slot will have. Numbers are reused: a late notice makes the session look in vain.
    pub(super) fn next(&self) -> u32 {
        self.slots.vacant_key() as u32
    }

    /// Adds a slot under the number that [`next`](Self::next) said, and looks into it first.
    pub(super) fn add(&mut self, mut slot: Slot) {
        self.added += 1;
        slot.serial = self.added;
        self.by_topic.insert(slot.topic.id, self.next());
        self.fresh += usize::from(slot.is_fresh());
        let number = self.slots.insert(slot);
        self.enqueue(number as u32);
    }

    pub(super) fn by_topic(&self, id: u32) -> Option<u32> {
        self.by_topic.get(&id).copied()
    }

    /// The slot of a topic of the same name.
    pub(super) fn by_name(&self, name: &topic::Name) -> Option<&Slot> {
        self.slots.iter().map(|(_, slot)| slot).find(|slot| slot.topic.name == *name)
    }

    /// Whether number `number` is still what it was.
    pub(super) fn is_still(&self, number: u32, serial: u64) -> bool {
        self.slots.get(number as usize).is_some_and(|slot| slot.serial == serial)
    }

    /// The slot of this topic, if it is read.
    pub(super) fn of_mut(&mut self, topic: &Topic) -> Option<&mut Slot> {
        self.slots.get_mut(*self.by_topic.get(&topic.id)? as usize)
    }

    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut Slot> {
        self.slots.get_mut(number as usize)
    }

    /// The slot has something, or may have.
    pub(super) fn enqueue(&mut self, number: u32) {
        let Some(slot) = self.slots.get_mut(number as usize) else { return };
        if !slot.queued {
            slot.queued = true;
            self.lanes.push(slot.topic.lane, number);
        }
    }

    /// The next slot to look into.
    pub(super) fn pop(&mut self) -> Option<u32> {
        loop {
            let (_, number) = self.lanes.pop()?;
            if let Some(slot) = self.slots.get_mut(number as usize) {
                slot.queued = false;
                return Some(number);
            }
        }
    }

    pub(super) fn charge(&mut self, number: u32, bytes: usize) {
        if let Some(slot) = self.slots.get(number as usize) {
            self.lanes.charge(slot.topic.lane, bytes);
        }
    }

    /// Whether no slot is known to have something.
    pub(super) fn is_idle(&self) -> bool {
        self.lanes.is_empty()
    }

    /// Stops reading the slots that `keep` does not want. Returns the dictionaries that are needed no more, and how many topics had prefixes.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&mut Slot) -> bool) -> (Vec<Name>, usize) {
        let Self { slots, by_topic, lanes, fresh, .. } = self;
        let (mut retired, mut prefixes) = (Vec::new(), 0);
        slots.retain(|_, slot| {
            if keep(slot) {
                return true;
            }
            slot.topic.leave(slot.key);
            retired.extend(slot.dictionary);
            prefixes += usize::from(slot.prefixes.is_some());
            by_topic.remove(&slot.topic.id);
            *fresh -= usize::from(slot.is_fresh());
            false
        });
        lanes.retain(|number| slots.contains(*number as usize));
        (retired, prefixes)
    }

    pub(super) fn leave_all(&mut self) {
        self.retain(|_| false);
    }
}
