//! What sequence numbers tell of a path: loss, reordering, doubles.

/// How far behind the latest number one may come and still be told from a double: the anti-replay window of RFC 4303, section 3.4.3.
pub const WINDOW: u32 = 1024;

/// What one arrival is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It is ahead of all others.
    Next {
        /// Numbers that were skipped. They are missing, and may still come.
        skipped: u32,
    },
    /// It comes late, and fills a gap.
    Late {
        /// By how many numbers the latest is ahead.
        behind: u32,
    },
    /// It has been here before.
    Duplicate,
    /// It is so far behind that nobody can say whether it has been here. It was counted as lost when it fell out of the window.
    TooOld,
}

/// Numbers that have arrived, out of a sequence of 32 bits that wraps around.
///
/// ```
/// use nyx_transport::udp::arrivals::{Arrival, Arrivals};
///
/// let mut arrivals = Arrivals::default();
/// assert_eq!(arrivals.handle(7), Arrival::Next { skipped: 0 });
/// assert_eq!(arrivals.handle(9), Arrival::Next { skipped: 1 });
/// assert_eq!(arrivals.handle(8), Arrival::Late { behind: 1 });
/// assert_eq!(arrivals.handle(8), Arrival::Duplicate);
/// assert_eq!((arrivals.stats().lost, arrivals.stats().reordered), (0, 1));
/// ```
#[derive(Clone, Debug)]
pub struct Arrivals {
    latest: Option<u32>,
    /// A bit for each number of the window, by its low bits.
    seen: [u64; WORDS],
    /// Numbers before the first that arrived are not missing.
    known: u32,
    stats: Stats,
}

/// Totals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// What arrived and had not been here.
    pub received: u64,
    /// Of these, what came after a later one.
    pub reordered: u64,
    /// By how much the latest was ahead of one that came late, at most.
    pub reordered_by_max: u32,
    /// What came again.
    pub duplicates: u64,
    /// What came too late to be told from a double.
    pub too_old: u64,
    /// What had not come when the window moved on.
    pub lost: u64,
    /// What is missing now, and may still come.
    pub missing: u32,
}

const WORDS: usize = WINDOW as usize / 64;

impl Default for Arrivals {
    fn default() -> Self {
        Self { latest: None, seen: [0; WORDS], known: 0, stats: Stats::default() }
    }
}

impl Arrivals {
    /// Takes in the number of what has arrived.
    pub fn handle(&mut self, sequence: u32) -> Arrival {
        let Some(latest) = self.latest else { return self.first(sequence) };
        // As serial numbers compare (RFC 1982): half of all are ahead.
        let ahead = sequence.wrapping_sub(latest);
        let arrival = match ahead {
            0 => Arrival::Duplicate,
            1..=0x7FFF_FFFF => self.advance(latest, ahead),
            _ => self.fill(sequence, latest.wrapping_sub(sequence)),
        };
        match arrival {
            Arrival::Next { .. } => self.stats.received += 1,
            Arrival::Late { behind } => {
                self.stats.received += 1;
                self.stats.reordered += 1;
                self.stats.reordered_by_max = self.stats.reordered_by_max.max(behind);
            }
            Arrival::Duplicate => self.stats.duplicates += 1,
            Arrival::TooOld => self.stats.too_old += 1,
        }
        arrival
    }

    /// Totals so far.
    pub const fn stats(&self) -> Stats {
        self.stats
    }

    fn first(&mut self, sequence: u32) -> Arrival {
        self.latest = Some(sequence);
        self.known = 1;
        self.mark(sequence);
        self.stats.received = 1;
        Arrival::Next { skipped: 0 }
    }

    fn advance(&mut self, latest: u32, ahead: u32) -> Arrival {
        // Each number that the window gains pushes one out: a window full is enough, however far the jump.
        for step in 1..=ahead.min(WINDOW) {
            let number = latest.wrapping_add(step);
            let leaves = self.known >= WINDOW;
            if leaves && !self.is_seen(number) {
                self.stats.lost += 1;
                self.stats.missing -= 1;
            }
            self.clear(number);
            self.known = (self.known + 1).min(WINDOW);
            self.stats.missing += 1;
        }
        let beyond = ahead.saturating_sub(WINDOW);
        self.stats.lost += u64::from(beyond);
        // After a jump over the whole window its bits stand for other numbers, none of which has come.
        self.latest = Some(latest.wrapping_add(ahead));
        self.mark(latest.wrapping_add(ahead));
        self.stats.missing -= 1;
        Arrival::Next { skipped: ahead - 1 }
    }

    fn fill(&mut self, sequence: u32, behind: u32) -> Arrival {
        if behind >= self.known {
            return Arrival::TooOld;
        }
        if self.is_seen(sequence) {
            return Arrival::Duplicate;
        }
        self.mark(sequence);
        self.stats.missing -= 1;
        Arrival::Late { behind }
    }

    const fn is_seen(&self, sequence: u32) -> bool {
        let (word, bit) = place(sequence);
        self.seen[word] & bit != 0
    }

    const fn mark(&mut self, sequence: u32) {
        let (word, bit) = place(sequence);
        self.seen[word] |= bit;
    }

    const fn clear(&mut self, sequence: u32) {
        let (word, bit) = place(sequence);
        self.seen[word] &= !bit;
    }
}

const fn place(sequence: u32) -> (usize, u64) {
    let number = sequence % WINDOW;
    ((number / 64) as usize, 1 << (number % 64))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_sequence_wraps_around() {
        let mut arrivals = Arrivals::default();
        arrivals.handle(u32::MAX - 1);
        assert_eq!(arrivals.handle(1), Arrival::Next { skipped: 2 });
        assert_eq!(arrivals.handle(0), Arrival::Late { behind: 1 });
        assert_eq!(arrivals.handle(u32::MAX), Arrival::Late { behind: 2 });
        assert_eq!(arrivals.stats().missing, 0);
    }

    #[test]
    fn a_jump_over_the_window_costs_no_more_than_the_window() {
        let mut arrivals = Arrivals::default();
        arrivals.handle(0);
        arrivals.handle(0x7FFF_FFFF);
        let stats = arrivals.stats();
        assert_eq!(stats.lost + u64::from(stats.missing), 0x7FFF_FFFE);
        assert_eq!(arrivals.handle(5), Arrival::TooOld);
    }

    #[test]
    fn reordering_by_fifty_loses_nothing() {
        let mut arrivals = Arrivals::default();
        for block in 0..100 {
            for number in (0..50).rev() {
                arrivals.handle(block * 50 + number);
            }
        }
        let stats = arrivals.stats();
        // Of the first block, what precedes the first arrival is not known to be missing.
        assert_eq!((stats.received + stats.too_old, stats.missing, stats.lost), (5000, 0, 0));
        assert_eq!(stats.reordered_by_max, 49);
    }

    proptest! {
        #[test]
        fn agrees_with_a_set(start: u32, steps in prop::collection::vec((-1500i64..1500, 0u8..10), 1..400)) {
            let (mut arrivals, mut set) = (Arrivals::default(), HashSet::new());
            let (mut latest, mut lowest, mut at) = (0i64, 0i64, 0i64);
            for (step, kind) in steps {
                // Mostly a little ahead, sometimes anywhere near.
                at = if kind < 6 { latest + step.rem_euclid(4) } else { latest + step };
                let arrival = arrivals.handle(start.wrapping_add(at as u32));
                let first = set.is_empty();
                if first {
                    (latest, lowest) = (at, at);
                    set.insert(at);
                    continue;
                }
                let behind = latest - at;
                let expected = if at > latest {
                    Arrival::Next { skipped: u32::try_from(at - latest - 1).unwrap() }
                } else if behind >= i64::from(WINDOW).min(latest - lowest + 1) && behind > 0 {
                    Arrival::TooOld
                } else if set.contains(&at) {
                    Arrival::Duplicate
                } else {
                    Arrival::Late { behind: u32::try_from(behind).unwrap() }
                };
                prop_assert_eq!(arrival, expected);
                if expected != Arrival::TooOld {
                    set.insert(at);
                }
                latest = latest.max(at);
                let stats = arrivals.stats();
                let span = u64::try_from(latest - lowest + 1).unwrap();
                prop_assert_eq!(stats.received + stats.lost + u64::from(stats.missing), span);
                prop_assert_eq!(stats.received, set.len() as u64);
            }
            let _ = at;
        }
    }
}
