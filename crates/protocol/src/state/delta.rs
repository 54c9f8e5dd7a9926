//! Deltas and snapshots as a receiver gets them: decoding into an op tree, which touches no document.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::arrange_codec::read_pieces;
use super::change::{Change, ListChange};
use super::limits::Limits;
use super::node::Node;
use super::number::{Kind, Step};
use super::reader::{DecodeError, Reader};
use super::splice::{Ends, owned};
use super::table::{self, Rows, Shape};
use super::value_codec::{read_scalar, tag as value_tag};

/// A decoded payload of a state message from the hub.
#[derive(Debug)]
pub(super) struct Delta {
    pub(super) epoch: Epoch,
    pub(super) base: u64,
    pub(super) version: u64,
    /// What the receiver's key table must have; not told when there are no new keys.
    pub(super) first_key: Option<u64>,
    pub(super) keys: Vec<Arc<str>>,
    pub(super) change: Change,
}

/// The version that a receiver must hold to apply the payload of a delta; `None` where it can't be read.
///
/// For receivers that keep several versions, and look for the one that is meant.
///
/// ```
/// use nyx_protocol::state::{Document, Limits, Patch, Value, base_of};
///
/// let mut document = Document::new(7, Limits::default());
/// for n in 0..3 {
///     document.patch(&Patch::Set(Value::map([("n", n), ("filler", 7)]))).unwrap();
/// }
/// let mut delta = bytes::BytesMut::new();
/// document.delta_since(2, &mut delta);
/// assert_eq!(base_of(&delta), Some(2));
/// ```
pub fn base_of(payload: &[u8]) -> Option<u64> {
    let mut rest = payload.get(4..)?;
    super::varint::take(&mut rest)
}

/// Of which document it is.
#[derive(Debug)]
pub(super) enum Epoch {
    Whole(u64),
    /// The low half, by which a delta is told from those of other documents.
    Low(u32),
}

/// Versions end here, so that a reader whose numbers are 64-bit floats holds them exactly.
pub(super) const NUMBER_MAX: u64 = (1 << 53) - 1;

type Result<T> = std::result::Result<T, DecodeError>;

impl Delta {
    /// `known` is the length of the receiver's key table, which a delta goes on from.
    pub(super) fn decode(payload: &[u8], is_snapshot: bool, known: usize, limits: &Limits) -> Result<Self> {
        let mut reader = Reader::new(payload, limits);
        if is_snapshot {
            return Self::snapshot(reader, limits);
        }
        let epoch = Epoch::Low(u32::from_be_bytes(reader.array()?));
        let (base, lead) = (reader.varint()?, reader.varint()?);
        let further = (lead >> 4) + 1;
        let version = base.checked_add(further).filter(|&version| version <= NUMBER_MAX);
        let version = version.ok_or(DecodeError::Header)?;
        let first_key = (lead & HAS_KEYS != 0).then(|| reader.varint()).transpose()?;
        let keys =
            first_key.map(|first| read_keys(&mut reader, first, limits)).transpose()?.unwrap_or_default();
        let known = first_key.unwrap_or(known as u64);
        let mut scope = Scope { reader, version, keys: known + keys.len() as u64 };
        let change = scope.root_change(lead & 7)?;
        scope.reader.finish()?;
        Ok(Self { epoch, base, version, first_key, keys, change })
    }

    fn snapshot(mut reader: Reader<'_>, limits: &Limits) -> Result<Self> {
        let epoch = Epoch::Whole(u64::from_be_bytes(reader.array()?));
        let version = reader.varint()?;
        if version > NUMBER_MAX {
            return Err(DecodeError::Header);
        }
        let keys = read_keys(&mut reader, 0, limits)?;
        let mut scope = Scope { reader, version, keys: keys.len() as u64 };
        let change = Change::Set(scope.node()?);
        scope.reader.finish()?;
        Ok(Self { epoch, base: 0, version, first_key: Some(0), keys, change })
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
                self.reader.enter()?;
                let mut entries = BTreeMap::new();
                let mut next = 0;
                for _ in 0..self.reader.count()? {
                    let key = self.index(next, self.keys)?;
                    next = key + 1;
                    entries.insert(key as u32, self.node()?);
                }
                self.reader.leave();
                Ok(Node::map(self.version, entries))
            }
            value_tag::LIST => {
                self.reader.enter()?;
                let count = self.reader.count()?;
                let nodes = self.nodes(count)?;
                self.reader.leave();
                Ok(Node::list(self.version, nodes))
            }
            scalar => Ok(Node::leaf(self.version, read_scalar(&mut self.reader, scalar)?)),
        }
    }

    fn nodes(&mut self, count: usize) -> Result<Vec<Node>> {
        let mut nodes = Vec::new();
        for _ in 0..count {
            nodes.push(self.node()?);
        }
        Ok(nodes)
    }

    /// Reads how far an index lies beyond the least that may stand here.
    fn index(&mut self, next: u64, end: u64) -> Result<u64> {
        let gap = self.reader.varint()?;
        next.checked_add(gap).filter(|&index| index < end).ok_or(DecodeError::KeyNumber)
    }

    fn root_change(&mut self, op: u64) -> Result<Change> {
        self.reader.charge()?;
        if op == op::REMOVE { Err(DecodeError::MisplacedRemove) } else { self.change(op) }
    }

    /// Reads changes of the entries below `end` of a container, and puts them in order.
    fn changes(&mut self, end: u64, in_list: bool) -> Result<Vec<(u64, Change)>> {
        let mut changes = Vec::new();
        let (mut next, mut has_tables) = (0_u64, false);
        for _ in 0..self.reader.count()? {
            self.reader.charge()?;
            let header = self.reader.varint()?;
            let index = next.checked_add(header >> 3).filter(|&index| index < end);
            let index = index.ok_or(DecodeError::KeyNumber)?;
            next = index + 1;
            match header & 7 {
                op::REMOVE if in_list => return Err(DecodeError::MisplacedRemove),
                op::REMOVE => changes.push((index, Change::Remove)),
                op::TABLE => {
                    has_tables = true;
                    self.table(index, end, &mut changes)?;
                }
                op => changes.push((index, self.change(op)?)),
            }
        }
        if has_tables {
            changes.sort_unstable_by_key(|(index, _)| *index);
            if changes.windows(2).any(|pair| pair[0].0 == pair[1].0) {
                return Err(DecodeError::Order);
            }
        }
        Ok(changes)
    }

    /// Reads what follows the header of a change that is neither a remove nor a table.
    fn change(&mut self, op: u64) -> Result<Change> {
        match op {
            op::SET => self.node().map(Change::Set),
            op::MAP => {
                self.reader.enter()?;
                let changes = self.changes(self.keys, false)?;
                self.reader.leave();
                Ok(Change::Map(by_key(changes)))
            }
            op::LIST => self.list_change(),
            op::INTEGER => Step::read(&mut self.reader, Kind::Integer).map(Change::Step),
            op::NUMBER => {
                let kind = Kind::of_code(self.reader.u8()?)?;
                Step::read(&mut self.reader, kind).map(Change::Step)
            }
            op::SPLICE => {
                let mut end = || usize::try_from(self.reader.varint()?).map_err(|_| DecodeError::Number);
                let ends = Ends { head: end()?, tail: end()? };
                Ok(Change::Splice { ends, inserted: owned(self.reader.bytes()?) })
            }
            other => Err(DecodeError::Tag(other as u8)),
        }
    }

    /// Reads a table of entries from `first` on, all below `end`. Steps of 0 are no changes.
    fn table(&mut self, first: u64, end: u64, changes: &mut Vec<(u64, Change)>) -> Result<()> {
        let shape = Shape::read(&mut self.reader, self.keys, INDEX_END)?;
        let is_nested = shape.rows != Rows::Numbers;
        if is_nested {
            self.reader.enter()?;
        }
        table::read(&mut self.reader, &shape, first, |reader, index, numbers| {
            if index >= end {
                return Err(DecodeError::KeyNumber);
            }
            reader.charge()?;
            if is_nested {
                numbers.iter().filter(|number| **number != 0).try_for_each(|_| reader.charge())?;
            }
            let cells = shape.columns.iter().zip(numbers).filter(|(_, number)| **number != 0);
            let mut cells =
                cells.map(|(&(key, kind), &number)| (key, Change::Step(Step::of_number(kind, number))));
            let change = match shape.rows {
                Rows::Numbers => cells.next().map(|(_, step)| step),
                Rows::Maps => row(cells.collect()).map(Change::Map),
                Rows::Lists => row(cells.map(|(key, step)| (key as usize, step)).collect())
                    .map(|items| Change::List(ListChange { order: None, items })),
            };
            changes.extend(change.map(|change| (index, change)));
            Ok(())
        })?;
        if is_nested {
            self.reader.leave();
        }
        Ok(())
    }

    fn list_change(&mut self) -> Result<Change> {
        self.reader.enter()?;
        let head = self.reader.varint()?;
        let count = self.reader.bounded(head >> 1)?;
        let order = if count > 0 {
            let (pieces, fresh) = read_pieces(&mut self.reader, count)?;
            Some((pieces, self.nodes(fresh)?))
        } else {
            None
        };
        let items = if head & 1 == 1 { by_index(self.changes(INDEX_END, true)?) } else { Vec::new() };
        self.reader.leave();
        Ok(Change::List(ListChange { order, items }))
    }
}

/// What changes in a row, if anything does.
fn row<T>(cells: Vec<T>) -> Option<Vec<T>> {
    (!cells.is_empty()).then_some(cells)
}

fn by_key(changes: Vec<(u64, Change)>) -> Vec<(u32, Change)> {
    changes.into_iter().map(|(key, change)| (key as u32, change)).collect()
}

fn by_index(changes: Vec<(u64, Change)>) -> Vec<(usize, Change)> {
    changes.into_iter().map(|(index, change)| (index as usize, change)).collect()
}

/// No list is so long.
const INDEX_END: u64 = 1 << 30;

/// The low three bits of a change's header.
pub(super) mod op {
    pub(crate) const SET: u64 = 0;
    pub(crate) const REMOVE: u64 = 1;
    pub(crate) const MAP: u64 = 2;
    pub(crate) const LIST: u64 = 3;
    pub(crate) const INTEGER: u64 = 4;
    pub(crate) const NUMBER: u64 = 5;
    pub(crate) const SPLICE: u64 = 6;
    pub(crate) const TABLE: u64 = 7;
}

/// In a delta's lead, whose low three bits are what happens to the root: new keys follow.
const HAS_KEYS: u64 = 1 << 3;
