//! Which topics there are on the connection, and who gets what comes on them.
//!
//! Sequences travel as their low 32 bits. Here they are made whole, and a hole that no gap announced, as there is one after a
//! reconnect, becomes a gap: nothing is lost silently.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use nyx_protocol::control::{self, Announce, Resume};
use nyx_protocol::wire::{self, Flags, Kind};

use crate::error::ProtocolError;
use crate::route::{Known, Route};
use crate::sequence::extend;
use crate::subscribe::{Acks, Inbox, Missing, Topic};
use crate::unpacking::Unpacking;
use crate::{Name, Pattern};

/// The topics of a connection, and what is remembered of them for the next one.
#[derive(Debug, Default)]
pub(crate) struct Dispatch {
    routes: HashMap<u32, Route>,
    /// The ids of topics of sound, which go on under another in another format.
    sounds: HashMap<Name, u32>,
    /// The ids that topics had, oldest first, while something may still come under them.
    formers: VecDeque<u32>,
    /// Where to go on, by topic, after the connection was lost.
    known: HashMap<Name, Known>,
    /// Whether what was told of items may come after items that are behind them, as over datagrams.
    pub(crate) is_unordered: bool,
    /// What the present connection reads blocks with.
    pub(crate) unpacking: Unpacking,
}

impl Dispatch {
    /// A topic is announced. The subscribers are those that `subscriptions` yields and that match.
    pub(crate) fn announce<'a>(
        &mut self,
        announce: &Announce,
        subscriptions: impl Iterator<Item = (u32, &'a Pattern, &'a Arc<Inbox>)>,
    ) -> Result<(), ProtocolError> {
        if self.routes.len() >= ROUTES_MAX {
            return Err(ProtocolError::Unexpected("announcement of more topics than any hub has"));
        }
        let topic =
            Topic::new(announce).ok_or(ProtocolError::Unexpected("announcement of a topic that can't be"))?;
        let inboxes = subscriptions
            .filter(|(_, pattern, _)| pattern.matches(&topic.name))
            .map(|(id, _, inbox)| (id, inbox.clone()))
            .collect();
        let fresh = Known {
            kind: topic.kind,
            epoch: announce.epoch,
            position: announce.position,
            // A state topic's position says what we hold, and that is nothing yet.
            is_certain: topic.kind != Kind::State,
            needs_snapshot: false,
        };
        let former = self.replace_sound(&topic, announce.topic_id);
        let earlier = former.or_else(|| self.known.remove(&topic.name));
        let earlier = earlier.filter(|known| known.epoch == announce.epoch);
        let known = earlier.map_or(fresh, |known| Known { is_certain: true, needs_snapshot: false, ..known });
        let (topic, prompt, begins) = (Arc::new(topic), announce.prompt, announce.position);
        let (is_former, is_in_step, ahead, joining) = (false, true, BTreeMap::new(), Vec::new());
        let route = Route { topic, inboxes, joining, known, prompt, begins, is_former, is_in_step, ahead };
        self.unpacking.forget(announce.topic_id);
        self.routes.insert(announce.topic_id, route);
        Ok(())
    }

    /// A topic of sound has this id now. Returns where it stood under another one, if all that came under that is here and somebody listened.
    fn replace_sound(&mut self, topic: &Topic, id: u32) -> Option<Known> {
        if topic.kind != Kind::Audio {
            return None;
        }
        let former = self.sounds.insert(topic.name.clone(), id).filter(|former| *former != id)?;
        self.unpacking.forget(former);
        if !self.is_unordered {
            let route = self.routes.remove(&former).filter(Route::is_heard);
            return route.map(|route| route.known);
        }
        if let Some(route) = self.routes.get_mut(&former) {
            route.is_former = true;
            self.formers.push_back(former);
        }
        if self.formers.len() > FORMERS_MAX
            && let Some(oldest) = self.formers.pop_front()
        {
            self.routes.remove(&oldest);
        }
        None
    }

    /// Whole messages of one topic have come. Returns the topic's id where the hub has to be asked to begin it anew. What is in a block has
    /// at most `limit` bytes.
    pub(crate) fn run(
        &mut self,
        run: wire::Run,
        bytes: Bytes,
        limit: usize,
        acks: &Arc<Acks>,
    ) -> Result<Option<u32>, ProtocolError> {
        let outcome = self.take_run(run, bytes, limit, acks);
        if self.is_unordered
            && let Some(route) = self.routes.get_mut(&run.topic)
        {
            route.tell_gaps();
        }
        outcome
    }

    fn take_run(
        &mut self,
        run: wire::Run,
        bytes: Bytes,
        limit: usize,
        acks: &Arc<Acks>,
    ) -> Result<Option<u32>, ProtocolError> {
        acks.receive(bytes.len());
        let Some(route) = self.routes.get_mut(&run.topic) else {
            return Err(ProtocolError::Unexpected("data of a topic that was not announced"));
        };
        if run.kind != route.topic.kind {
            return Err(ProtocolError::Unexpected("data of another kind than its topic's"));
        }
        let Some(header) = wire::Messages::new(&bytes).next().map(|message| message.header) else {
            return Ok(None);
        };
        let sequence = extend(route.known.position, header.sequence);
        if run.kind == Kind::State {
            route.known.position = sequence;
            if header.flags.contains(Flags::SNAPSHOT) {
                route.known.needs_snapshot = false;
            }
        } else {
            if self.is_unordered && sequence < route.begins {
                // It is of a subscription before this one.
                acks.consume(bytes.len(), route.prompt);
                return Ok(None);
            }
            if route.known.is_certain && sequence > route.known.position {
                route.tell_hole(sequence);
            }
            route.known.position = sequence.saturating_add(run.count.into());
            if self.is_unordered
                && let Some(reason) = route.is_of_no_use(header.flags)
            {
                route.gap(sequence, vec![Missing { reason, count: run.count.into() }]);
                acks.consume(bytes.len(), route.prompt);
                return Ok(None);
            }
        }
        route.known.is_certain = true;
        if header.flags.contains(Flags::KEYFRAME) {
            route.inboxes.append(&mut route.joining);
        }
        let size = bytes.len();
        if !header.flags.contains(Flags::BLOCK) || !route.is_heard() {
            route.deliver(bytes, size, sequence, acks);
            return Ok(None);
        }
        match self.unpacking.unpack(&bytes, limit) {
            Ok(plain) => route.deliver(plain, size, sequence, acks),
            Err(error) => {
                acks.consume(size, route.prompt);
                if route.handle_unreadable(sequence, run.count.into(), error) {
                    self.unpacking.forget(run.topic);
                    return Ok(Some(run.topic));
                }
            }
        }
        Ok(None)
    }

    /// Items are missing.
    pub(crate) fn gap(&mut self, gap: &control::Gap) {
        // A gap may be told of a topic that nobody listens to any more.
        let Some(route) = self.routes.get_mut(&gap.topic_id) else { return };
        let missing: Vec<_> = gap.drops.iter().map(Missing::from).collect();
        let first = extend(route.known.position, gap.first_sequence);
        if route.topic.kind != Kind::State {
            let total = missing.iter().fold(0, |sum: u64, missing| sum.saturating_add(missing.count));
            if self.is_unordered {
                return route.handle_gap(first, missing);
            }
            route.known.position = route.known.position.max(first.saturating_add(total));
        }
        route.gap(first, missing);
    }

    /// A subscription is there for what is known already. Returns the ids of state topics that it needs a snapshot of.
    ///
    /// What nobody listens to any more the hub was asked to end, and announces anew: what still comes of it is not what this one asked for.
    pub(crate) fn subscribe(&mut self, id: u32, pattern: &Pattern, inbox: &Arc<Inbox>) -> Vec<u32> {
        let mut snapshots = Vec::new();
        for (&topic_id, route) in &mut self.routes {
            if !route.is_former && route.is_heard() && pattern.matches(&route.topic.name) {
                route.join(id, inbox.clone());
                if route.topic.kind == Kind::State {
                    route.known.needs_snapshot = true;
                    snapshots.push(topic_id);
                }
            }
        }
        snapshots
    }

    /// A subscription is gone, and those to these patterns are left.
    pub(crate) fn unsubscribe<'a>(&mut self, id: u32, left: impl Iterator<Item = &'a Pattern> + Clone) {
        self.known.retain(|name, _| left.clone().any(|pattern| pattern.matches(name)));
        for (&topic_id, route) in &mut self.routes {
            route.leave(id);
            if !route.is_heard() {
                self.unpacking.forget(topic_id);
            }
        }
    }

    /// A subscriber's copy of a state topic does not follow. Returns the topic's id, while there is a connection.
    pub(crate) fn resync(&mut self, name: &Name) -> Option<u32> {
        self.known.remove(name);
        let (&id, route) = self.routes.iter_mut().find(|(_, route)| route.topic.name == *name)?;
        route.known.needs_snapshot = true;
        Some(id)
    }

    /// The connection is lost: remembers what resuming needs.
    pub(crate) fn disconnect(&mut self) {
        self.unpacking = Unpacking::default();
        self.sounds.clear();
        self.formers.clear();
        for (_, route) in self.routes.drain() {
            let is_usable = !route.known.needs_snapshot && route.known.is_certain && !route.is_former;
            if is_usable && route.is_heard() {
                self.known.insert(route.topic.name.clone(), route.known);
            }
        }
    }

    /// Where a subscription to `pattern` goes on. Not more than a control message holds: the rest is found by its
    /// sequences, and state that can't be resumed comes as a snapshot.
    pub(crate) fn resumes(&self, pattern: &Pattern) -> Vec<Resume> {
        let mut bytes = 0;
        self.known
            .iter()
            .filter(|(name, known)| matches!(known.kind, Kind::State | Kind::Event) && pattern.matches(name))
            .map(|(name, known)| Resume {
                topic: name.as_str().to_owned(),
                epoch: known.epoch,
                position: known.position,
            })
            .take_while(|resume| {
                bytes += resume.topic.len() + RESUME_OVERHEAD;
                bytes < RESUMES_MAX
            })
            .collect()
    }
}

/// Topics per connection: no hub allows as many, so one that announces more has gone mad.
const ROUTES_MAX: usize = 1 << 20;

/// Ids that topics had before. Over datagrams a topic changes its id no sooner than what came under the last is too old, so what is late
/// is of one of the last.
const FORMERS_MAX: usize = 64;

/// Bytes of a [`Resume`] beside its name, encoded, at most.
const RESUME_OVERHEAD: usize = 32;

/// Bytes of the resumes in one `Subscribe`; the pattern and the rest need some of the 64 KiB too.
const RESUMES_MAX: usize = 60 * 1024;

#[cfg(test)]
mod tests;
