//! How often connections were used again.
//!
//! Each has a counter of its own that only its holder writes. So counting takes no locked instruction, which would be a tenth of what using a
//! connection again costs, and none is missed while it is in use.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The counter of one connection.
#[derive(Debug, Default)]
pub(super) struct Uses(Arc<AtomicU64>);

impl Uses {
    /// Counts one. The holder is the only one who writes.
    #[inline]
    pub(super) fn count(&mut self) {
        self.0.store(self.0.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }
}

/// Those of an address.
#[derive(Debug, Default)]
pub(super) struct AllUses {
    open: Vec<Arc<AtomicU64>>,
    closed: u64,
}

impl AllUses {
    /// A connection has been made.
    pub(super) fn begin(&mut self) -> Uses {
        let uses = Uses::default();
        self.open.push(Arc::clone(&uses.0));
        uses
    }

    /// A connection is closed.
    pub(super) fn end(&mut self, uses: &Uses) {
        self.open.retain(|open| !Arc::ptr_eq(open, &uses.0));
        self.closed += uses.0.load(Ordering::Relaxed);
    }

    /// Of all connections that there have been.
    pub(super) fn total(&self) -> u64 {
        self.closed + self.open.iter().map(|uses| uses.load(Ordering::Relaxed)).sum::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uses_count_while_a_connection_is_open_and_after() {
        let mut all = AllUses::default();
        let [mut first, mut second] = [all.begin(), all.begin()];
        first.count();
        first.count();
        second.count();
        assert_eq!(all.total(), 3);
        all.end(&first);
        second.count();
        assert_eq!((all.total(), all.open.len()), (4, 1));
    }
}
