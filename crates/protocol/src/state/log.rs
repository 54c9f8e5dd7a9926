//! Which entries of a container changed, and when.

use std::collections::HashSet;

/// Changes of a container's entries, the oldest first, so that those since a version are found without a look at
/// the others.
///
/// Only the last change of an entry matters, so the log never needs more than one record per entry that is
/// there, and one per entry that has gone. The latter are bounded: when the oldest are forgotten, the log's floor
/// rises to their version, and whoever is behind the floor gets the container whole.
#[derive(Debug, Clone)]
pub(super) struct Log {
    records: Vec<(u64, u64)>,
    floor: u64,
}

impl Log {
    /// The log of a container created at `version`.
    pub(super) fn new(version: u64) -> Self {
        Self { records: Vec::new(), floor: version }
    }

    /// Whether every change after `base` is known.
    pub(super) fn reaches(&self, base: u64) -> bool {
        base >= self.floor
    }

    /// Notes that `entry` changed at `version`, which is the latest.
    pub(super) fn push(&mut self, version: u64, entry: u64) {
        self.records.push((version, entry));
    }

    /// The entries that changed after `base`, the latest first; an entry can occur more than once.
    pub(super) fn since(&self, base: u64) -> impl Iterator<Item = u64> {
        self.records.iter().rev().take_while(move |(version, _)| *version > base).map(|&(_, entry)| entry)
    }

    /// Drops what no longer matters, gone entries included, when there is enough of it to be worth the walk.
    pub(super) fn forget_gone(&mut self, live: usize, latest: impl Fn(u64) -> Option<u64>) {
        if self.records.len() > 2 * live + SLACK {
            self.records.retain(|&(version, entry)| latest(entry) == Some(version));
        }
    }

    /// Drops what no longer matters when there is enough of it to be worth the walk. `live` is the number of
    /// entries that are there and `latest` tells when such an entry last changed.
    pub(super) fn tidy(&mut self, live: usize, latest: impl Fn(u64) -> Option<u64>) {
        if self.records.len() <= 2 * live + SLACK {
            return;
        }
        let mut room = (live + SLACK) / 2;
        let mut gone = HashSet::new();
        let mut kept = Vec::with_capacity(live + room);
        for &(version, entry) in self.records.iter().rev() {
            match latest(entry) {
                Some(latest) if latest != version => continue,
                Some(_) => {}
                None if gone.contains(&entry) => continue,
                None if room == 0 => {
                    self.floor = version;
                    break;
                }
                None => {
                    room -= 1;
                    gone.insert(entry);
                }
            }
            kept.push((version, entry));
        }
        kept.reverse();
        self.records = kept;
    }
}

/// Superseded records that are tolerated beside those that matter. Small enough for the many small maps of a
/// document, large enough that tidying costs a few look-ups per change.
const SLACK: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_last_change_of_each_entry_within_a_bound() {
        let mut log = Log::new(0);
        for version in 1..=1000 {
            log.push(version, version % 10);
            log.tidy(10, |entry| Some(version - (version - entry) % 10));
            assert!(log.records.len() <= 2 * 10 + SLACK);
        }
        assert!(log.reaches(0));
        let mut recent: Vec<_> = log.since(995).collect();
        recent.sort_unstable();
        assert_eq!(recent, [0, 6, 7, 8, 9]);
    }

    #[test]
    fn the_floor_rises_when_removals_are_forgotten() {
        let mut log = Log::new(0);
        for version in 1..=1000 {
            log.push(version, version);
            log.tidy(0, |_| None);
            assert!(log.records.len() <= SLACK + 1);
        }
        assert!(!log.reaches(500));
        assert!(log.reaches(997));
        assert_eq!(log.since(997).collect::<Vec<_>>(), [1000, 999, 998]);
    }
}
