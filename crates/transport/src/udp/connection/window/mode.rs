//! What follows for the window from how a round went.

use std::time::Duration;

use nyx_core::Instant;

use super::cubic::Cubic;

/// How the window grows and shrinks.
#[derive(Debug)]
pub(super) enum Mode {
    /// The path has not shown its limit yet.
    Starting,
    Calm(Calm),
    Contested(Cubic),
}

/// While all leave when a queue grows.
#[derive(Debug)]
pub(super) struct Calm {
    /// By how much the window grows next.
    step: u64,
    /// Rounds in a row in which datagrams waited for long, and the window before the first of them.
    waits: u32,
    before: u64,
}

/// What a round says of the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    Clear,
    /// Something waits, as it should where the path is used.
    Busy,
    /// Datagrams wait for long.
    Queue,
    /// Something was lost from a queue.
    Overflow,
    /// More was lost than a radio loses.
    Loss,
}

/// A round that has ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Round {
    pub(super) sign: Sign,
    pub(super) arrived: u64,
    /// Whether the window was what held sending back.
    pub(super) was_full: bool,
    pub(super) took: Option<Duration>,
}

/// Rounds of leaving after which a queue is not this side's: after eight cuts it has a twentieth of its window.
const IN_VAIN: u32 = 8;

/// The first step of a calm window after it was cut.
const STEP: u64 = 1200;

/// The largest step: more than the largest window has no use.
const STEP_MAX: u64 = 8 << 20;

impl Mode {
    /// All who send are taken to leave when a queue grows; the window is `bytes`.
    pub(super) const fn calm(bytes: u64) -> Self {
        Self::Calm(Calm { step: STEP, waits: 0, before: bytes })
    }

    fn contested(now: Instant, before: u64, after: u64) -> Self {
        Self::Contested(Cubic::new(now, before, after))
    }

    /// Returns the window of the next round; it was `bytes`.
    pub(super) fn end_round(&mut self, now: Instant, round: &Round, bytes: u64) -> u64 {
        match self {
            Self::Starting => self.start(round, bytes),
            Self::Calm(calm) => {
                let (next, is_contested) = calm.end_round(round, bytes);
                if is_contested {
                    // What was given up was given up for somebody who does not.
                    let before = if calm.waits > 0 { calm.before } else { bytes };
                    *self = Self::contested(now, before, next);
                }
                next
            }
            Self::Contested(cubic) => contest(cubic, now, round, bytes),
        }
    }

    fn start(&mut self, round: &Round, bytes: u64) -> u64 {
        let next = match round.sign {
            Sign::Clear => return if round.was_full { bytes + round.arrived } else { bytes },
            Sign::Busy => bytes,
            // This side has grown too far by itself: that is no contest.
            Sign::Queue | Sign::Overflow | Sign::Loss => cut(bytes),
        };
        *self = Self::calm(next);
        next
    }
}

impl Calm {
    /// The next window, and whether somebody fills the queue who does not leave.
    fn end_round(&mut self, round: &Round, bytes: u64) -> (u64, bool) {
        if matches!(round.sign, Sign::Busy | Sign::Queue | Sign::Loss) {
            self.step = STEP;
        }
        match round.sign {
            Sign::Clear | Sign::Busy => {
                self.waits = 0;
                (if round.was_full { self.grow(bytes) } else { bytes }, false)
            }
            Sign::Queue => self.leave(bytes),
            Sign::Overflow => (cut(if self.waits > 0 { self.before } else { bytes }), true),
            Sign::Loss => {
                self.waits = 0;
                (cut(bytes), false)
            }
        }
    }

    fn grow(&mut self, bytes: u64) -> u64 {
        let next = bytes + self.step;
        self.step = (self.step * 3 / 2).min(STEP_MAX);
        next
    }

    fn leave(&mut self, bytes: u64) -> (u64, bool) {
        if self.waits == 0 {
            self.before = bytes;
        }
        self.waits += 1;
        let is_in_vain = self.waits == IN_VAIN;
        (if is_in_vain { self.before } else { cut(bytes) }, is_in_vain)
    }
}

fn contest(cubic: &mut Cubic, now: Instant, round: &Round, bytes: u64) -> u64 {
    match round.sign {
        Sign::Overflow | Sign::Loss => {
            let next = cut(bytes);
            cubic.handle_cut(now, bytes, next);
            next
        }
        // That datagrams wait is what the others want.
        _ if round.was_full => cubic.grow(now, bytes, round.took.unwrap_or_default()),
        _ => {
            cubic.handle_idle(now);
            bytes
        }
    }
}

/// What Cubic cuts to, and so a calm window as well: where both are on a path neither has the better of it.
const fn cut(bytes: u64) -> u64 {
    bytes * 7 / 10
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(sign: Sign) -> Round {
        Round { sign, arrived: 100_000, was_full: true, took: Some(Duration::from_millis(50)) }
    }

    fn after(mode: &mut Mode, signs: &[Sign], mut bytes: u64) -> u64 {
        for sign in signs {
            bytes = mode.end_round(Instant::ZERO, &round(*sign), bytes);
        }
        bytes
    }

    #[test]
    fn calm_windows_of_different_size_grow_by_the_same_and_come_nearer() {
        let (mut large, mut small) = (Mode::calm(0), Mode::calm(0));
        let (mut l, mut s) = (400_000, 40_000);
        for _ in 0..20 {
            let signs = [Sign::Clear, Sign::Clear, Sign::Clear, Sign::Queue];
            (l, s) = (after(&mut large, &signs, l), after(&mut small, &signs, s));
        }
        assert!(l - s < 1_000 && s > 10_000, "{l} and {s}");
    }

    #[test]
    fn steps_grow_where_nothing_stands_against_them_and_begin_anew_where_something_waits() {
        let mut mode = Mode::calm(0);
        let doubled = after(&mut mode, &[Sign::Clear; 16], 1_000_000);
        assert!(doubled > 2_000_000, "{doubled}");
        assert_eq!(after(&mut mode, &[Sign::Busy], doubled), doubled + STEP);
    }

    #[test]
    fn a_queue_that_stays_is_somebody_else_s_and_what_was_given_up_is_taken_back() {
        let mut mode = Mode::calm(0);
        let left = after(&mut mode, &[Sign::Queue; 7], 100_000);
        assert!(left < 10_000, "{left}");
        assert_eq!(after(&mut mode, &[Sign::Queue], left), 100_000);
        assert!(matches!(mode, Mode::Contested(_)));
        assert!(after(&mut mode, &[Sign::Queue; 5], 100_000) >= 100_000);
        assert_eq!(after(&mut mode, &[Sign::Overflow], 100_000), 70_000);
    }

    #[test]
    fn a_loss_from_a_queue_shows_a_contest_and_the_start_s_own_does_not() {
        let mut mode = Mode::Starting;
        assert_eq!(after(&mut mode, &[Sign::Clear, Sign::Overflow], 100_000), 140_000);
        assert!(matches!(mode, Mode::Calm(_)));
        assert_eq!(after(&mut mode, &[Sign::Queue, Sign::Queue, Sign::Overflow], 100_000), 70_000);
        assert!(matches!(mode, Mode::Contested(_)));
    }

    #[test]
    fn much_loss_without_a_queue_is_left_to_and_shows_no_contest() {
        let mut mode = Mode::calm(0);
        assert_eq!(after(&mut mode, &[Sign::Loss], 100_000), 70_000);
        assert!(matches!(mode, Mode::Calm(_)));
    }
}
