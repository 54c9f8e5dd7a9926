//! Notes about bad lines: the first of a run of them, then a few a second.

use anyhow::Context as _;
use nyx_core::clock::{Clock, Monotonic};
use nyx_core::limit::{Local, Quota};

use crate::exit::Outcome;

/// Says which bad lines are told. A file of nothing else has millions, so this is asked before the note is put together.
pub(super) struct Notes<C = Monotonic> {
    limiter: Local<C>,
    /// Since the last one that was told.
    untold: u64,
}

/// Notes that are told at once.
const BURST: u64 = 10;

/// Notes that are told when more come all the time.
const PER_SECOND: u64 = 3;

impl Notes {
    pub(super) fn new() -> Outcome<Self> {
        Self::with_clock(Monotonic::new())
    }
}

impl<C: Clock> Notes<C> {
    fn with_clock(clock: C) -> Outcome<Self> {
        let quota = Quota::per_second(PER_SECOND).and_then(|quota| quota.with_burst(BURST));
        let limiter = Local::with_clock(&quota.context("can't limit notes")?, clock);
        Ok(Self { limiter, untold: 0 })
    }

    /// Whether to tell one more. If so: how many were not told since the last one.
    pub(super) fn next(&mut self) -> Option<u64> {
        if self.limiter.check().is_err() {
            self.untold += 1;
            return None;
        }
        Some(std::mem::take(&mut self.untold))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use nyx_core::clock::Manual;

    use super::*;

    #[test]
    fn after_the_first_ones_a_few_a_second_say_what_was_left_out() {
        let clock = Manual::new();
        let mut notes = Notes::with_clock(clock.clone()).unwrap();
        let told = |notes: &mut Notes<Manual>| (0..1_000).filter_map(|_| notes.next()).collect::<Vec<_>>();
        assert_eq!(told(&mut notes), [0; BURST as usize]);
        clock.advance(Duration::from_secs(1));
        let later = told(&mut notes);
        // The clock is read once in up to 64 calls.
        assert!((990..990 + 64).contains(&later[0]), "{later:?}");
        assert_eq!(later[1..], [0; PER_SECOND as usize - 1]);
        let left_out = later[0] + notes.untold;
        assert_eq!(BURST + PER_SECOND + left_out, 2_000);
    }
}
