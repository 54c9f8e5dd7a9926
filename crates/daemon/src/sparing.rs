//! What the log tells of things that others can bring about as often as they like.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context as _;
use nyx_core::clock::Monotonic;
use nyx_core::limit::{Limiter, Quota};

use crate::exit::Outcome;

/// Says which of them are to have a line, so that they can't fill a disk; the others are counted, and their number stands in the next line.
pub(crate) struct Sparing {
    came: AtomicU64,
    /// Those of which the log knows.
    told: AtomicU64,
    lines: Limiter,
}

/// Lines a second, and at once: enough to see each of a few mistakes, too few to hide anything else or to fill a disk.
const LINES_PER_SECOND: u64 = 1;
const LINES_BURST: u64 = 20;

impl Sparing {
    pub(crate) fn new(clock: &Monotonic) -> Outcome<Self> {
        let lines = Quota::per_second(LINES_PER_SECOND).and_then(|quota| quota.with_burst(LINES_BURST));
        let lines = Limiter::with_clock(&lines.context("can't limit the log")?, clock.clone());
        Ok(Self { came: AtomicU64::new(0), told: AtomicU64::new(0), lines })
    }

    /// It came once more. Returns how many others came since the last line, where this one is to have a line.
    pub(crate) fn note(&self) -> Option<u64> {
        let came = self.came.fetch_add(1, Ordering::Relaxed) + 1;
        self.lines.check().ok()?;
        Some(came.saturating_sub(self.told.swap(came, Ordering::Relaxed) + 1))
    }

    /// How often it came.
    pub(crate) fn came(&self) -> u64 {
        self.came.load(Ordering::Relaxed)
    }

    /// Those that no line tells.
    pub(crate) fn untold(&self) -> u64 {
        self.came().saturating_sub(self.told.load(Ordering::Relaxed))
    }
}
