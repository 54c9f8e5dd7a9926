//! Documents for readers that say of each message whether it has arrived.
//!
//! The base of a delta is the version that the reader *has*, not the one that it was sent. So a message that is lost is superseded by the next
//! one, and nothing waits for it to come again.

use bytes::Bytes;
use nyx_stream::{Drops, Reason};

use super::{Store, Topic};
use crate::audience::Place;

/// Where such a reader stands.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Baseline {
    /// The version that it has for certain.
    base: Option<u64>,
    /// The version that it was sent last.
    sent: Option<u64>,
    /// Messages of which it is not known what became of them.
    under_way: u32,
    /// Counts how often it had to begin anew. What was sent before is of no use then.
    generation: u32,
}

/// A message to such a reader.
pub(crate) struct Update {
    pub(crate) message: Bytes,
    pub(crate) drops: Drops,
    pub(crate) ticket: Ticket,
}

/// What is to be known when it is decided what became of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticket {
    version: u64,
    generation: u32,
}

/// Messages under way to one reader: it keeps as many versions as may become bases (docs/WIRE.md, section 9).
pub(crate) const UNDER_WAY_MAX: u32 = 8;

impl Baseline {
    pub(crate) const fn at(base: Option<u64>) -> Self {
        Self { base, sent: base, under_way: 0, generation: 0 }
    }

    /// What it was sent is of no use to it.
    pub(crate) const fn forget(&mut self) {
        *self = Self { generation: self.generation + 1, ..Self::at(None) };
    }

    /// Whether it is to be sent `version` now. A second snapshot is not sent beside a first one.
    fn wants(&self, version: u64) -> bool {
        let may_be_sent = match self.base {
            Some(_) => self.under_way < UNDER_WAY_MAX,
            None => self.under_way == 0,
        };
        version > 0 && self.sent != Some(version) && may_be_sent
    }

    fn settle(&mut self, ticket: Ticket, has_arrived: bool) {
        if ticket.generation != self.generation {
            return;
        }
        self.under_way = self.under_way.saturating_sub(1);
        if has_arrived {
            self.base = self.base.max(Some(ticket.version));
        }
    }
}

impl Topic {
    /// What reader `key` should be sent now.
    pub(crate) fn pull_update(&self, key: usize) -> Option<Update> {
        let mut inside = self.inside.lock();
        let super::Inside { store: Store::Document(shelf), audience, tally, .. } = &mut *inside else {
            return None;
        };
        let version = shelf.document().version();
        let reader = audience.get_mut(key)?;
        let Place::Baseline(baseline) = &mut reader.place else { return None };
        let update = baseline.wants(version).then(|| {
            let mut drops = Drops::default();
            if let Some(sent) = baseline.sent.replace(version) {
                drops.add(Reason::Conflated, version.saturating_sub(sent + 1));
            }
            baseline.under_way += 1;
            let ticket = Ticket { version, generation: baseline.generation };
            Update { message: shelf.message_from(baseline.base, self.id), drops, ticket }
        });
        if let Some(update) = &update {
            tally.drops.merge(&update.drops);
        }
        audience.arm(key, false);
        update
    }

    /// It is decided what became of a message to reader `key`.
    pub(crate) fn settle_update(&self, key: usize, ticket: Ticket, has_arrived: bool) {
        if let Some(reader) = self.inside.lock().audience.get_mut(key)
            && let Place::Baseline(baseline) = &mut reader.place
        {
            baseline.settle(ticket, has_arrived);
        }
    }

    /// Items did not reach a reader although they were sent. A reader of frames goes on with one that can be decoded alone.
    pub(crate) fn lose(&self, key: usize, drops: &Drops) {
        let mut inside = self.inside.lock();
        inside.tally.drops.merge(drops);
        if let Some(reader) = inside.audience.get_mut(key)
            && let Place::Ring(cursor) = &mut reader.place
        {
            cursor.lose_step();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket(baseline: &mut Baseline, version: u64) -> Ticket {
        assert!(baseline.wants(version));
        (baseline.sent, baseline.under_way) = (Some(version), baseline.under_way + 1);
        Ticket { version, generation: baseline.generation }
    }

    #[test]
    fn the_base_is_what_has_arrived_and_one_snapshot_is_under_way_at_a_time() {
        let mut baseline = Baseline::default();
        assert!(!baseline.wants(0));
        let first = ticket(&mut baseline, 5);
        assert!(!baseline.wants(6), "it would be another snapshot");
        baseline.settle(first, true);
        let (second, third) = (ticket(&mut baseline, 6), ticket(&mut baseline, 7));
        baseline.settle(third, true);
        baseline.settle(second, true);
        assert_eq!(baseline.base, Some(7));
        for version in 8..8 + u64::from(UNDER_WAY_MAX) {
            ticket(&mut baseline, version);
        }
        assert!(!baseline.wants(99));
    }

    #[test]
    fn what_was_sent_before_it_began_anew_is_no_base() {
        let mut baseline = Baseline::at(Some(3));
        let before = ticket(&mut baseline, 4);
        baseline.forget();
        let snapshot = ticket(&mut baseline, 4);
        baseline.settle(before, true);
        assert_eq!((baseline.base, baseline.under_way), (None, 1));
        baseline.settle(snapshot, true);
        assert_eq!((baseline.base, baseline.under_way), (Some(4), 0));
    }
}
