//! Accounts of what one subscriber got of one topic.
#![allow(dead_code, reason = "each suite uses a part")]

use std::collections::BTreeMap;

use nyx_client::subscribe::Gap;

/// Checks, item by item, that the numbers of a topic go on without a hole: each is delivered or reported missing, once.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// The number of the next item.
    pub(crate) next: u64,
    /// Items that came.
    pub(crate) delivered: u64,
    /// Items that were reported missing, by reason.
    pub(crate) missing: BTreeMap<&'static str, u64>,
}

impl Ledger {
    /// An item came.
    pub(crate) fn deliver(&mut self, sequence: u64) {
        assert_eq!(sequence, self.next, "an item is missing that no gap told of, or came twice: {self:?}");
        self.next += 1;
        self.delivered += 1;
    }

    /// Items were reported missing.
    pub(crate) fn miss(&mut self, gap: &Gap) {
        assert_eq!(
            gap.first_sequence, self.next,
            "a gap begins elsewhere than where the items ended: {self:?}, {gap:?}"
        );
        self.next += gap.total();
        for missing in &gap.missing {
            *self.missing.entry(missing.reason.name()).or_default() += missing.count;
        }
    }

    /// All that were reported missing.
    pub(crate) fn missing_total(&self) -> u64 {
        self.missing.values().sum()
    }
}
