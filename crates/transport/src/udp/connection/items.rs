//! Items on their way out: sent again while they are worth it.
//!
//! A lost piece is sent again until its item is obsolete or too old. Obsolete is an item only when a newer one *has arrived*: on a path that
//! holds several items, each of them has a newer one behind it when its loss is seen, and if that were enough, none would ever be whole.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

use bytes::Bytes;
use nyx_core::Instant;

use super::packet::{Frame, Piece};
use super::pieces::Pieces;

/// Something that is sent whole, in as many datagrams as it takes, and may be given up.
#[derive(Clone, Debug)]
pub struct Item {
    /// Items of one flow are delivered in order. A flow exists once something was sent on it.
    pub flow: u32,
    /// What it is; at least one byte.
    pub bytes: Bytes,
    /// What becomes of those before it.
    pub order: Order,
    /// When it is given up if it has not arrived; `None`: when it is obsolete.
    pub deadline: Option<Instant>,
}

/// How an item stands to those before it in its flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// It makes them obsolete: it is delivered as soon as it is whole, and they are not delivered after it.
    Latest,
    /// It is delivered behind the one before, unless that was given up.
    InOrder,
}

/// What became of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// All of it has arrived.
    Delivered,
    /// A newer one has arrived that makes it obsolete. It may have arrived, too.
    Obsolete,
    /// It did not arrive before its deadline, as far as is known.
    Expired,
}

#[derive(Debug)]
struct Sending {
    flow: u32,
    /// In its flow.
    number: u64,
    order: Order,
    bytes: Bytes,
    pieces: Pieces,
    deadline: Option<Instant>,
}

#[derive(Debug)]
struct Flow {
    next: u64,
    /// Bytes of the stream before its first item.
    after: u64,
    /// All that are below and have not arrived were given up.
    given_up: u64,
    /// What of that is told: all below have arrived or were given up.
    skip: u64,
    skip_is_due: bool,
}

/// A piece on its way.
pub(super) struct Taken<'a> {
    pub(super) frame: Frame<'a>,
    /// Of which item, and of which bytes.
    pub(super) id: u64,
    pub(super) range: Range<u64>,
    /// Whether it was sent before.
    pub(super) is_again: bool,
}

/// Items that have not arrived.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    sending: BTreeMap<u64, Sending>,
    flows: HashMap<u32, Flow>,
    /// Those of which something is to be sent, and those that have a deadline.
    unsent: BTreeSet<u64>,
    deadlines: BTreeSet<(Instant, u64)>,
    next: u64,
    bytes: u64,
    /// Flows of which something is to be skipped.
    skips: Vec<u32>,
    settled: Vec<(u64, Fate)>,
}

impl Outgoing {
    /// Takes an item, of which `after` bytes of the stream are to arrive before. Returns its number among all items.
    pub(super) fn push(&mut self, item: Item, after: u64) -> u64 {
        let id = self.next;
        self.next += 1;
        let flow = self.flows.entry(item.flow).or_insert(Flow {
            next: 0,
            after,
            given_up: 0,
            skip: 0,
            skip_is_due: false,
        });
        let number = flow.next;
        flow.next += 1;
        self.bytes += item.bytes.len() as u64;
        let mut pieces = Pieces::default();
        pieces.append(0..item.bytes.len() as u64);
        let Item { flow, bytes, order, deadline } = item;
        self.unsent.insert(id);
        self.deadlines.extend(deadline.map(|at| (at, id)));
        self.sending.insert(id, Sending { flow, number, order, bytes, pieces, deadline });
        id
    }

    /// Bytes of items that have neither arrived nor been given up.
    pub(super) const fn unsettled(&self) -> u64 {
        self.bytes
    }

    /// The oldest item that has neither arrived nor been given up; the next one's number if there is none.
    pub(super) fn first_unsettled(&self) -> u64 {
        self.sending.first_key_value().map_or(self.next, |(id, _)| *id)
    }

    pub(super) fn has_unsent(&self) -> bool {
        !self.skips.is_empty() || !self.unsent.is_empty()
    }

    /// Whether so much waits to be sent that nothing should be added.
    pub(super) fn is_full(&self) -> bool {
        self.sending.len() >= ITEMS_MAX
    }

    /// The next piece to send, which with its head takes at most `room` bytes. An item that does not fit is taken where it `may_be_cut`, by its number
    /// and its size.
    pub(super) fn take(&mut self, room: usize, may_be_cut: impl Fn(u64, usize) -> bool) -> Option<Taken<'_>> {
        let max = room.checked_sub(HEAD_MAX).filter(|max| *max > 0)?;
        let id = *self.unsent.first()?;
        let item = self.sending.get_mut(&id)?;
        let size = item.bytes.len();
        if size > max && !may_be_cut(id, size) {
            return None;
        }
        let (range, is_again) = item.pieces.take(max, u64::MAX)?;
        if !item.pieces.has_unsent() {
            self.unsent.remove(&id);
        }
        let after = self.flows.get(&item.flow).map_or(0, |flow| flow.after);
        let piece = Piece {
            flow: item.flow,
            number: item.number,
            in_order: item.order == Order::InOrder,
            after,
            total: size as u64,
            offset: range.start,
            bytes: &item.bytes[range.start as usize..range.end as usize],
        };
        Some(Taken { frame: Frame::Item(piece), id, range, is_again })
    }

    /// The next notice that items will not come.
    pub(super) fn take_skip(&mut self) -> Option<(u32, u64)> {
        let number = self.skips.pop()?;
        let flow = self.flows.get_mut(&number)?;
        flow.skip_is_due = false;
        Some((number, flow.skip))
    }

    pub(super) fn handle_skip_lost(&mut self, number: u32, below: u64) {
        if let Some(flow) = self.flows.get_mut(&number)
            && flow.skip == below
            && !std::mem::replace(&mut flow.skip_is_due, true)
        {
            self.skips.push(number);
        }
    }

    pub(super) fn handle_arrived(&mut self, id: u64, range: Range<u64>) {
        let Some(item) = self.sending.get_mut(&id) else { return };
        item.pieces.handle_arrived(range);
        if !item.pieces.has_unsent() {
            self.unsent.remove(&id);
        }
        if item.pieces.arrived_to() < item.bytes.len() as u64 {
            return;
        }
        let (flow, order) = (item.flow, item.order);
        self.settle(id, Fate::Delivered);
        if order == Order::Latest {
            let older: Vec<u64> =
                self.sending.range(..id).filter(|(_, item)| item.flow == flow).map(|(id, _)| *id).collect();
            older.into_iter().for_each(|id| self.settle(id, Fate::Obsolete));
        }
    }

    pub(super) fn handle_lost(&mut self, id: u64, range: Range<u64>) {
        if let Some(item) = self.sending.get_mut(&id) {
            item.pieces.handle_lost(range);
            if item.pieces.has_unsent() {
                self.unsent.insert(id);
            }
        }
    }

    /// When the next item is given up.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// Gives up what is too old.
    pub(super) fn expire(&mut self, now: Instant) {
        let over: Vec<u64> =
            self.deadlines.iter().take_while(|(at, _)| *at <= now).map(|(_, id)| *id).collect();
        for id in over {
            if let Some(item) = self.sending.get(&id)
                && let Some(flow) = self.flows.get_mut(&item.flow)
            {
                flow.given_up = flow.given_up.max(item.number + 1);
            }
            self.settle(id, Fate::Expired);
        }
    }

    /// What became of items, in the order in which it was decided.
    pub(super) fn settled(&mut self) -> impl Iterator<Item = (u64, Fate)> {
        self.settled.drain(..)
    }

    fn settle(&mut self, id: u64, fate: Fate) {
        let Some(item) = self.sending.remove(&id) else { return };
        self.unsent.remove(&id);
        if let Some(at) = item.deadline {
            self.deadlines.remove(&(at, id));
        }
        self.bytes -= item.bytes.len() as u64;
        self.settled.push((id, fate));
        let Some(flow) = self.flows.get_mut(&item.flow).filter(|flow| flow.given_up > flow.skip) else {
            return;
        };
        // Those before it may still arrive.
        let mut others = self.sending.values().filter(|other| other.flow == item.flow);
        let skip = others.next().map_or(flow.given_up, |first| first.number.min(flow.given_up));
        if skip > flow.skip {
            flow.skip = skip;
            if !std::mem::replace(&mut flow.skip_is_due, true) {
                self.skips.push(item.flow);
            }
        }
    }
}

/// Bytes of a piece beside its content: its kind, and at most 5 + 8 + 8 + 4 + 4 + 2 bytes of numbers.
const HEAD_MAX: usize = 32;

/// Items under way at a time. Who sends asks before whether there is room.
const ITEMS_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn item(order: Order, deadline: Option<Instant>) -> Item {
        Item { flow: 1, bytes: Bytes::from(vec![7; 100]), order, deadline }
    }

    fn sent(outgoing: &mut Outgoing) -> Vec<(u64, Range<u64>)> {
        std::iter::from_fn(|| outgoing.take(HEAD_MAX + 60, |_, _| true).map(|taken| (taken.id, taken.range)))
            .collect()
    }

    #[test]
    fn what_was_lost_is_sent_again_until_a_newer_one_has_arrived() {
        let mut outgoing = Outgoing::default();
        let first = outgoing.push(item(Order::Latest, None), 0);
        let second = outgoing.push(item(Order::Latest, None), 0);
        assert_eq!(sent(&mut outgoing).len(), 4);
        outgoing.handle_lost(first, 0..60);
        assert_eq!(sent(&mut outgoing), [(first, 0..60)], "a newer one is only under way");
        outgoing.handle_lost(first, 0..60);
        outgoing.handle_arrived(second, 0..100);
        assert_eq!(sent(&mut outgoing), []);
        let settled: Vec<_> = outgoing.settled().collect();
        assert_eq!(settled, [(second, Fate::Delivered), (first, Fate::Obsolete)]);
        assert_eq!((outgoing.unsettled(), outgoing.first_unsettled()), (0, 2));
    }

    #[test]
    fn what_is_too_old_is_given_up_and_that_is_told_until_it_is_known() {
        let at = |ms| Instant::ZERO + Duration::from_millis(ms);
        let mut outgoing = Outgoing::default();
        let first = outgoing.push(item(Order::InOrder, Some(at(50))), 0);
        outgoing.push(item(Order::InOrder, Some(at(70))), 0);
        sent(&mut outgoing);
        assert_eq!(outgoing.next_deadline(), Some(at(50)));
        outgoing.expire(at(60));
        assert_eq!(outgoing.settled().collect::<Vec<_>>(), [(first, Fate::Expired)]);
        assert_eq!(outgoing.take_skip(), Some((1, 1)));
        assert_eq!(outgoing.take_skip(), None);
        outgoing.handle_skip_lost(1, 1);
        assert_eq!(outgoing.take_skip(), Some((1, 1)));
        outgoing.expire(at(70));
        outgoing.handle_skip_lost(1, 1);
        assert_eq!((outgoing.take_skip(), outgoing.take_skip()), (Some((1, 2)), None));
    }
}
