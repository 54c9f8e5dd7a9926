//! Records that were appended and of which the hub is yet to say what became of them.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::task::Waker;

use crate::Refusal;
use crate::publish::Promise;

/// What became of some records in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The hub took them in, the first under this number.
    Accepted(u64),
    /// The hub refused them.
    Refused(Refusal),
    /// They are longer than the hub takes, and were not sent.
    TooLarge { length: usize, limit: usize },
    /// They were written to a connection that was lost before the hub had answered.
    InDoubt,
    /// The client was closed before they were written.
    Closed,
}

/// Records in a row of one promise.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) promise: Arc<Promise>,
    /// The place of the first among those of the promise.
    pub(crate) first: u64,
    pub(crate) count: u64,
}

/// By alias: the records that the hub has not answered, in the order in which they were appended.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    books: HashMap<u32, VecDeque<Entry>>,
    unresolved: u64,
}

/// The hub answered for more records than it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Excess;

impl Ledger {
    /// Records that are not answered.
    pub(super) const fn unresolved(&self) -> u64 {
        self.unresolved
    }

    pub(super) fn has(&self, alias: u32) -> bool {
        self.books.get(&alias).is_some_and(|book| !book.is_empty())
    }

    pub(super) fn push(&mut self, alias: u32, entry: Entry) {
        self.unresolved += entry.count;
        self.books.entry(alias).or_default().push_back(entry);
    }

    /// The next `count` records of `alias` have met this fate. Adds whom to wake.
    pub(super) fn resolve(
        &mut self,
        alias: u32,
        mut count: u64,
        fate: Fate,
        wakers: &mut Vec<Waker>,
    ) -> Result<(), Excess> {
        let Some(book) = self.books.get_mut(&alias) else {
            return if count == 0 { Ok(()) } else { Err(Excess) };
        };
        let mut fate = fate;
        while count > 0 {
            let front = book.front_mut().ok_or(Excess)?;
            let part = count.min(front.count);
            wakers.extend(front.promise.settle(front.first, part, fate.clone()));
            (front.first, front.count) = (front.first + part, front.count - part);
            if front.count == 0 {
                book.pop_front();
            }
            self.unresolved -= part;
            count -= part;
            if let Fate::Accepted(sequence) = &mut fate {
                *sequence = sequence.wrapping_add(part);
            }
        }
        Ok(())
    }

    /// The connection is lost. What was written is in doubt; of each alias the last `unsent` records were not.
    pub(super) fn disconnect(&mut self, unsent: &HashMap<u32, u64>, wakers: &mut Vec<Waker>) {
        let aliases: Vec<u32> = self.books.keys().copied().collect();
        for alias in aliases {
            let held = self.held(alias);
            let written = held - unsent.get(&alias).copied().unwrap_or(0).min(held);
            let _ = self.resolve(alias, written, Fate::InDoubt, wakers);
        }
        self.books.retain(|_, book| !book.is_empty());
    }

    /// The record of `alias` that has `place` unresolved ones before it has met this fate, ahead of these.
    pub(super) fn strike(&mut self, alias: u32, place: u64, fate: &Fate, wakers: &mut Vec<Waker>) {
        let Some(book) = self.books.get_mut(&alias) else { return };
        let mut before = place;
        for at in 0..book.len() {
            let entry = &mut book[at];
            if before >= entry.count {
                before -= entry.count;
                continue;
            }
            wakers.extend(entry.promise.settle(entry.first + before, 1, fate.clone()));
            self.unresolved -= 1;
            let behind = Entry {
                promise: Arc::clone(&entry.promise),
                first: entry.first + before + 1,
                count: entry.count - before - 1,
            };
            entry.count = before;
            if behind.count > 0 {
                book.insert(at + 1, behind);
            }
            if before == 0 {
                book.remove(at);
            }
            return;
        }
    }

    /// What is left of `alias` will not be sent.
    pub(super) fn give_up(&mut self, alias: u32, fate: &Fate, wakers: &mut Vec<Waker>) {
        let _ = self.resolve(alias, self.held(alias), fate.clone(), wakers);
    }

    /// The client is closed: nothing is sent any more.
    pub(super) fn close(&mut self, wakers: &mut Vec<Waker>) {
        let aliases: Vec<u32> = self.books.keys().copied().collect();
        aliases.into_iter().for_each(|alias| self.give_up(alias, &Fate::Closed, wakers));
    }

    fn held(&self, alias: u32) -> u64 {
        self.books.get(&alias).map_or(0, |book| book.iter().map(|entry| entry.count).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(promise: &Promise) -> Vec<(u64, u64, Fate)> {
        promise.parts()
    }

    #[test]
    fn outcomes_are_shared_out_in_the_order_of_the_records() {
        let mut ledger = Ledger::default();
        let promises: Vec<_> = (0..3).map(|_| Arc::new(Promise::default())).collect();
        for (promise, count) in promises.iter().zip([2, 1, 4]) {
            ledger.push(7, Entry { promise: promise.clone(), first: 0, count });
        }
        let mut wakers = Vec::new();
        ledger.resolve(7, 5, Fate::Accepted(100), &mut wakers).unwrap();
        ledger.resolve(7, 2, Fate::InDoubt, &mut wakers).unwrap();
        assert_eq!(settled(&promises[0]), [(0, 2, Fate::Accepted(100))]);
        assert_eq!(settled(&promises[1]), [(0, 1, Fate::Accepted(102))]);
        assert_eq!(settled(&promises[2]), [(0, 2, Fate::Accepted(103)), (2, 2, Fate::InDoubt)]);
        assert_eq!(ledger.unresolved(), 0);
        assert_eq!(ledger.resolve(7, 1, Fate::InDoubt, &mut wakers), Err(Excess));
        assert_eq!(ledger.resolve(8, 1, Fate::InDoubt, &mut wakers), Err(Excess));
    }

    #[test]
    fn a_record_in_the_middle_may_be_settled_before_the_others() {
        let mut ledger = Ledger::default();
        let promises: Vec<_> = (0..2).map(|_| Arc::new(Promise::default())).collect();
        for promise in &promises {
            ledger.push(7, Entry { promise: promise.clone(), first: 0, count: 3 });
        }
        let mut wakers = Vec::new();
        // Of records 0 to 5: the second; of those left the fourth, which is the fifth; then the first.
        for place in [1, 3, 0, 9] {
            ledger.strike(7, place, &Fate::Closed, &mut wakers);
        }
        ledger.strike(8, 0, &Fate::Closed, &mut wakers);
        assert_eq!(ledger.unresolved(), 3);
        ledger.resolve(7, 3, Fate::Accepted(100), &mut wakers).unwrap();
        let first = [(1, 1, Fate::Closed), (0, 1, Fate::Closed), (2, 1, Fate::Accepted(100))];
        let second = [(1, 1, Fate::Closed), (0, 1, Fate::Accepted(101)), (2, 1, Fate::Accepted(102))];
        assert_eq!((settled(&promises[0]), settled(&promises[1])), (first.into(), second.into()));
        assert_eq!(ledger.resolve(7, 1, Fate::InDoubt, &mut wakers), Err(Excess));
    }

    #[test]
    fn a_lost_connection_leaves_what_was_not_written() {
        let mut ledger = Ledger::default();
        let promise = Arc::new(Promise::default());
        ledger.push(7, Entry { promise: promise.clone(), first: 0, count: 10 });
        let mut wakers = Vec::new();
        ledger.disconnect(&[(7, 4)].into(), &mut wakers);
        assert_eq!(settled(&promise), [(0, 6, Fate::InDoubt)]);
        ledger.resolve(7, 3, Fate::Accepted(0), &mut wakers).unwrap();
        ledger.close(&mut wakers);
        assert_eq!(settled(&promise)[1..], [(6, 3, Fate::Accepted(0)), (9, 1, Fate::Closed)]);
        assert_eq!(ledger.unresolved(), 0);
    }
}
