//! Until when requests may take.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::{Arc, Weak};

use nyx_core::Instant;

use super::line::Line;

/// When requests are to be given up, by number. Those that are done with stay until their time has come, or until they are
/// [pruned](Self::prune).
#[derive(Debug, Default)]
pub(super) struct Deadlines(BinaryHeap<Reverse<(Instant, u64)>>);

impl Deadlines {
    pub(super) fn add(&mut self, at: Option<Instant>, number: u64) {
        self.0.extend(at.map(|at| Reverse((at, number))));
    }

    /// The first, which may be that of a request that is done with.
    pub(super) fn first(&self) -> Option<Instant> {
        self.0.peek().map(|Reverse((at, _))| *at)
    }

    /// The first of those that are `live`. The others before it are forgotten.
    pub(super) fn first_live(&mut self, is_live: impl Fn(u64) -> bool) -> Option<Instant> {
        while let Some(Reverse((at, number))) = self.0.peek().copied() {
            if is_live(number) {
                return Some(at);
            }
            self.0.pop();
        }
        None
    }

    /// The next whose time has passed.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<u64> {
        self.first().filter(|at| *at <= now)?;
        self.0.pop().map(|Reverse((_, number))| number)
    }

    /// Forgets those that are done with, if there are more than of the `count` others: they must not gather until their time has come.
    pub(super) fn prune(&mut self, count: usize, is_live: impl Fn(u64) -> bool) {
        if self.0.len() > 2 * count + STALE_MAX {
            self.0.retain(|Reverse((_, number))| is_live(*number));
        }
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

/// When lines have requests to give up that wait. A line is told once too often rather than too late.
#[derive(Debug, Default)]
pub(super) struct Watches {
    /// A line that is gone is known by the same address until its entry goes.
    lines: BTreeMap<(Instant, usize), Weak<Line>>,
    prune_over: usize,
}

impl Watches {
    /// `line` is to be looked at then, no longer at the time `before`. Whether that is the first of all.
    pub(super) fn set(&mut self, line: &Arc<Line>, before: Option<Instant>, at: Instant) -> bool {
        let address = Arc::as_ptr(line) as usize;
        if let Some(before) = before {
            self.lines.remove(&(before, address));
        }
        self.lines.insert((at, address), Arc::downgrade(line));
        if self.lines.len() > self.prune_over {
            self.lines.retain(|_, line| line.strong_count() > 0);
            self.prune_over = 2 * self.lines.len() + STALE_MAX;
        }
        self.first() == Some(at)
    }

    pub(super) fn first(&self) -> Option<Instant> {
        self.lines.first_key_value().map(|((at, _), _)| *at)
    }

    /// The next that is to be looked at.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<Arc<Line>> {
        while self.first().is_some_and(|at| at <= now) {
            if let Some(line) = self.lines.pop_first().and_then(|(_, line)| line.upgrade()) {
                return Some(line);
            }
        }
        None
    }
}

/// How much may be kept in vain beside as much as there is.
pub(super) const STALE_MAX: usize = 64;
