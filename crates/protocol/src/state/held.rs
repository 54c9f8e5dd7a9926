//! Which versions a document went through, and so can lead others on from.

use std::collections::VecDeque;

/// Ranges of versions, ascending. An authority goes through every version and keeps a single range; a receiver
/// jumps, and what lies in a jump it can't tell apart.
#[derive(Debug, Clone)]
pub(super) struct Held {
    ranges: VecDeque<(u64, u64)>,
}

impl Held {
    pub(super) fn new(version: u64) -> Self {
        Self { ranges: VecDeque::from([(version, version)]) }
    }

    pub(super) fn contains(&self, version: u64) -> bool {
        let after = self.ranges.partition_point(|&(first, _)| first <= version);
        after > 0 && version <= self.ranges[after - 1].1
    }

    /// Notes the next version, which is the greatest yet.
    pub(super) fn push(&mut self, version: u64) {
        match self.ranges.back_mut() {
            Some((_, last)) if *last + 1 == version => *last = version,
            _ => {
                if self.ranges.len() == RANGES_MAX {
                    self.ranges.pop_front();
                }
                self.ranges.push_back((version, version));
            }
        }
    }
}

/// A receiver that jumps at 60 Hz can lead others on from what it held in the last seconds.
const RANGES_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_in_a_jump_or_is_forgotten_is_not_held() {
        let mut held = Held::new(1);
        [2, 5].into_iter().for_each(|version| held.push(version));
        let contained: Vec<_> = (0..7).filter(|version| held.contains(*version)).collect();
        assert_eq!(contained, [1, 2, 5]);
        let jumps = (10..).step_by(2).take(RANGES_MAX);
        jumps.clone().for_each(|version| held.push(version));
        assert!((0..10).all(|version| !held.contains(version)), "as many jumps have followed as are kept");
        assert!(jumps.clone().all(|version| held.contains(version) && !held.contains(version + 1)));
    }
}
