//! What a leaf was, so that a receiver of an earlier version can be told the difference.

/// The last few predecessors of a leaf: for a number its bits; for text and bytes what they have in common with their
/// successor. Either takes 64 bits, so a leaf's memory stays small however long the text is.
///
/// What is older is forgotten: a receiver that is further behind gets the leaf whole.
#[derive(Debug, Clone, Default)]
pub(super) struct Past(Option<Box<Ring>>);

#[derive(Debug, Clone)]
struct Ring {
    len: usize,
    /// The version that brought the predecessor, and what is kept of it; the oldest first.
    entries: [(u64, u64); DEPTH],
}

impl Past {
    /// Notes that the value of `version` has a successor.
    pub(super) fn push(&mut self, version: u64, what: u64) {
        let ring = self.0.get_or_insert_with(|| Box::new(Ring { len: 0, entries: [(0, 0); DEPTH] }));
        if ring.len == DEPTH {
            ring.entries.copy_within(1.., 0);
            ring.len -= 1;
        }
        ring.entries[ring.len] = (version, what);
        ring.len += 1;
    }

    pub(super) fn clear(&mut self) {
        self.0 = None;
    }

    /// What is kept of the value that a receiver at `base` has, and of its successors; `None` if that is forgotten.
    pub(super) fn since(&self, base: u64) -> Option<impl Iterator<Item = u64>> {
        let ring = self.0.as_deref()?;
        let entries = &ring.entries[..ring.len];
        let at = entries.iter().rposition(|(version, _)| *version <= base)?;
        Some(entries[at..].iter().map(|(_, what)| *what))
    }
}

/// Most subscribers are one version behind, slow ones a few. At 16 bytes each for every leaf that changes.
const DEPTH: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_what_was_at_a_version_until_it_is_forgotten() {
        let mut past = Past::default();
        assert!(past.since(9).is_none());
        for version in [1, 3, 5, 7, 9] {
            past.push(version, version * 10);
        }
        let since = |base| past.since(base).map(Iterator::collect::<Vec<_>>);
        assert_eq!(since(2), None);
        assert_eq!(since(3), Some(vec![30, 50, 70, 90]));
        assert_eq!(since(8), Some(vec![70, 90]));
        assert_eq!(since(20), Some(vec![90]));
    }
}
