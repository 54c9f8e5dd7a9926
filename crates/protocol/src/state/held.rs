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
