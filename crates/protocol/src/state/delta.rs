//! Deltas and snapshots as a receiver gets them: decoding into an op tree, which touches no document.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::change::{Change, ListChange, Segment};
use super::limits::Limits;
use super::node::{Body, Node};
use super::reader::{DecodeError, Reader};
use super::value_codec::{read_scalar, tag as value_tag};

/// A decoded payload of a state message from the hub.
#[derive(Debug)]
pub(super) struct Delta {
    pub(super) epoch: u64,
    pub(super) base: u64,
    pub(super) version: u64,
    pub(super) first_key: u64,
    pub(super) keys: Vec<Arc<str>>,
    pub(super) change: Change,
}

/// Versions and element ids end here, so that a reader whose numbers are 64-bit floats holds them exactly.
pub(super) const NUMBER_MAX: u64 = (1 << 53) - 1;

type Result<T> = std::result::Result<T, DecodeError>;

impl Delta {
    pub(super) fn decode(payload: &[u8], limits: &Limits) -> Result<Self> {
        let mut reader = Reader::new(payload, limits);
        let epoch = u64::from_be_bytes(reader.array()?);
        let (base, version) = (reader.varint()?, reader.varint()?);
        if version > NUMBER_MAX {
            return Err(DecodeError::Header);
        }
        let first_key = reader.varint()?;
        let keys = read_keys(&mut reader, first_key, limits)?;
        let mut scope = Scope { reader, version, keys: first_key + keys.len() as u64 };
        let change = scope.placed_change()?;
        scope.reader.finish()?;
        Ok(Self { epoch, base, version, first_key, keys, change })
    }
}

fn read_keys(reader: &mut Reader<'_>, first: u64, limits: &Limits) -> Result<Vec<Arc<str>>> {
    let count = reader.length()?;
    if first.checked_add(count as u64).is_none_or(|keys| keys > limits.keys.min(u32::MAX as usize) as u64) {
        return Err(DecodeError::TooManyKeys { limit: limits.keys });
    }
    let mut keys = Vec::new();
    let mut seen = HashSet::new();
    for _ in 0..count {
        let key = reader.key()?;
        if !seen.insert(key) {
            return Err(DecodeError::KeyNumber);
        }
        keys.push(key.into());
    }
    Ok(keys)
}

/// What nodes and changes are read with.
struct Scope<'a> {
    reader: Reader<'a>,
    version: u64,
    /// Length of the key table with the keys of this payload.
    keys: u64,
}

impl Scope<'_> {
    fn node(&mut self) -> Result<Node> {
        self.reader.charge_value()?;
        match self.reader.u8()? {
            value_tag::MAP => {
                let mut entries = BTreeMap::new();
                self.entries(|scope, key| {
                    entries.insert(key, scope.node()?);
                    Ok(())
                })?;
                Ok(Node::map(self.version, entries))
            }
            value_tag::LIST => self.list(),
            scalar => Ok(Node::new(self.version, Body::Leaf(read_scalar(&mut self.reader, scalar)?))),
        }
    }

    /// Reads a count, and for each entry its key number and what `read` makes of the rest.
    fn entries(&mut self, mut read: impl FnMut(&mut Self, u32) -> Result<()>) -> Result<()> {
        self.reader.enter()?;
        let mut next = 0;
        for _ in 0..self.reader.count()? {
            let number = self.reader.varint()?;
            if number >= self.keys {
                return Err(DecodeError::KeyNumber);
            }
            next = ascending(number, next)?;
            read(self, number as u32)?;
        }
        self.reader.leave();
        Ok(())
    }

    fn list(&mut self) -> Result<Node> {
        self.reader.enter()?;
        let count = self.reader.count()?;
        let mut ids = Vec::new();
        while ids.len() < count {
            let (first, end) = self.run()?;
            if end - first > (count - ids.len()) as u64 {
                return Err(DecodeError::ElementId);
            }
            ids.extend(first..end);
        }
        let mut nodes = BTreeMap::new();
        for &id in &ids {
            if nodes.insert(id, self.node()?).is_some() {
                return Err(DecodeError::ElementId);
            }
        }
        self.reader.leave();
        Ok(Node::list(self.version, ids, nodes))
    }

    /// A change of the root or of an element, which can't be a remove.
    fn placed_change(&mut self) -> Result<Change> {
        match self.change()? {
            Change::Remove => Err(DecodeError::MisplacedRemove),
            change => Ok(change),
        }
    }

    fn change(&mut self) -> Result<Change> {
        self.reader.charge()?;
        match self.reader.u8()? {
            tag::SET => self.node().map(Change::Set),
            tag::REMOVE => Ok(Change::Remove),
            tag::MAP => {
                let mut changes = Vec::new();
                self.entries(|scope, key| {
                    changes.push((key, scope.change()?));
                    Ok(())
                })?;
                Ok(Change::Map(changes))
            }
            tag::LIST => self.list_change().map(Change::List),
            other => Err(DecodeError::Tag(other)),
        }
    }

    fn list_change(&mut self) -> Result<ListChange> {
        self.reader.enter()?;
        let order = match self.reader.u8()? {
            tag::SAME_ORDER => None,
            tag::NEW_ORDER => Some(self.order()?),
            other => return Err(DecodeError::Tag(other)),
        };
        let mut items = Vec::new();
        let mut next = 0;
        for _ in 0..self.reader.count()? {
            let id = self.id()?;
            next = ascending(id, next)?;
            items.push((id, self.placed_change()?));
        }
        self.reader.leave();
        Ok(ListChange { order, items })
    }

    fn order(&mut self) -> Result<Vec<Segment>> {
        let mut segments = Vec::new();
        for _ in 0..self.reader.count()? {
            self.reader.charge()?;
            segments.push(match self.reader.u8()? {
                tag::KEPT => {
                    let (first, end) = self.run()?;
                    Segment::Kept { first, len: end - first }
                }
                tag::NEW => Segment::New { id: self.id()?, node: self.node()? },
                other => return Err(DecodeError::Tag(other)),
            });
        }
        Ok(segments)
    }

    /// A run of consecutive element ids, not empty, as a range.
    fn run(&mut self) -> Result<(u64, u64)> {
        let (first, len) = (self.id()?, self.reader.varint()?);
        let end = first.checked_add(len).filter(|&end| first < end && end <= NUMBER_MAX);
        Ok((first, end.ok_or(DecodeError::ElementId)?))
    }

    fn id(&mut self) -> Result<u64> {
        let id = self.reader.varint()?;
        if id < NUMBER_MAX { Ok(id) } else { Err(DecodeError::ElementId) }
    }
}

/// Checks that `number` is at least `next` and returns the least that may follow it.
fn ascending(number: u64, next: u64) -> Result<u64> {
    if number < next { Err(DecodeError::Order) } else { Ok(number + 1) }
}

/// First bytes of changes, of list changes and of the segments of an order.
pub(super) mod tag {
    pub(crate) const SET: u8 = 0x00;
    pub(crate) const REMOVE: u8 = 0x01;
    pub(crate) const MAP: u8 = 0x02;
    pub(crate) const LIST: u8 = 0x03;
    pub(crate) const SAME_ORDER: u8 = 0x00;
    pub(crate) const NEW_ORDER: u8 = 0x01;
    pub(crate) const KEPT: u8 = 0x00;
    pub(crate) const NEW: u8 = 0x01;
}
