//! The document's inside: values that know when they changed.

use std::collections::BTreeMap;
use std::ops::{AddAssign, Sub};

use super::arrange::Orders;
use super::keys::KeyTable;
use super::log::Log;
use super::number;
use super::past::Past;
use super::splice::Ends;
use super::value::Value;
use super::value_codec::scalar_len;

/// A value and when it changed. That it was created or wholly replaced is told by its container's log, and by its own,
/// which reaches back no further.
#[derive(Debug, Clone)]
pub(super) struct Node {
    /// When it, or anything in it, last changed.
    pub(super) version: u64,
    pub(super) body: Body,
}

#[derive(Debug, Clone)]
pub(super) enum Body {
    Leaf(Leaf),
    Map(Box<Map>),
    List(Box<List>),
}

/// A value that is neither list nor map, and what it was.
#[derive(Debug, Clone)]
pub(super) struct Leaf {
    pub(super) value: Value,
    pub(super) past: Past,
}

/// Entries by key number.
#[derive(Debug, Clone)]
pub(super) struct Map {
    pub(super) entries: BTreeMap<u32, Node>,
    pub(super) log: Log,
}

/// Elements by id, and the order they stand in. Ids are this document's own: nobody else is told them.
#[derive(Debug, Clone)]
pub(super) struct List {
    /// The ids of the elements, in order.
    pub(super) order: Vec<u64>,
    pub(super) elements: BTreeMap<u64, Element>,
    pub(super) next_id: u64,
    /// How elements came, went and moved.
    pub(super) orders: Orders,
    /// Whether each id is the element's index.
    pub(super) is_plain: bool,
    /// Changes inside of elements, by id.
    pub(super) log: Log,
}

#[derive(Debug, Clone)]
pub(super) struct Element {
    /// When the element came. Its node may be younger, if it was wholly replaced.
    pub(super) added: u64,
    pub(super) node: Node,
}

impl Node {
    pub(super) fn new(version: u64, body: Body) -> Self {
        Self { version, body }
    }

    pub(super) fn empty_map(version: u64) -> Self {
        Self::map(version, BTreeMap::new())
    }

    pub(super) fn map(version: u64, entries: BTreeMap<u32, Self>) -> Self {
        Self::new(version, Body::Map(Box::new(Map { entries, log: Log::new(version) })))
    }

    pub(super) fn leaf(version: u64, value: Value) -> Self {
        Self::new(version, Body::Leaf(Leaf { value, past: Past::default() }))
    }

    pub(super) fn list(version: u64, nodes: Vec<Self>) -> Self {
        let next_id = nodes.len() as u64;
        let element = |node| Element { added: version, node };
        let list = List {
            order: (0..next_id).collect(),
            elements: (0..).zip(nodes.into_iter().map(element)).collect(),
            next_id,
            orders: Orders::new(version),
            is_plain: true,
            log: Log::new(version),
        };
        Self::new(version, Body::List(Box::new(list)))
    }

    pub(super) fn value(&self, keys: &KeyTable) -> Value {
        match &self.body {
            Body::Leaf(leaf) => leaf.value.clone(),
            Body::Map(map) => {
                let entry = |(&key, node): (&u32, &Self)| (keys.text(key).to_owned(), node.value(keys));
                Value::Map(map.entries.iter().map(entry).collect())
            }
            Body::List(list) => Value::List(list.iter().map(|node| node.value(keys)).collect()),
        }
    }

    /// Whether each key of the table occurs in it. O(nodes).
    pub(super) fn uses_all(&self, keys: &KeyTable) -> bool {
        fn mark(node: &Node, unseen: &mut [bool], left: &mut usize) {
            match &node.body {
                Body::Leaf(_) => {}
                Body::Map(map) => {
                    for (key, node) in &map.entries {
                        if let Some(unseen) = unseen.get_mut(*key as usize) {
                            *left -= usize::from(std::mem::take(unseen));
                        }
                        mark(node, unseen, left);
                    }
                }
                Body::List(list) => {
                    list.elements.values().for_each(|element| mark(&element.node, unseen, left))
                }
            }
        }
        let mut left = keys.len();
        mark(self, &mut vec![true; left], &mut left);
        left == 0
    }

    /// Whether [`value`](Self::value) would be `other`.
    pub(super) fn is(&self, other: &Value, keys: &KeyTable) -> bool {
        match (&self.body, other) {
            (Body::Map(map), Value::Map(entries)) => {
                map.entries.len() == entries.len()
                    && entries
                        .iter()
                        .all(|(key, value)| map.find(key, keys).is_some_and(|(_, node)| node.is(value, keys)))
            }
            (Body::List(list), Value::List(values)) => {
                list.order.len() == values.len()
                    && list.iter().zip(values).all(|(node, value)| node.is(value, keys))
            }
            (Body::Leaf(leaf), value) => leaf.value == *value,
            _ => false,
        }
    }

    /// What it costs the document to hold this.
    pub(super) fn cost(&self) -> Cost {
        let mut cost = Cost { nodes: 1, bytes: CONTAINER_BYTES };
        match &self.body {
            Body::Leaf(leaf) => cost.bytes = scalar_len(&leaf.value) as i64,
            Body::Map(map) => map.entries.values().for_each(|node| cost += Cost::ENTRY + node.cost()),
            Body::List(list) => list.elements.values().for_each(|element| cost += element.node.cost()),
        }
        cost
    }
}

impl Map {
    pub(super) fn find(&self, key: &str, keys: &KeyTable) -> Option<(u32, &Node)> {
        let number = keys.number(key)?;
        Some((number, self.entries.get(&number)?))
    }

    pub(super) fn tidy(&mut self) {
        let entries = &self.entries;
        self.log.tidy(entries.len(), |key| entries.get(&(key as u32)).map(|node| node.version));
    }
}

impl Leaf {
    /// Puts another value in the place of that of `version`.
    pub(super) fn replace(&mut self, version: u64, value: Value) {
        let same_sort = std::mem::discriminant(&self.value) == std::mem::discriminant(&value);
        let kept = number::bits(&self.value).or_else(|| Ends::between(&self.value, &value).map(Ends::pack));
        match kept.filter(|_| same_sort) {
            Some(kept) => self.past.push(version, kept),
            None => self.past.clear(),
        }
        self.value = value;
    }
}

impl List {
    /// The elements in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Node> {
        self.order.iter().filter_map(|id| self.node(*id))
    }

    pub(super) fn node(&self, id: u64) -> Option<&Node> {
        self.elements.get(&id).map(|element| &element.node)
    }

    /// The element at an index.
    pub(super) fn at(&self, index: usize) -> Option<&Node> {
        self.node(*self.order.get(index)?)
    }

    /// That an element went is told by the order, so the log forgets it.
    pub(super) fn tidy(&mut self) {
        let elements = &self.elements;
        self.log.forget_gone(elements.len(), |id| elements.get(&id).map(|element| element.node.version));
    }
}

/// Nodes and bytes, or the difference a change makes to them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Cost {
    pub(super) nodes: i64,
    /// At most what the nodes take in an encoded snapshot, and close to it.
    pub(super) bytes: i64,
}

impl Cost {
    /// Of a map entry, beside its node: the shortest key number.
    pub(super) const ENTRY: Self = Self { nodes: 0, bytes: 1 };

    /// Of a leaf that took `old` bytes and takes `new`.
    pub(super) const fn bytes(old: usize, new: usize) -> Self {
        Self { nodes: 0, bytes: new as i64 - old as i64 }
    }
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        self.nodes += other.nodes;
        self.bytes += other.bytes;
    }
}

impl std::ops::Add for Cost {
    type Output = Self;

    fn add(mut self, other: Self) -> Self {
        self += other;
        self
    }
}

impl Sub for Cost {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self { nodes: self.nodes - other.nodes, bytes: self.bytes - other.bytes }
    }
}

/// Tag and count of a map or list.
const CONTAINER_BYTES: i64 = 2;
