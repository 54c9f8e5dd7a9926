//! One topic on a connection: who listens, and where it stands.

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
    pub(crate) known: Known,
    pub(crate) prompt: bool,
    /// Of frames: whether the one before the next was received.
    pub(crate) is_in_step: bool,
}

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

    /// Whether what has come can be decoded: a frame that builds on others only where none of them is missing.
    pub(crate) fn is_decodable(&mut self, flags: Flags) -> bool {
        self.is_in_step |= flags.contains(Flags::KEYFRAME) || self.topic.kind != Kind::Frame;
        self.is_in_step
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
