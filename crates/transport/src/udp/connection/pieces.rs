//! What of some bytes is to be sent, and what has arrived.

use std::ops::Range;

use super::ranges::Ranges;

/// The state of bytes that are sent in pieces, and again where pieces were lost.
#[derive(Clone, Debug, Default)]
pub(super) struct Pieces {
    unsent: Ranges,
    arrived: Ranges,
    /// All below have been sent.
    reached: u64,
}

impl Pieces {
    /// Bytes that are to be sent.
    pub(super) fn append(&mut self, range: Range<u64>) {
        self.unsent.insert(range);
    }

    pub(super) const fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// Where the first of them begin.
    pub(super) fn first_unsent(&self) -> Option<u64> {
        self.unsent.first().map(|first| first.start)
    }

    /// The lowest bytes that are to be sent and lie below `below`, at most `max` of them, and whether they are sent again: they count as sent.
    pub(super) fn take(&mut self, max: usize, below: u64) -> Option<(Range<u64>, bool)> {
        let first = self.unsent.first()?;
        let end = first.end.min(first.start.saturating_add(max as u64)).min(below);
        let piece = first.start..end;
        if piece.is_empty() {
            return None;
        }
        self.unsent.remove(&piece);
        let is_again = piece.start < self.reached;
        self.reached = self.reached.max(piece.end);
        Some((piece, is_again))
    }

    pub(super) fn handle_arrived(&mut self, range: Range<u64>) {
        self.unsent.remove(&range);
        self.arrived.insert(range);
    }

    /// They are to be sent again, but for those that have arrived by another way.
    pub(super) fn handle_lost(&mut self, range: Range<u64>) {
        for part in self.arrived.missing_from(range).iter() {
            self.unsent.insert(part.clone());
        }
    }

    /// The bytes from 0 on that have all arrived.
    pub(super) fn arrived_to(&self) -> u64 {
        self.arrived.first().filter(|first| first.start == 0).map_or(0, |first| first.end)
    }
}
