//! One topic on a connection: who listens, and where it stands.

use std::sync::Arc;

use bytes::Bytes;
use nyx_protocol::wire::Kind;

use crate::subscribe::{Acks, Credit, Delivery, Gap, Inbox, Missing, Run, Share, Topic};

/// A topic on the present connection.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) topic: Arc<Topic>,
    pub(crate) inboxes: Vec<(u32, Arc<Inbox>)>,
    pub(crate) known: Known,
    pub(crate) prompt: bool,
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

    /// Hands a run to every subscriber; without one it counts as consumed.
    pub(crate) fn deliver(&self, bytes: Bytes, sequence: u64, acks: &Arc<Acks>) {
        let run =
            |credit, bytes| Delivery::Run(Run::new(self.topic.clone(), bytes, sequence, self.prompt, credit));
        match &self.inboxes[..] {
            [] => acks.consume(bytes.len(), self.prompt),
            [(_, only)] => only.push(run(Credit::Own(acks.clone()), bytes)),
            several => {
                let share = Share { acks: acks.clone(), bytes: bytes.len(), prompt: self.prompt };
                let credit = Credit::Shared(Arc::new(share));
                for (_, inbox) in several {
                    inbox.push(run(credit.clone(), bytes.clone()));
                }
            }
        }
    }
}
