//! What was decided, and why.

use std::collections::VecDeque;
use std::time::Duration;

use nyx_core::Instant;

use super::{Candidate, Link, Pin};

/// A change of the choice.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Entry {
    /// When.
    pub at: Instant,
    /// What was chosen before.
    pub from: Candidate,
    /// What is chosen now.
    pub to: Candidate,
    /// Why.
    pub reason: Reason,
    /// Bytes of the item that it was decided on.
    pub item_bytes: usize,
    /// The link at that moment.
    pub link: Link,
}

/// Why the choice changed.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Reason {
    /// It delivers sooner.
    Faster {
        /// How long the item would have taken as before, behind what was unsent.
        before: Duration,
        /// How long it is expected to take now.
        after: Duration,
        /// Bytes that the new choice saves per microsecond of CPU, compared with the item sent plainly. Infinite where it takes no CPU.
        saved_per_micro: f64,
    },
    /// The CPU budget is used up.
    Budget {
        /// Its share of a core.
        share: f64,
    },
    /// What was chosen can't be had for this item.
    Unavailable,
    /// An operator pinned it.
    Pinned(Pin),
    /// The kill switch: on or off.
    Killed(bool),
}

impl Reason {
    /// All names of reasons, in the order in which [`Chooser::changes`](super::Chooser::changes) counts them.
    pub const NAMES: [&str; 5] = ["faster", "budget", "unavailable", "pinned", "killed"];

    /// The reason's name in metrics.
    pub const fn name(&self) -> &'static str {
        Self::NAMES[self.index()]
    }

    const fn index(&self) -> usize {
        match self {
            Self::Faster { .. } => 0,
            Self::Budget { .. } => 1,
            Self::Unavailable => 2,
            Self::Pinned(_) => 3,
            Self::Killed(_) => 4,
        }
    }
}

impl std::fmt::Display for Entry {
    /// A sentence for a console.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} instead of {}: ", self.to, self.from)?;
        match self.reason {
            Reason::Faster { before, after, saved_per_micro } => {
                write!(f, "{} bytes take {after:.1?} instead of {before:.1?}", self.item_bytes)?;
                if saved_per_micro.is_finite() && saved_per_micro > 0.0 {
                    write!(f, "; it saves {saved_per_micro:.1} bytes per µs of CPU")?;
                }
                match self.link.drain {
                    Some(drain) => write!(f, ", the link drains {:.1}", drain as f64 / 1e6)?,
                    None => write!(f, ", what the link drains is not known")?,
                }
                write!(f, ", {} bytes are unsent", self.link.unsent)
            }
            Reason::Budget { share } => {
                write!(f, "encoding has used up its {:.0} % of a core", share * 100.0)
            }
            Reason::Unavailable => f.write_str("it can't be had for this item"),
            Reason::Pinned(pin) => write!(f, "compression is pinned to {pin}"),
            Reason::Killed(true) => f.write_str("the kill switch is on"),
            Reason::Killed(false) => f.write_str("the kill switch is off again"),
        }
    }
}

/// The latest entries.
#[derive(Debug)]
pub(super) struct Log {
    entries: VecDeque<Entry>,
    entries_max: usize,
    /// Entries that there ever were, by reason.
    counts: [u64; Reason::NAMES.len()],
}

impl Log {
    pub(super) const fn new(entries_max: usize) -> Self {
        Self { entries: VecDeque::new(), entries_max, counts: [0; Reason::NAMES.len()] }
    }

    pub(super) const fn counts(&self) -> [u64; Reason::NAMES.len()] {
        self.counts
    }

    pub(super) fn push(&mut self, entry: Entry) {
        self.counts[entry.reason.index()] += 1;
        if self.entries_max == 0 {
            return;
        }
        if self.entries.len() >= self.entries_max {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
    }

    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = &Entry> {
        self.entries.iter()
    }
}
