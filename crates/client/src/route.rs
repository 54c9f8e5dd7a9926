//! One topic on a connection: who listens, and where it stands.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use nyx_protocol::compress::DecompressError;
use nyx_protocol::pack::UnpackError;
use nyx_protocol::wire::{Flags, Kind};

use crate::subscribe::{Acks, Credit, Delivery, Gap, Inbox, Missing, Reason, Run, Share, Topic, Unpacked};

/// A topic on the present connection.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) topic: Arc<Topic>,
    pub(crate) inboxes: Vec<(u32, Arc<Inbox>)>,
    /// Of frames: who has joined since the last one that can be decoded alone.
    pub(crate) joining: Vec<(u32, Arc<Inbox>)>,
    pub(crate) known: Known,
    pub(crate) prompt: bool,
    /// The first item that the hub sends since it announced the topic.
    pub(crate) begins: u64,
    /// Whether the topic goes on under another id. Only over datagrams is something still to come under this one.
    pub(crate) is_former: bool,
    /// Of frames: whether the one before the next was received.
    pub(crate) is_in_step: bool,
    /// Gaps that were told of before all items before them had come or were missing, by their first item.
    pub(crate) ahead: BTreeMap<u64, Vec<Missing>>,
}

/// Gaps that are kept like this. What is not kept is told all the same when the next item comes, without the reason.
const AHEAD_MAX: usize = 64;

/// Where a topic stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    pub(crate) kind: Kind,
    pub(crate) epoch: u64,
    /// The sequence of the next item; of state, the version that was received last.
    pub(crate) position: u64,
    /// Whether what comes first must join to `position`.
    pub(crate) is_certain: bool,
    /// A subscriber's copy does not follow: no resuming, but a snapshot.
    pub(crate) needs_snapshot: bool,
}

impl Route {
    /// Whether anybody listens.
    pub(crate) const fn is_heard(&self) -> bool {
        !(self.inboxes.is_empty() && self.joining.is_empty())
    }

    /// A subscription has come to it. What builds on a frame from before is of no use to it.
    pub(crate) fn join(&mut self, id: u32, inbox: Arc<Inbox>) {
        let is_frame = self.topic.kind == Kind::Frame;
        let present = if is_frame { &mut self.joining } else { &mut self.inboxes };
        present.push((id, inbox));
    }

    pub(crate) fn leave(&mut self, id: u32) {
        self.inboxes.retain(|(of, _)| *of != id);
        self.joining.retain(|(of, _)| *of != id);
    }

    /// Items `sequence` to `sequence + count` are in a block that can't be unpacked. Says whether the hub has to begin the topic anew: a
    /// document that misses a change, or what refers to something that is not here. What a publisher has spoilt is a gap.
    pub(crate) fn handle_unreadable(&mut self, sequence: u64, count: u64, error: UnpackError) -> bool {
        if self.topic.kind == Kind::State {
            return !std::mem::replace(&mut self.known.needs_snapshot, true);
        }
        self.gap(sequence, vec![Missing { reason: Reason::Unreadable, count }]);
        use DecompressError::{OtherPrefix, UnknownDictionary, UnknownPrefix};
        matches!(error, UnpackError::Content(UnknownDictionary(_) | UnknownPrefix(_) | OtherPrefix))
    }

    /// Why what has come is of no use, if it is not: sound of a format that the topic has no more, or a frame that builds on one that
    /// is missing.
    pub(crate) fn is_of_no_use(&mut self, flags: Flags) -> Option<Reason> {
        self.is_in_step |= flags.contains(Flags::KEYFRAME) || self.topic.kind != Kind::Frame;
        match (self.is_former, self.is_in_step) {
            (true, _) => Some(Reason::Expired),
            (false, true) => None,
            (false, false) => Some(Reason::Conflated),
        }
    }

    /// The hub tells of a gap, which items may have overtaken, or which may have overtaken items.
    pub(crate) fn handle_gap(&mut self, first: u64, missing: Vec<Missing>) {
        if first >= self.known.position && self.ahead.len() < AHEAD_MAX {
            self.ahead.insert(first, missing);
        }
        self.tell_gaps();
    }

    /// Tells of the gaps that have been reached.
    pub(crate) fn tell_gaps(&mut self) {
        while let Some(next) = self.ahead.first_entry()
            && *next.key() <= self.known.position
        {
            let (first, missing) = next.remove_entry();
            // Those that are behind were told as a hole.
            if first == self.known.position {
                self.known.position = self.known.position.saturating_add(total(&missing));
                self.is_in_step = false;
                self.gap(first, missing);
            }
        }
    }

    /// Items from the next one to `sequence` are missing.
    pub(crate) fn tell_hole(&mut self, sequence: u64) {
        let first = self.known.position;
        let count = sequence.saturating_sub(first);
        let mut missing = Vec::new();
        let reached = self.ahead.range(first..sequence).flat_map(|(_, missing)| missing);
        reached.for_each(|reached| reached.add_to(&mut missing));
        if total(&missing) > count {
            missing.clear();
        }
        let unknown = count - total(&missing);
        if unknown > 0 {
            Missing { reason: Reason::Unknown, count: unknown }.add_to(&mut missing);
        }
        self.is_in_step = false;
        self.gap(first, missing);
    }

    /// Tells every subscriber that items are missing.
    pub(crate) fn gap(&self, first_sequence: u64, missing: Vec<Missing>) {
        for (_, inbox) in &self.inboxes {
            inbox.push(Delivery::Gap(Gap {
                topic: self.topic.clone(),
                first_sequence,
                missing: missing.clone(),
            }));
        }
    }

    /// Hands a run, which came as so many bytes, to every subscriber; without one it counts as consumed.
    pub(crate) fn deliver(&self, bytes: Bytes, size: usize, sequence: u64, acks: &Arc<Acks>) {
        let unpacked = (bytes.len() != size).then(|| Arc::new(Unpacked::new(acks.clone(), bytes.len())));
        let run = |credit, bytes| {
            let run = Run::new(self.topic.clone(), bytes, size, sequence, self.prompt, credit);
            Delivery::Run(run.holding(unpacked.clone()))
        };
        match &self.inboxes[..] {
            [] => acks.consume(size, self.prompt),
            [(_, only)] => only.push(run(Credit::Own(acks.clone()), bytes)),
            several => {
                let share = Share { acks: acks.clone(), bytes: size, prompt: self.prompt };
                let credit = Credit::Shared(Arc::new(share));
                for (_, inbox) in several {
                    inbox.push(run(credit.clone(), bytes.clone()));
                }
            }
        }
    }
}

fn total(missing: &[Missing]) -> u64 {
    missing.iter().fold(0, |sum, missing| sum.saturating_add(missing.count))
}
