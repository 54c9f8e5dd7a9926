//! Which hubs the items of a topic have passed, where some of them were forwarded.

use std::collections::VecDeque;

use nyx_protocol::trail::Trail;

/// From which item, or version of a document, on which trail holds. Empty as long as nothing comes from another hub.
#[derive(Debug, Default)]
pub(crate) struct Trails(VecDeque<(u64, Trail)>);

/// Changes that are remembered of a document. What was before is merged: how far back a reader may be is not bounded.
const DOCUMENT_MAX: usize = 64;

impl Trails {
    /// Item `first` of a ring, whose oldest item is `oldest`, and those that follow have this trail.
    #[inline]
    pub(crate) fn note_items(&mut self, first: u64, oldest: u64, trail: &Trail) {
        if self.begins(first, trail) {
            // Each that is left begins with an item of the ring, but for the first: there are no more than the ring has entries.
            while self.0.get(1).is_some_and(|(first, _)| *first <= oldest) {
                self.0.pop_front();
            }
        }
    }

    /// Version `version` of a document came with this trail.
    pub(crate) fn note_version(&mut self, version: u64, trail: &Trail) {
        if self.begins(version, trail)
            && self.0.len() > DOCUMENT_MAX
            && let Some((first, older)) = self.0.pop_front()
            && let Some(front) = self.0.front_mut()
        {
            *front = (first, front.1.merged(&older));
        }
    }

    /// What was noted is of no document any more: one that came with this trail has taken its place.
    pub(crate) fn restart(&mut self, trail: &Trail) {
        self.0.clear();
        self.begins(0, trail);
    }

    /// Whether that is a change.
    fn begins(&mut self, first: u64, trail: &Trail) -> bool {
        let is_same = self.0.back().map_or(trail.is_empty(), |(_, last)| last == trail);
        if !is_same {
            self.0.push_back((first, trail.clone()));
        }
        !is_same
    }

    /// That of item `sequence`.
    pub(crate) fn of_item(&self, sequence: u64) -> Trail {
        let after = self.0.partition_point(|(first, _)| *first <= sequence);
        after.checked_sub(1).map_or_else(Trail::default, |at| self.0[at].1.clone())
    }

    /// That of what the latest version has that `base` has not.
    pub(crate) fn since_version(&self, base: Option<u64>) -> Trail {
        let first = base.unwrap_or(0) + 1;
        let after = self.0.partition_point(|(begins, _)| *begins <= first);
        let trails = self.0.range(after..).map(|(_, trail)| trail);
        match after.checked_sub(1).map(|at| &self.0[at].1) {
            Some(at_first) => trails.fold(at_first.clone(), |all, one| all.merged(one)),
            // Something came before the first that was noted, from no other hub.
            None => trails.fold(Trail::default(), |all, one| all.merged(one)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trail(hubs: &[u64]) -> Trail {
        Trail::new(hubs).unwrap()
    }

    #[test]
    fn nothing_is_kept_where_nothing_was_forwarded() {
        let mut trails = Trails::default();
        (0..100).for_each(|n| trails.note_items(n, 0, &trail(&[])));
        assert!(
            trails.0.is_empty() && trails.of_item(7).is_empty() && trails.since_version(Some(3)).is_empty()
        );
    }

    #[test]
    fn each_item_has_its_own_and_those_that_are_gone_are_forgotten() {
        let mut trails = Trails::default();
        for (first, hubs) in [(0, &[][..]), (10, &[1]), (11, &[1]), (20, &[1, 2]), (30, &[])] {
            trails.note_items(first, 0, &trail(hubs));
        }
        let of = |trails: &Trails, n| trails.of_item(n).hubs().to_vec();
        assert_eq!(
            [9, 10, 19, 20, 29, 30].map(|n| of(&trails, n)),
            [vec![], vec![1], vec![1], vec![1, 2], vec![1, 2], vec![]]
        );
        trails.note_items(40, 25, &trail(&[3]));
        assert_eq!((trails.0.len(), of(&trails, 25), of(&trails, 40)), (3, vec![1, 2], vec![3]));
    }

    #[test]
    fn what_a_reader_of_a_document_is_behind_by_has_passed_what_all_of_it_has() {
        let mut trails = Trails::default();
        for (version, hubs) in [(1, &[1][..]), (2, &[1]), (5, &[2, 1]), (8, &[])] {
            trails.note_version(version, &trail(hubs));
        }
        let since = |base: u64| trails.since_version(Some(base)).hubs().to_vec();
        assert_eq!(
            [0, 3, 4, 6, 7, 9].map(since),
            [vec![0, 0], vec![0, 0], vec![0, 0], vec![0, 0], vec![], vec![]]
        );
        let mut trails = Trails::default();
        trails.note_version(4, &trail(&[1]));
        trails.note_version(6, &trail(&[2, 1]));
        let since = |base| trails.since_version(base).hubs().to_vec();
        assert_eq!(
            [None, Some(2), Some(3), Some(5)].map(since),
            [vec![0, 0], vec![0, 0], vec![0, 1], vec![2, 1]]
        );
        trails.restart(&trail(&[9]));
        assert_eq!(trails.since_version(None).hubs(), [9]);
    }

    #[test]
    fn of_a_document_that_many_write_a_bounded_number_of_changes_is_kept() {
        let mut trails = Trails::default();
        (1..1000).for_each(|version| trails.note_version(version, &trail(&[7, 100 + version])));
        assert_eq!(trails.0.len(), DOCUMENT_MAX);
        assert_eq!(trails.since_version(None).hubs(), [7, 0]);
        assert_eq!(trails.since_version(Some(998)).hubs(), [7, 1099]);
    }
}
