//! Waiting by lane, without starvation.

use std::collections::VecDeque;

use nyx_core::Lane;

/// Who waits. Lanes take turns by weight: while all have somebody, 8 of the high lane go, then 4 of the medium one, then 2 of the low
/// one. So a few urgent ones go before any number of others, and none waits for ever.
///
/// ```
/// use nyx_core::Lane;
/// use nyx_protocol::requests::Queue;
///
/// let mut queue = Queue::default();
/// (0..3).for_each(|n| queue.push(Lane::Low, n));
/// queue.push(Lane::High, 100);
/// assert_eq!(std::iter::from_fn(|| queue.pop()).collect::<Vec<_>>(), [100, 0, 1, 2]);
/// ```
#[derive(Debug)]
pub struct Queue<T> {
    lanes: [VecDeque<T>; Lane::ALL.len()],
    /// What each lane may still send in this round.
    credit: [i64; Lane::ALL.len()],
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { lanes: [const { VecDeque::new() }; 3], credit: ROUND }
    }
}

impl<T> Queue<T> {
    /// How many wait.
    pub fn len(&self) -> usize {
        self.lanes.iter().map(VecDeque::len).sum()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `who` waits, behind the others of its lane. Bounding the length is the owner's business.
    pub fn push(&mut self, lane: Lane, who: T) {
        self.lanes[lane as usize].push_back(who);
    }

    /// The next. O(1).
    pub fn pop(&mut self) -> Option<T> {
        if self.is_empty() {
            return None;
        }
        loop {
            for (queue, credit) in self.lanes.iter_mut().zip(&mut self.credit) {
                if *credit > 0
                    && let Some(who) = queue.pop_front()
                {
                    *credit -= 1;
                    return Some(who);
                }
            }
            self.credit = ROUND;
        }
    }

    /// Those at the front of their lane who are gone wait no longer, which costs the lane none of its turns. O(those that are gone).
    pub fn skip(&mut self, mut is_gone: impl FnMut(&T) -> bool) {
        for queue in &mut self.lanes {
            while queue.pop_front_if(|who| is_gone(who)).is_some() {}
        }
    }

    /// Those whom `keep` does not want wait no longer, and are handed out. O(those that wait).
    pub fn remove(&mut self, mut keep: impl FnMut(&T) -> bool) -> Vec<T> {
        let mut removed = Vec::new();
        for queue in &mut self.lanes {
            for who in std::mem::take(queue) {
                if keep(&who) { queue.push_back(who) } else { removed.push(who) }
            }
        }
        removed
    }
}

/// Twice the weight of each lane: enough that a handful of urgent requests need not share a round.
const ROUND: [i64; 3] = [2 * Lane::High.weight(), 2 * Lane::Medium.weight(), 2 * Lane::Low.weight()];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn who_is_gone_costs_its_lane_no_turn() {
        let mut queue = Queue::default();
        (0..100).for_each(|n| queue.push(Lane::High, n));
        (200..210).for_each(|n| queue.push(Lane::Medium, n));
        queue.skip(|n| *n < 95);
        let popped: Vec<_> = std::iter::from_fn(|| queue.pop()).take(6).collect();
        assert_eq!(popped, [95, 96, 97, 98, 99, 200]);
    }

    proptest! {
        #[test]
        fn each_lane_keeps_its_order_and_none_starves(pushed in prop::collection::vec(0usize..3, 1..200)) {
            let mut queue = Queue::default();
            for (n, lane) in pushed.iter().enumerate() {
                queue.push(Lane::ALL[*lane], (*lane, n));
            }
            let popped: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
            prop_assert_eq!(popped.len(), pushed.len());
            for lane in 0..3 {
                let of_lane: Vec<_> = popped.iter().enumerate().filter(|(_, (of, _))| *of == lane).collect();
                prop_assert!(of_lane.is_sorted_by_key(|(_, (_, n))| *n));
                // The others have at most a round between two turns.
                prop_assert!(of_lane.windows(2).all(|pair| pair[1].0 - pair[0].0 <= 13));
            }
        }
    }
}
