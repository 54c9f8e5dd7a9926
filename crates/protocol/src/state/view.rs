//! Reading a document in place.

use super::keys::KeyTable;
use super::node::{Body, Node};
use super::value::Value;

/// A part of a document, borrowed.
///
/// ```
/// use nyx_protocol::state::{Document, Limits, Patch, Value};
///
/// let mut document = Document::new(1, Limits::default());
/// let player = Value::map([("hp", Value::from(100)), ("at", Value::list([3, 4]))]);
/// document.patch(&Patch::merge(Value::map([("ada", player)]))).unwrap();
///
/// let y = document.get(&["ada", "at", "1"]).unwrap();
/// assert_eq!(y.leaf(), Some(&Value::from(4)));
/// ```
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    node: &'a Node,
    keys: &'a KeyTable,
}

impl<'a> View<'a> {
    pub(super) fn new(node: &'a Node, keys: &'a KeyTable) -> Self {
        Self { node, keys }
    }

    /// The document's version when this, or anything in it, last changed.
    pub fn version(&self) -> u64 {
        self.node.version
    }

    /// A copy of the content.
    pub fn value(&self) -> Value {
        self.node.value(self.keys)
    }

    /// The content, if it is neither list nor map.
    pub fn leaf(&self) -> Option<&'a Value> {
        if let Body::Leaf(leaf) = &self.node.body { Some(&leaf.value) } else { None }
    }

    /// Whether it is a map.
    pub fn is_map(&self) -> bool {
        matches!(self.node.body, Body::Map(_))
    }

    /// Entries of the map or elements of the list; a leaf has none.
    pub fn len(&self) -> usize {
        match &self.node.body {
            Body::Leaf(_) => 0,
            Body::Map(map) => map.entries.len(),
            Body::List(list) => list.order.len(),
        }
    }

    /// Whether there is nothing inside.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The map's entry under a key, or the list's element at an index in decimal.
    pub fn get(&self, segment: &str) -> Option<Self> {
        let node = match &self.node.body {
            Body::Leaf(_) => None,
            Body::Map(map) => map.find(segment, self.keys).map(|(_, node)| node),
            Body::List(list) => list.at(segment.parse().ok()?),
        };
        Some(Self::new(node?, self.keys))
    }

    /// The map's entries in the order of their keys' first use; none if this is not a map.
    pub fn entries(&self) -> impl Iterator<Item = (&'a str, Self)> + use<'a> {
        let keys = self.keys;
        let map = if let Body::Map(map) = &self.node.body { Some(map) } else { None };
        let entries = map.into_iter().flat_map(|map| &map.entries);
        entries.map(move |(&number, node)| (keys.text(number), Self::new(node, keys)))
    }

    /// The list's elements in order; none if this is not a list.
    pub fn elements(&self) -> impl Iterator<Item = Self> + use<'a> {
        let keys = self.keys;
        let list = if let Body::List(list) = &self.node.body { Some(list) } else { None };
        list.into_iter().flat_map(|list| list.iter()).map(move |node| Self::new(node, keys))
    }
}
