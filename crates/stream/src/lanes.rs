//! Sharing a socket by weight.
//!
//! Deficit round robin (Shreedhar and Varghese, *Efficient Fair Queueing Using Deficit Round-Robin*, SIGCOMM 1995), in
//! the form that lets a lane overdraw: an item is taken whatever its size and paid for in later rounds.
//!
//! Over any time in which two lanes always have something to send, what they sent, each divided by its weight,
//! differs by at most one [`QUANTUM`] and the largest item of each, likewise divided. (One quantum more, once, where
//! a lane comes back that rested for a part of the round.) And none starves: with items of up to `L` bytes, a lane of
//! weight `w` is served again after the others have sent what they may in `L` / (`w` × [`QUANTUM`]) + 2 rounds, and
//! an item each. Property tests hold it to both.

use std::collections::VecDeque;

pub use nyx_core::Lane;

/// Bytes that a lane of weight 1 may send in a round: about a large packet's worth of small items.
///
/// ```
/// use nyx_stream::lanes::{Lane, QUANTUM};
///
/// assert_eq!(Lane::High.weight() * QUANTUM, 64 * 1024); // in each round
/// ```
pub const QUANTUM: i64 = 16 * 1024;

/// Says which of those that have something to send is next.
///
/// ```
/// use nyx_stream::{Lane, Lanes};
///
/// let mut lanes = Lanes::new();
/// lanes.push(Lane::Low, "video");
/// lanes.push(Lane::High, "voice");
/// assert_eq!(lanes.pop(), Some((Lane::High, "voice")));
/// lanes.charge(Lane::High, 500);
/// lanes.push(Lane::Medium, "chat");
/// lanes.retain(|who| *who != "chat"); // it has gone
/// assert_eq!(lanes.pop(), Some((Lane::Low, "video")));
/// assert!(lanes.is_empty());
/// ```
#[derive(Debug)]
pub struct Lanes<T> {
    queues: [VecDeque<T>; 3],
    credit: [i64; 3],
}

impl<T> Lanes<T> {
    /// Nobody waits. Allocates nothing.
    ///
    /// ```
    /// assert_eq!(nyx_stream::Lanes::<u32>::new().pop(), None);
    /// ```
    pub const fn new() -> Self {
        Self { queues: [const { VecDeque::new() }; 3], credit: [0; 3] }
    }

    /// `who` has something to send. It is asked after those that wait in the same lane. Amortised O(1).
    pub fn push(&mut self, lane: Lane, who: T) {
        self.queues[lane as usize].push_back(who);
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.queues.iter().all(VecDeque::is_empty)
    }

    /// The next to be asked. O(1).
    ///
    /// ```
    /// use nyx_stream::{Lane, Lanes};
    ///
    /// let mut lanes = Lanes::new();
    /// [(Lane::Low, 1), (Lane::High, 2)].into_iter().for_each(|(lane, who)| lanes.push(lane, who));
    /// assert_eq!(lanes.pop(), Some((Lane::High, 2)));
    /// ```
    pub fn pop(&mut self) -> Option<(Lane, T)> {
        if self.is_empty() {
            return None;
        }
        loop {
            for lane in Lane::ALL {
                let i = lane as usize;
                if self.credit[i] > 0
                    && let Some(who) = self.queues[i].pop_front()
                {
                    return Some((lane, who));
                }
            }
            self.begin_round();
        }
    }

    /// Those that `keep` does not want no longer wait. O(those that wait).
    pub fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        for queue in &mut self.queues {
            queue.retain(&keep);
        }
    }

    /// What was popped from `lane` has sent this much. O(1).
    ///
    /// ```
    /// use nyx_stream::{Lane, Lanes};
    ///
    /// let mut lanes = Lanes::new();
    /// [(Lane::High, 1), (Lane::High, 2), (Lane::Low, 3)].into_iter().for_each(|(lane, who)| lanes.push(lane, who));
    /// assert_eq!(lanes.pop(), Some((Lane::High, 1)));
    /// lanes.charge(Lane::High, 1 << 20); // more than its share, so another lane is next
    /// assert_eq!(lanes.pop(), Some((Lane::Low, 3)));
    /// ```
    pub fn charge(&mut self, lane: Lane, bytes: usize) {
        let credit = &mut self.credit[lane as usize];
        *credit = credit.saturating_sub(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// Every lane with something to send gets its share. As many rounds at once as it takes for one to go on.
    fn begin_round(&mut self) {
        let waiting = |i: usize| !self.queues[i].is_empty();
        let rounds = Lane::ALL
            .into_iter()
            .filter(|lane| waiting(*lane as usize))
            .map(|lane| self.credit[lane as usize].saturating_neg().max(0) / (lane.weight() * QUANTUM) + 1)
            .min()
            .unwrap_or(1);
        for lane in Lane::ALL {
            let share = (lane.weight() * QUANTUM).saturating_mul(rounds);
            let credit = self.credit[lane as usize].saturating_add(share);
            // A lane pays its debts while it rests, but saves nothing up.
            self.credit[lane as usize] = if waiting(lane as usize) { credit } else { credit.min(0) };
        }
    }
}

impl<T> Default for Lanes<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_alone_gets_everything() {
        let mut lanes = Lanes::new();
        for i in 0..100 {
            lanes.push(Lane::Low, i);
            assert_eq!(lanes.pop(), Some((Lane::Low, i)));
            lanes.charge(Lane::Low, 10_000_000);
        }
        assert_eq!(lanes.pop(), None);
    }

    #[test]
    fn a_debt_beyond_all_bounds_is_paid_all_the_same() {
        let mut lanes = Lanes::new();
        for lane in Lane::ALL {
            lanes.push(lane, lane);
            (0..3).for_each(|_| lanes.charge(lane, usize::MAX));
        }
        let paid = [(); 3].map(|()| lanes.pop().map(|(lane, _)| lane));
        assert_eq!(paid, Lane::ALL.map(Some));
    }
}
