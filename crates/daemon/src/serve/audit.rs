//! The log of refusals. Whoever floods the door must not flood the disk as well.

use std::fmt::Display;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context as _;
use nyx_core::clock::Monotonic;
use nyx_core::limit::{Limiter, Quota};

use crate::exit::Outcome;

/// Tells who was refused what, a few times a second; the others are counted, and their number stands in the next line.
pub(crate) struct Audit(Sparing);

/// What others can bring about as often as they like, and is told so that they can't fill a disk.
pub(crate) struct Sparing {
    came: AtomicU64,
    /// Those of which the log knows.
    told: AtomicU64,
    lines: Limiter,
}

/// Lines a second, and at once: enough to see each of a few mistakes, too few to hide anything else or to fill a disk.
const LINES_PER_SECOND: u64 = 1;
const LINES_BURST: u64 = 20;

impl Audit {
    pub(super) fn new(clock: &Monotonic) -> Outcome<Self> {
        Sparing::new(clock).map(Self)
    }

    /// `subject` bears a token, or is empty; `what` was refused.
    pub(crate) fn refuse(&self, peer: IpAddr, subject: &str, what: impl Display) {
        if let Some(others) = self.0.note() {
            // Quoted: a subject may come from a JWT, and a topic from anybody.
            let (subject, what) = (cut(subject), what.to_string());
            tracing::warn!(%peer, ?subject, refused = ?cut(&what), others, "refused");
        }
    }

    /// Refusals since the start.
    pub(crate) fn refused(&self) -> u64 {
        self.0.came.load(Ordering::Relaxed)
    }

    /// Those that no line tells.
    pub(crate) fn untold(&self) -> u64 {
        self.refused().saturating_sub(self.0.told.load(Ordering::Relaxed))
    }
}

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
}

/// Bytes of what a peer may have chosen in one line: more than any good topic, host or id has.
const TEXT_MAX: usize = 300;

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_MAX)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_and_a_little_of_it_told() {
        let audit = Audit::new(&Monotonic::new()).unwrap();
        (0..1000).for_each(|_| audit.refuse(IpAddr::from([198, 51, 100, 7]), "", "x"));
        assert_eq!(audit.refused(), 1000);
        assert!(audit.untold() >= 900, "{}", audit.untold());
    }

    #[test]
    fn what_a_peer_chose_makes_no_long_lines() {
        assert_eq!(cut("a host"), "a host");
        assert_eq!(cut(&"é".repeat(10_000)).len(), TEXT_MAX);
        assert_eq!(cut(&format!("x{}", "é".repeat(10_000))).len(), TEXT_MAX - 1);
    }
}
