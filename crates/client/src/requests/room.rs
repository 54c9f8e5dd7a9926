//! What waits for a service, and until when.

use std::collections::HashMap;
use std::ops::Range;

use bytes::Bytes;
use foldhash::fast::RandomState;
use nyx_core::{Instant, Lane};
use nyx_protocol::requests::{Cap, Gate, Outcome, Ticket};

use super::calls::Waiter;
use super::deadlines::{Deadlines, STALE_MAX};

/// Requests that wait to go through a gate. Those that are given up leave at once; of them the gate's queue keeps the number until
/// it comes to it, or has more of such than of others.
#[derive(Debug)]
pub(super) struct Room {
    gate: Gate<u64>,
    waiting: HashMap<u64, Waiting, RandomState>,
    waiting_max: usize,
    deadlines: Deadlines,
    /// When this was said to be looked at.
    watched: Option<Instant>,
}

/// A request that was not sent yet.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) number: u64,
    pub(super) body: Bytes,
    pub(super) lane: Lane,
    /// When it is given up, sent or not.
    pub(super) expires: Option<Instant>,
    pub(super) waiter: Waiter,
}

/// What is to be done now, outside the lock.
#[derive(Debug, Default)]
pub(super) struct Turn {
    /// Their time has passed.
    pub(super) late: Vec<Waiting>,
    /// They are to be sent.
    pub(super) next: Vec<(Ticket, Waiting)>,
    /// If there is neither of them: when to look at this again, and when that was before.
    pub(super) watch: Option<(Option<Instant>, Instant)>,
}

impl Room {
    /// Nobody waits. At most `waiting_max` may.
    pub(super) fn new(cap: Cap, waiting_max: usize) -> Self {
        // Behind those that wait may be as many that are gone.
        let queued = waiting_max.saturating_mul(2).saturating_add(STALE_MAX);
        Self {
            gate: Gate::new(cap, queued),
            waiting: HashMap::default(),
            waiting_max,
            deadlines: Deadlines::default(),
            watched: None,
        }
    }

    pub(super) const fn limit(&self) -> usize {
        self.gate.limit()
    }

    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// A request waits, or is handed back when too many do.
    pub(super) fn push(&mut self, waiting: Waiting) -> Result<(), Waiting> {
        let number = waiting.number;
        if self.waiting.len() >= self.waiting_max || self.gate.push(waiting.lane, number).is_err() {
            return Err(waiting);
        }
        self.deadlines.add(waiting.expires, number);
        self.waiting.insert(number, waiting);
        self.deadlines.prune(self.waiting.len(), |number| self.waiting.contains_key(&number));
        Ok(())
    }

    /// What is to be done now. With `goes`, what may be sent is. To be called until there is nothing.
    pub(super) fn turn(&mut self, now: Instant, goes: bool) -> Turn {
        let late = self.expire(now);
        // All that are late are known then, so that none of them goes.
        let next = if goes && late.len() < TOGETHER { self.take() } else { Vec::new() };
        let watch = if late.is_empty() && next.is_empty() { self.watch(now) } else { None };
        Turn { late, next, watch }
    }

    fn expire(&mut self, now: Instant) -> Vec<Waiting> {
        let due = std::iter::from_fn(|| self.deadlines.pop_due(now));
        let late: Vec<_> = due.filter_map(|number| self.waiting.remove(&number)).take(TOGETHER).collect();
        self.compact();
        late
    }

    fn take(&mut self) -> Vec<(Ticket, Waiting)> {
        std::iter::from_fn(|| self.next()).take(TOGETHER).collect()
    }

    fn next(&mut self) -> Option<(Ticket, Waiting)> {
        loop {
            if self.gate.waiting() > self.waiting.len() {
                self.gate.skip(|number| !self.waiting.contains_key(number));
            }
            let (ticket, number) = self.gate.next()?;
            match self.waiting.remove(&number) {
                Some(waiting) => return Some((ticket, waiting)),
                None => self.gate.finish(ticket, Outcome::Abandoned),
            }
        }
    }

    fn watch(&mut self, now: Instant) -> Option<(Option<Instant>, Instant)> {
        // Whoever looks at this at that time has done so, or will once more.
        self.watched.take_if(|at| *at <= now);
        let at = self.deadlines.first_live(|number| self.waiting.contains_key(&number))?;
        if self.watched.is_some_and(|watched| watched <= at) {
            return None;
        }
        Some((self.watched.replace(at), at))
    }

    /// A request is under way no longer.
    pub(super) fn finish(&mut self, ticket: Ticket, outcome: Outcome) {
        self.gate.finish(ticket, outcome);
    }

    /// Those of these numbers that still wait are not sent.
    pub(super) fn withdraw(&mut self, numbers: Range<u64>) -> Vec<Waiting> {
        let withdrawn = numbers.filter_map(|number| self.waiting.remove(&number)).collect();
        self.compact();
        withdrawn
    }

    /// Nobody waits any more.
    pub(super) fn clear(&mut self) -> Vec<Waiting> {
        self.deadlines.clear();
        let waiting = std::mem::take(&mut self.waiting).into_values().collect();
        self.compact();
        waiting
    }

    /// Rids the queue of those that are gone, when they are more than the others: so each costs no more than it has cost to wait.
    fn compact(&mut self) {
        if self.gate.waiting() > 2 * self.waiting.len() + STALE_MAX {
            self.gate.remove(|number| self.waiting.contains_key(number));
        }
    }
}

/// Requests that are sent or given up under one lock: enough that it costs nothing, few enough that others who wait for it don't notice.
const TOGETHER: usize = 256;

#[cfg(test)]
mod tests;
