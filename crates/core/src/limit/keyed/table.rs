use crossbeam::utils::CachePadded;
use parking_lot::Mutex;

use super::capacity::{CapacityError, SHARDS_MAX, scale};
use crate::Instant;
use crate::limit::Denied;
use crate::limit::grain::Flow;

/// Padded, so that the lock of one shard doesn't disturb the next.
pub(super) type LockedShard = CachePadded<Mutex<Shard>>;

/// A part of the keys, behind one lock.
#[derive(Debug)]
pub(super) struct Shard {
    flow: Flow,
    sets: Box<[Set]>,
    counts: Counts,
}

/// What a shard has seen.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) used: u64,
    pub(super) evicted: u64,
    pub(super) inherited: u64,
}

impl Shard {
    pub(super) fn locked(flow: Flow, sets: usize) -> Result<LockedShard, CapacityError> {
        let mut table = Vec::new();
        table.try_reserve_exact(sets).map_err(|_| CapacityError::TooLarge)?;
        table.resize(sets, Set::EMPTY);
        let shard = Self { flow, sets: table.into(), counts: Counts::default() };
        Ok(CachePadded::new(Mutex::new(shard)))
    }

    pub(super) fn flow(&self) -> &Flow {
        &self.flow
    }

    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    pub(super) fn adjust(&mut self, adjust: impl FnOnce(&Flow) -> Flow) {
        self.flow = adjust(&self.flow);
    }

    /// Takes `cost` grains, at most the burst, from the key with this hash.
    #[inline]
    pub(super) fn take(&mut self, hash: u64, cost: u64, now: Instant) -> Result<(), Denied> {
        let set = set_of(&mut self.sets, hash);
        match set.find(hash) {
            Some(way) => set.spent[way] = self.flow.take(set.spent[way], cost, now)?,
            None => {
                let way = set.smallest();
                let inherited = set.spent[way];
                set.spent[way] = self.flow.take(inherited, cost, now)?;
                set.hashes[way] = hash;
                self.counts.count(inherited, self.flow.level(now));
            }
        }
        Ok(())
    }

    pub(super) fn refund(&mut self, hash: u64, refund: u64) {
        let set = set_of(&mut self.sets, hash);
        if let Some(way) = set.find(hash) {
            // Whoever was displaced from this set owes at most what the smallest debtor in it does. So that must not shrink.
            let rest = set.spent.iter().enumerate().filter(|(other, _)| *other != way);
            let floor = rest.map(|(_, spent)| *spent).min().unwrap_or(0);
            // Nor may it become zero, which is the mark of a way without a key.
            let spent = set.spent[way];
            set.spent[way] = spent.saturating_sub(refund).max(floor.max(1).min(spent));
        }
    }
}

impl Counts {
    fn count(&mut self, inherited: u64, level: u64) {
        match inherited {
            0 => self.used += 1,
            debt if debt > level => self.inherited += 1,
            _ => self.evicted += 1,
        }
    }
}

/// Eight keys: their hashes in one cache line, their accounts in the next, which the processor fetches along with it. An account
/// of zero is a way that was never used: a key's is at least the level, which begins at one.
#[derive(Clone, Debug)]
#[repr(align(128))]
pub(super) struct Set {
    hashes: [u64; Self::WAYS],
    spent: [u64; Self::WAYS],
}

impl Set {
    pub(super) const WAYS: usize = 8;
    const EMPTY: Self = Self { hashes: [0; Self::WAYS], spent: [0; Self::WAYS] };

    /// The way of this hash. Looks at all of them without a branch, because which it will be can't be predicted.
    #[inline]
    fn find(&self, hash: u64) -> Option<usize> {
        let hits =
            self.hashes.iter().enumerate().fold(0, |hits, (way, h)| hits | usize::from(*h == hash) << way);
        (hits != 0).then(|| hits.trailing_zeros() as usize % Self::WAYS)
    }

    /// The way that has spent the least: the one that has rested longest if it is out of debt, else the smallest debtor.
    #[inline]
    fn smallest(&self) -> usize {
        let mut smallest = 0;
        for way in 1..Self::WAYS {
            if self.spent[way] < self.spent[smallest] {
                smallest = way;
            }
        }
        smallest
    }
}

/// By the bits below those that chose the shard.
#[inline]
fn set_of(sets: &mut [Set], hash: u64) -> &mut Set {
    let index = scale(hash << SHARDS_MAX.ilog2(), sets.len());
    &mut sets[index]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_two_cache_lines_and_a_lock_one_block() {
        assert_eq!(size_of::<Set>(), 16 * Set::WAYS);
        assert_eq!(size_of::<LockedShard>(), 128);
    }

    #[test]
    fn every_set_can_be_chosen() {
        let mut sets = vec![Set::EMPTY; 37];
        for index in 0..10_000u64 {
            let hash = index.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            set_of(&mut sets, hash).spent[0] = 1;
        }
        assert!(sets.iter().all(|set| set.spent[0] == 1));
    }
}
