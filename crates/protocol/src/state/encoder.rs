//! Writing deltas and snapshots: only what changed after a base is looked at.

use bytes::{BufMut, BytesMut};

use super::arrange::Piece;
use super::arrange_codec::put_pieces;
use super::delta::op;
use super::keys::KeyTable;
use super::node::{Body, Leaf, List, Map, Node};
use super::number::{Kind, Step};
use super::row::{CELLS_MAX, Row};
use super::run;
use super::splice::Ends;
use super::value::Value;
use super::value_codec::{put_bytes, put_scalar, scalar_len, tag as value_tag};
use super::varint;

/// Writes changes of nodes since a version.
pub(super) struct Encoder<'o, 'd> {
    out: &'o mut BytesMut,
    base: u64,
    /// A stack of what changed, one part for each container on the way down.
    scratch: Vec<Entry<'d>>,
    ids: Vec<u64>,
    /// The last row that was told in full.
    row: Option<Row>,
}

/// An entry of a container, and what a receiver of the base must be told of it.
#[derive(Clone, Copy)]
struct Entry<'d> {
    index: u64,
    told: Told<'d>,
}

#[derive(Clone, Copy)]
enum Told<'d> {
    Removed,
    Set(&'d Node),
    Step(Step),
    Splice(Ends, &'d Value),
    Map(&'d Map),
    List(&'d List),
}

/// Appends what leads a snapshot.
pub(super) fn put_snapshot(out: &mut BytesMut, epoch: u64, version: u64, table: &KeyTable, root: &Node) {
    out.put_u64(epoch);
    varint::put(out, version);
    put_keys(out, table, None);
    put_node(out, root);
}

/// Appends what leads a delta.
pub(super) fn put_header(out: &mut BytesMut, epoch: u64, base: u64, version: u64, table: &KeyTable) {
    out.put_u32(epoch as u32);
    varint::put(out, base);
    varint::put(out, version - base);
    put_keys(out, table, Some(table.len_at(base)));
}

/// The receiver has the keys before `first`; one of a snapshot has none, which need not be said.
fn put_keys(out: &mut BytesMut, table: &KeyTable, first: Option<usize>) {
    let keys = table.from(first.unwrap_or(0));
    varint::put(out, keys.len() as u64);
    if let Some(first) = first.filter(|_| keys.len() > 0) {
        varint::put(out, first as u64);
    }
    keys.for_each(|key| put_bytes(out, key.as_bytes()));
}

impl<'o, 'd> Encoder<'o, 'd> {
    pub(super) fn new(out: &'o mut BytesMut, base: u64) -> Self {
        Self { out, base, scratch: Vec::new(), ids: Vec::new(), row: None }
    }

    /// Appends what changed in the root, whose version is above the base.
    pub(super) fn root(&mut self, node: &'d Node) {
        let told = self.told(node).unwrap_or(Told::Set(node));
        self.entry(0, told);
    }

    /// How a receiver of the base is told of a node that changed; `None` if it is again what it was. The log of a container
    /// that the receiver does not have, since it was made later, does not reach back to the base.
    fn told(&self, node: &'d Node) -> Option<Told<'d>> {
        match &node.body {
            Body::Map(map) if map.log.reaches(self.base) => Some(Told::Map(map)),
            Body::List(list) if list.log.reaches(self.base) && list.orders.reaches(self.base) => {
                Some(Told::List(list))
            }
            Body::Leaf(leaf) => self.told_leaf(node, leaf),
            _ => Some(Told::Set(node)),
        }
    }

    fn told_leaf(&self, node: &'d Node, leaf: &'d Leaf) -> Option<Told<'d>> {
        let Some(mut past) = leaf.past.since(self.base) else { return Some(Told::Set(node)) };
        let value = &leaf.value;
        if let Value::Str(_) | Value::Bytes(_) = value {
            let ends = Ends::of_all(past);
            let part = ends.middle(value).map_or(usize::MAX, |part| SPLICE_BYTES + part.len());
            return Some(if part < scalar_len(value) { Told::Splice(ends, value) } else { Told::Set(node) });
        }
        match past.next().and_then(|old| Step::between(old, value)) {
            Some(Step { by: 0, .. }) => None,
            Some(step) if step.len() <= STEP_BYTES || step.len() <= scalar_len(value) => {
                Some(Told::Step(step))
            }
            _ => Some(Told::Set(node)),
        }
    }

    /// Appends an entry: how far it lies beyond the last one, and what becomes of it.
    fn entry(&mut self, gap: u64, told: Told<'d>) {
        match told {
            Told::Removed => self.head(gap, op::REMOVE),
            Told::Set(node) => {
                self.head(gap, op::SET);
                put_node(self.out, node);
            }
            Told::Step(step) if step.kind == Kind::Integer => {
                self.head(gap, op::INTEGER);
                step.put(self.out);
            }
            Told::Step(step) => {
                self.head(gap, op::NUMBER);
                self.out.put_u8(step.kind.code());
                step.put(self.out);
            }
            Told::Splice(ends, value) => {
                self.head(gap, op::SPLICE);
                varint::put(self.out, ends.head as u64);
                varint::put(self.out, ends.tail as u64);
                put_bytes(self.out, ends.middle(value).unwrap_or_default());
            }
            Told::Map(map) => {
                let start = self.gather_map(map);
                if !self.as_row(gap, start, false) {
                    self.head(gap, op::MAP);
                    self.entries(start, Some(false));
                }
            }
            Told::List(list) => self.list(gap, list),
        }
    }

    fn head(&mut self, gap: u64, op: u64) {
        varint::put(self.out, gap << 3 | op);
    }

    fn list(&mut self, gap: u64, list: &'d List) {
        let order = list.orders.since(self.base);
        let start = self.gather_list(list);
        let Some(order) = order else {
            if !self.as_row(gap, start, true) {
                self.head(gap, op::LIST);
                varint::put(self.out, 0);
                self.entries(start, Some(true));
            }
            return;
        };
        self.head(gap, op::LIST);
        // An empty order would read as none.
        let nothing = [Piece::New { len: 0 }];
        let pieces = if order.pieces().is_empty() { &nothing[..] } else { order.pieces() };
        put_pieces(self.out, pieces);
        let mut at = 0;
        for piece in pieces {
            if let Piece::New { len } = piece {
                list.order[at..at + len]
                    .iter()
                    .filter_map(|id| list.node(*id))
                    .for_each(|node| put_node(self.out, node));
            }
            at += piece.len();
        }
        self.entries(start, None);
    }

    /// Puts what changed in a map on the scratch stack, ascending, and tells from where on.
    fn gather_map(&mut self, map: &'d Map) -> usize {
        let start = self.scratch.len();
        self.changed(map.log.since(self.base));
        for i in 0..self.ids.len() {
            let index = self.ids[i];
            let told = match map.entries.get(&(index as u32)) {
                Some(node) => self.told(node),
                None => Some(Told::Removed),
            };
            self.scratch.extend(told.map(|told| Entry { index, told }));
        }
        start
    }

    /// The same of a list, for elements that the receiver has and keeps.
    fn gather_list(&mut self, list: &'d List) -> usize {
        let start = self.scratch.len();
        let base = self.base;
        let had = |id: &u64| list.elements.get(id).is_some_and(|element| element.added <= base);
        self.changed(list.log.since(base).filter(had));
        if list.is_plain {
            for i in 0..self.ids.len() {
                self.gather_element(list, self.ids[i], self.ids[i]);
            }
        } else if !self.ids.is_empty() {
            for (index, id) in (0..).zip(&list.order) {
                if self.ids.binary_search(id).is_ok() {
                    self.gather_element(list, index, *id);
                }
            }
        }
        start
    }

    fn gather_element(&mut self, list: &'d List, index: u64, id: u64) {
        let told = list.node(id).and_then(|node| self.told(node));
        self.scratch.extend(told.map(|told| Entry { index, told }));
    }

    /// Makes `ids` these, ascending and each once.
    fn changed(&mut self, ids: impl Iterator<Item = u64>) {
        self.ids.clear();
        self.ids.extend(ids);
        self.ids.sort_unstable();
        self.ids.dedup();
    }

    /// Appends what lies on the stack from `start` on as a row like the last one, if it is, and takes it off.
    fn as_row(&mut self, gap: u64, start: usize, in_list: bool) -> bool {
        let Some(row) = self.row.filter(|row| row.in_list == in_list) else { return false };
        let entries = &self.scratch[start..];
        let step = |(entry, cell): (&Entry<'_>, &(u32, Kind))| match entry.told {
            Told::Step(step) if entry.index == u64::from(cell.0) => step.as_kind(cell.1),
            _ => None,
        };
        let cells = || entries.iter().zip(row.cells());
        if entries.len() != row.cells().len() || !cells().all(|cell| step(cell).is_some()) {
            return false;
        }
        varint::put(self.out, gap << 3 | op::ROW);
        cells().filter_map(step).for_each(|step| step.put(self.out));
        self.scratch.truncate(start);
        true
    }

    /// Appends what lies on the stack from `start` on, and takes it off. `can_be_row` is none, or whether it is a list's.
    fn entries(&mut self, start: usize, can_be_row: Option<bool>) {
        let row = can_be_row.and_then(|in_list| row_of(&self.scratch[start..], in_list));
        let end = self.scratch.len();
        let run_at =
            |scratch: &[Entry<'_>], at| if row.is_some() { None } else { Run::of(&scratch[at..end]) };
        let (mut heads, mut at) = (0, start);
        while at < end {
            at += run_at(&self.scratch, at).map_or(1, |run| run.entries);
            heads += 1;
        }
        varint::put(self.out, heads);
        let (mut next, mut at) = (0, start);
        while at < end {
            let Entry { index, told } = self.scratch[at];
            if let Some(run) = run_at(&self.scratch, at) {
                self.run(index - next, run, at);
                next = self.scratch[at + run.entries - 1].index + 1;
                at += run.entries;
            } else {
                self.entry(index - next, told);
                (next, at) = (index + 1, at + 1);
            }
        }
        self.scratch.truncate(start);
        self.row = row.or(self.row);
    }

    fn run(&mut self, gap: u64, run: Run, at: usize) {
        let entries = &self.scratch[at..at + run.entries];
        let first = entries[0].index;
        let span = entries[run.entries - 1].index - first + 1;
        let mut steps = vec![0; span as usize];
        for entry in entries {
            if let Told::Step(step) = entry.told {
                steps[(entry.index - first) as usize] = step.as_kind(run.kind).map_or(0, |step| step.by);
            }
        }
        self.head(gap, op::NUMBER);
        self.out.put_u8(run.kind.code() | op::RUN);
        run::put(self.out, &steps);
    }
}

/// The row that these changes are, if they are one.
fn row_of(entries: &[Entry<'_>], in_list: bool) -> Option<Row> {
    if entries.len() > CELLS_MAX {
        return None;
    }
    let mut row = Row::new(in_list);
    let is_row = entries.iter().all(|entry| {
        let Told::Step(step) = entry.told else { return false };
        row.push(entry.index, step.kind)
    });
    (is_row && row.is_worth()).then_some(row)
}

/// Steps of neighbours that are worth packing.
#[derive(Clone, Copy)]
struct Run {
    entries: usize,
    kind: Kind,
}

impl Run {
    /// The run that these entries begin with.
    fn of(entries: &[Entry<'_>]) -> Option<Self> {
        let mut kind = None;
        let mut len = 0;
        let mut next = None;
        for entry in entries {
            let Told::Step(step) = entry.told else { break };
            let near = next.is_none_or(|next| entry.index - next <= GAP_MAX);
            let common = match (kind.unwrap_or(step.kind), step.kind) {
                (Kind::Integer, Kind::Integer) => Kind::Integer,
                (Kind::Decimal(a), Kind::Decimal(b)) => Kind::Decimal(a.max(b)),
                _ => break,
            };
            // However fine the scale of the run will be, no step may be too wide for it.
            let finest = if common == Kind::Integer { common } else { FINEST };
            if !near || !step.as_kind(finest).is_some_and(|step| run::fits(step.by)) {
                break;
            }
            (kind, len, next) = (Some(common), len + 1, Some(entry.index + 1));
        }
        kind.filter(|_| len >= RUN_MIN).map(|kind| Self { entries: len, kind })
    }
}

fn put_node(out: &mut BytesMut, node: &Node) {
    match &node.body {
        Body::Leaf(leaf) => put_scalar(out, &leaf.value),
        Body::Map(map) => {
            out.put_u8(value_tag::MAP);
            varint::put(out, map.entries.len() as u64);
            let mut next = 0;
            for (&key, node) in &map.entries {
                varint::put(out, u64::from(key) - next);
                next = u64::from(key) + 1;
                put_node(out, node);
            }
        }
        Body::List(list) => {
            out.put_u8(value_tag::LIST);
            varint::put(out, list.order.len() as u64);
            list.iter().for_each(|node| put_node(out, node));
        }
    }
}

/// Head, both ends and the length, at the least.
const SPLICE_BYTES: usize = 4;

/// A step of so many bytes is taken without a look at what else there is: rows of the same numbers are worth more.
const STEP_BYTES: usize = 2;

/// What a run's own head takes is saved from the fourth step on.
const RUN_MIN: usize = 4;

/// So many that did not change may lie between two that did; each costs a run as much as one that changed a little.
const GAP_MAX: u64 = 3;

const FINEST: Kind = Kind::Decimal(super::number::SCALE_MAX);
