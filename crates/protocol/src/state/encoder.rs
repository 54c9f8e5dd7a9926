//! Writing deltas and snapshots: only what changed after a base is looked at.

use bytes::{BufMut, BytesMut};

use super::delta::tag;
use super::keys::KeyTable;
use super::node::{Body, List, Map, Node, Place};
use super::value_codec::{put_bytes, put_scalar, tag as value_tag};
use super::varint;

/// Writes changes of nodes since a version.
pub(super) struct Encoder<'a> {
    out: &'a mut BytesMut,
    base: u64,
    /// A stack of entry lists, one for each container on the way down.
    scratch: Vec<u64>,
}

/// Appends what leads a payload. The receiver at `base` has the first `first_key` keys.
pub(super) fn put_header(
    out: &mut BytesMut,
    epoch: u64,
    base: u64,
    version: u64,
    table: &KeyTable,
    first_key: usize,
) {
    out.put_u64(epoch);
    let keys = table.from(first_key);
    for n in [base, version, first_key as u64, keys.len() as u64] {
        varint::put(out, n);
    }
    keys.for_each(|key| put_bytes(out, key.as_bytes()));
}

/// Appends the change that makes the node from nothing.
pub(super) fn put_set(out: &mut BytesMut, node: &Node) {
    out.put_u8(tag::SET);
    put_node(out, node);
}

impl<'a> Encoder<'a> {
    pub(super) fn new(out: &'a mut BytesMut, base: u64) -> Self {
        Self { out, base, scratch: Vec::new() }
    }

    /// Appends what changed in a node whose version is above the base. The log of a container that the receiver does
    /// not have, since it was made later, does not reach back to the base.
    pub(super) fn change(&mut self, node: &Node) {
        match &node.body {
            Body::Map(map) if map.log.reaches(self.base) => self.map(map),
            Body::List(list) if list.log.reaches(self.base) => self.list(list),
            _ => put_set(self.out, node),
        }
    }

    fn map(&mut self, map: &Map) {
        self.out.put_u8(tag::MAP);
        let changed = self.push_sorted(map.log.since(self.base));
        for i in changed.clone() {
            let key = self.scratch[i];
            varint::put(self.out, key);
            match map.entries.get(&(key as u32)) {
                Some(node) => self.change(node),
                None => self.out.put_u8(tag::REMOVE),
            }
        }
        self.scratch.truncate(changed.start);
    }

    fn list(&mut self, list: &List) {
        self.out.put_u8(tag::LIST);
        if list.order_version > self.base {
            self.out.put_u8(tag::NEW_ORDER);
            self.order(list);
        } else {
            self.out.put_u8(tag::SAME_ORDER);
        }
        let base = self.base;
        let had = |id: &u64| list.elements.get(id).is_some_and(|element| element.added <= base);
        let changed = self.push_sorted(list.log.since(base).filter(had));
        for i in changed.clone() {
            let id = self.scratch[i];
            if let Some(node) = list.node(id) {
                varint::put(self.out, id);
                self.change(node);
            }
        }
        self.scratch.truncate(changed.start);
    }

    fn order(&mut self, list: &List) {
        let parts = || parts(&list.order, self.base);
        varint::put(self.out, parts().count() as u64);
        for part in parts() {
            match part {
                Part::Kept { first, len } => {
                    self.out.put_u8(tag::KEPT);
                    varint::put(self.out, first);
                    varint::put(self.out, len);
                }
                Part::New { id } => {
                    if let Some(node) = list.node(id) {
                        self.out.put_u8(tag::NEW);
                        varint::put(self.out, id);
                        put_node(self.out, node);
                    }
                }
            }
        }
    }

    /// Puts entries on the scratch stack, ascending and each once, writes their count, and tells where they are.
    fn push_sorted(&mut self, entries: impl Iterator<Item = u64>) -> std::ops::Range<usize> {
        let start = self.scratch.len();
        self.scratch.extend(entries);
        self.scratch[start..].sort_unstable();
        let mut end = start;
        for i in start..self.scratch.len() {
            if end == start || self.scratch[end - 1] != self.scratch[i] {
                self.scratch[end] = self.scratch[i];
                end += 1;
            }
        }
        self.scratch.truncate(end);
        varint::put(self.out, (end - start) as u64);
        start..end
    }
}

fn put_node(out: &mut BytesMut, node: &Node) {
    match &node.body {
        Body::Leaf(value) => put_scalar(out, value),
        Body::Map(map) => {
            out.put_u8(value_tag::MAP);
            varint::put(out, map.entries.len() as u64);
            for (&key, node) in &map.entries {
                varint::put(out, key.into());
                put_node(out, node);
            }
        }
        Body::List(list) => {
            out.put_u8(value_tag::LIST);
            varint::put(out, list.order.len() as u64);
            for part in parts(&list.order, u64::MAX) {
                if let Part::Kept { first, len } = part {
                    varint::put(out, first);
                    varint::put(out, len);
                }
            }
            list.iter().for_each(|node| put_node(out, node));
        }
    }
}

/// A part of a list's order, as a receiver sees it.
enum Part {
    Kept { first: u64, len: u64 },
    New { id: u64 },
}

/// Splits an order into runs of consecutive ids that came until `base`, and elements that came later.
fn parts(mut order: &[Place], base: u64) -> impl Iterator<Item = Part> {
    std::iter::from_fn(move || {
        let first = *order.first()?;
        let in_run = |(id, place): &(u64, &Place)| place.added <= base && place.id == *id;
        let len = (first.id..).zip(order).take_while(in_run).count();
        order = &order[len.max(1)..];
        Some(if len == 0 {
            Part::New { id: first.id }
        } else {
            Part::Kept { first: first.id, len: len as u64 }
        })
    })
}
