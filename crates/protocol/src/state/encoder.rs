//! Writing deltas and snapshots: only what changed after a base is looked at.

use std::ops::Range;

use bytes::{BufMut, BytesMut};

use super::arrange::Piece;
use super::arrange_codec::put_pieces;
use super::delta::op;
use super::grouping::Candidates;
use super::keys::KeyTable;
use super::node::{Body, Leaf, List, Map, Node};
use super::number::{Kind, Step};
use super::splice::Ends;
use super::table::Rows;
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
    /// Tables that will be appended.
    tables: BytesMut,
    candidates: Candidates,
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
    /// A table that begins with this entry: where it lies among the encoder's.
    Table {
        start: usize,
        end: usize,
    },
    /// The table of an entry before tells it.
    InTable,
}

/// Appends a snapshot.
pub(super) fn put_snapshot(out: &mut BytesMut, epoch: u64, version: u64, table: &KeyTable, root: &Node) {
    out.put_u64(epoch);
    varint::put(out, version);
    put_keys(out, table, 0);
    put_node(out, root);
}

/// Appends a delta from the one version to the other, which is later.
pub(super) fn put_delta(out: &mut BytesMut, epoch: u64, versions: Range<u64>, table: &KeyTable, root: &Node) {
    let base = versions.start;
    out.put_u32(epoch as u32);
    varint::put(out, base);
    let mut encoder = Encoder {
        out,
        base,
        scratch: Vec::with_capacity(CHANGES),
        ids: Vec::with_capacity(CHANGES),
        tables: BytesMut::new(),
        candidates: Candidates::default(),
    };
    let told = encoder.told(root).unwrap_or(Told::Set(root));
    let known = table.len_at(base);
    let has_keys = table.len() > known;
    encoder.head((versions.end - base - 1) << 1 | u64::from(has_keys), told.op());
    if has_keys {
        varint::put(encoder.out, known as u64);
        put_keys(encoder.out, table, known);
    }
    encoder.content(told);
}

fn put_keys(out: &mut BytesMut, table: &KeyTable, first: usize) {
    let keys = table.from(first);
    varint::put(out, keys.len() as u64);
    keys.for_each(|key| put_bytes(out, key.as_bytes()));
}

impl Told<'_> {
    fn op(&self) -> u64 {
        match self {
            Self::Removed => op::REMOVE,
            Self::Set(_) => op::SET,
            Self::Step(step) if step.kind == Kind::Integer => op::INTEGER,
            Self::Step(_) => op::NUMBER,
            Self::Splice(..) => op::SPLICE,
            Self::Map(_) => op::MAP,
            Self::List(_) => op::LIST,
            Self::Table { .. } | Self::InTable => op::TABLE,
        }
    }

    const fn has_head(&self) -> bool {
        !matches!(self, Self::InTable)
    }
}

impl<'d> Encoder<'_, 'd> {
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

    /// Appends how far an entry lies beyond the last one, and what happens to it.
    fn head(&mut self, gap: u64, op: u64) {
        varint::put(self.out, gap << 3 | op);
    }

    /// Appends what follows an entry's head.
    fn content(&mut self, told: Told<'d>) {
        match told {
            Told::Removed | Told::InTable => {}
            Told::Set(node) => put_node(self.out, node),
            Told::Step(step) => {
                if step.kind != Kind::Integer {
                    self.out.put_u8(step.kind.code());
                }
                step.put(self.out);
            }
            Told::Splice(ends, value) => {
                varint::put(self.out, ends.head as u64);
                varint::put(self.out, ends.tail as u64);
                put_bytes(self.out, ends.middle(value).unwrap_or_default());
            }
            Told::Map(map) => {
                let start = self.gather_map(map);
                self.entries(start);
            }
            Told::List(list) => self.list(list),
            Told::Table { start, end } => self.out.put_slice(&self.tables[start..end]),
        }
    }

    fn list(&mut self, list: &'d List) {
        let order = list.orders.since(self.base);
        let start = self.gather_list(list);
        let has_entries = self.scratch.len() > start;
        // An empty order would read as none.
        let nothing = [Piece::New { len: 0 }];
        let pieces = match &order {
            None => &[][..],
            Some(order) if order.pieces().is_empty() => &nothing,
            Some(order) => order.pieces(),
        };
        varint::put(self.out, (pieces.len() as u64) << 1 | u64::from(has_entries));
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
        if has_entries {
            self.entries(start);
        }
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

    /// Appends what lies on the stack from `start` on, and takes it off.
    fn entries(&mut self, start: usize) {
        self.group(start);
        let end = self.scratch.len();
        let heads = self.scratch[start..].iter().filter(|entry| entry.told.has_head()).count();
        varint::put(self.out, heads as u64);
        let mut next = 0;
        for at in start..end {
            let entry = self.scratch[at];
            if entry.told.has_head() {
                self.head(entry.index - next, entry.told.op());
                self.content(entry.told);
                next = entry.index + 1;
            }
        }
        self.scratch.truncate(start);
    }

    /// Finds what is better told as tables among the entries on the stack from `start` on, and puts it so.
    fn group(&mut self, start: usize) {
        let end = self.scratch.len();
        if end - start < ROWS_MIN {
            return;
        }
        let mut candidates = std::mem::take(&mut self.candidates);
        candidates.clear();
        for at in start..end {
            let Entry { index, told } = self.scratch[at];
            let rows = match told {
                Told::Step(step) => {
                    candidates.push(at, index, Rows::Numbers, [Some((0, step))].into_iter());
                    continue;
                }
                Told::Map(map) => {
                    self.gather_map(map);
                    Rows::Maps
                }
                Told::List(list) if list.orders.since(self.base).is_none() => {
                    self.gather_list(list);
                    Rows::Lists
                }
                _ => continue,
            };
            candidates.push(at, index, rows, self.scratch[end..].iter().map(Entry::cell));
            self.scratch.truncate(end);
        }
        let scratch = &mut self.scratch;
        candidates.pack(&mut self.tables, |at, content| {
            scratch[at].told =
                content.map_or(Told::InTable, |at| Told::Table { start: at.start, end: at.end });
        });
        self.candidates = candidates;
    }
}

impl Entry<'_> {
    /// What it would be in a row, if it can stand in one.
    fn cell(&self) -> Option<(u32, Step)> {
        let Told::Step(step) = self.told else { return None };
        Some((u32::try_from(self.index).ok()?, step))
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

/// A step of so many bytes is taken without a look at what else there is: in tables it is worth more.
const STEP_BYTES: usize = 2;

/// Changes for which there is room from the start.
const CHANGES: usize = 64;

/// One row alone is no table.
const ROWS_MIN: usize = 2;
