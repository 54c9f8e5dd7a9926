//! Sets of numbers, as ranges.

use std::ops::Range;

/// Numbers, as ranges in ascending order, of which none is empty and no two touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ranges(Vec<Range<u64>>);

impl Ranges {
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many ranges there are.
    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn first(&self) -> Option<Range<u64>> {
        self.0.first().cloned()
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Range<u64>> {
        self.0.iter()
    }

    /// Forgets the lowest.
    pub(super) fn pop_first(&mut self) {
        if !self.0.is_empty() {
            self.0.remove(0);
        }
    }

    /// How many numbers there are.
    pub(super) fn total(&self) -> u64 {
        self.0.iter().map(|range| range.end - range.start).sum()
    }

    /// Whether there is a range that `range` would be merged with.
    pub(super) fn touches(&self, range: &Range<u64>) -> bool {
        let first = self.0.partition_point(|have| have.end < range.start);
        self.0.get(first).is_some_and(|have| have.start <= range.end)
    }

    pub(super) fn insert(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let first = self.0.partition_point(|have| have.end < range.start);
        let last = self.0.partition_point(|have| have.start <= range.end);
        let mut merged = range;
        if first < last {
            merged.start = merged.start.min(self.0[first].start);
            merged.end = merged.end.max(self.0[last - 1].end);
        }
        self.0.splice(first..last, [merged]);
    }

    pub(super) fn remove(&mut self, range: &Range<u64>) {
        let first = self.0.partition_point(|have| have.end <= range.start);
        let last = self.0.partition_point(|have| have.start < range.end);
        if range.is_empty() || first >= last {
            return;
        }
        let below = self.0[first].start..range.start;
        let above = range.end..self.0[last - 1].end;
        self.0.splice(first..last, [below, above].into_iter().filter(|part| !part.is_empty()));
    }

    /// The parts of `range` that are not in here.
    pub(super) fn missing_from(&self, range: Range<u64>) -> Self {
        let mut missing = Self::default();
        missing.insert(range.clone());
        let first = self.0.partition_point(|have| have.end <= range.start);
        for have in self.0[first..].iter().take_while(|have| have.start < range.end) {
            missing.remove(have);
        }
        missing
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn agree_with_a_set(steps in prop::collection::vec((any::<bool>(), 0u64..60, 0u64..9), 1..80)) {
            let (mut ranges, mut set) = (Ranges::default(), BTreeSet::new());
            for (adds, start, length) in steps {
                let range = start..start + length;
                if adds {
                    ranges.insert(range.clone());
                    set.extend(range.clone());
                } else {
                    ranges.remove(&range);
                    range.clone().for_each(|number| { set.remove(&number); });
                }
                let held: Vec<u64> = ranges.iter().cloned().flatten().collect();
                prop_assert_eq!(&held, &set.iter().copied().collect::<Vec<_>>());
                prop_assert_eq!(ranges.total(), set.len() as u64);
                prop_assert!(ranges.iter().all(|range| !range.is_empty()));
                prop_assert!(ranges.0.windows(2).all(|pair| pair[0].end < pair[1].start));
                let missing: Vec<u64> = ranges.missing_from(5..40).iter().cloned().flatten().collect();
                prop_assert_eq!(missing, (5..40).filter(|number| !set.contains(number)).collect::<Vec<_>>());
            }
        }
    }
}
