//! Deltas and snapshots as a receiver gets them: decoding into an op tree, which touches no document.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::arrange_codec::read_pieces;
use super::change::{Change, ListChange};
use super::limits::Limits;
use super::node::Node;
use super::number::{Kind, Step};
use super::reader::{DecodeError, Reader};
use super::row::Row;
use super::run;
use super::splice::{Ends, owned};
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
        let (epoch, base, version) = if is_snapshot {
            (Epoch::Whole(u64::from_be_bytes(reader.array()?)), 0, reader.varint()?)
        } else {
            let epoch = Epoch::Low(u32::from_be_bytes(reader.array()?));
            let (base, further) = (reader.varint()?, reader.varint()?);
            let version = base.checked_add(further).filter(|_| further > 0).ok_or(DecodeError::Header)?;
            (epoch, base, version)
        };
        if version > NUMBER_MAX {
            return Err(DecodeError::Header);
        }
        let count = reader.length()?;
        let first_key =
            if is_snapshot { Some(0) } else { (count > 0).then(|| reader.varint()).transpose()? };
        let keys = read_keys(&mut reader, first_key.unwrap_or(0), count, limits)?;
        let known = first_key.unwrap_or(known as u64);
        let mut scope = Scope { reader, version, keys: known + keys.len() as u64, row: None };
        let change = if is_snapshot { Change::Set(scope.node()?) } else { scope.root_change()? };
        scope.reader.finish()?;
        Ok(Self { epoch, base, version, first_key, keys, change })
    }
}

fn read_keys(reader: &mut Reader<'_>, first: u64, count: usize, limits: &Limits) -> Result<Vec<Arc<str>>> {
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
    /// The last row that was told in full.
    row: Option<Row>,
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

    fn root_change(&mut self) -> Result<Change> {
        self.reader.charge()?;
        match self.reader.varint()? {
            op::REMOVE => Err(DecodeError::MisplacedRemove),
            op::NUMBER => {
                let kind = Kind::of_code(self.reader.u8()?)?;
                Step::read(&mut self.reader, kind).map(Change::Step)
            }
            op => self.change(op),
        }
    }

    /// Reads changes of the entries below `end` of a container. Where they are a row, later ones can refer to it.
    fn changes(&mut self, end: u64, in_list: bool, can_be_row: bool) -> Result<Vec<(u64, Change)>> {
        let mut changes = Vec::new();
        let (mut row, mut is_row) = (Row::new(in_list), can_be_row);
        let mut next = 0_u64;
        for _ in 0..self.reader.count()? {
            self.reader.charge()?;
            let header = self.reader.varint()?;
            let index = next.checked_add(header >> 3).filter(|&index| index < end);
            let index = index.ok_or(DecodeError::KeyNumber)?;
            next = index + 1;
            let change = match header & 7 {
                op::REMOVE if in_list => return Err(DecodeError::MisplacedRemove),
                op::REMOVE => Change::Remove,
                op::NUMBER => {
                    let code = self.reader.u8()?;
                    let kind = Kind::of_code(code & !op::RUN)?;
                    if code & op::RUN != 0 {
                        next = self.run(kind, index, end, &mut changes)?;
                        is_row = false;
                        continue;
                    }
                    Change::Step(Step::read(&mut self.reader, kind)?)
                }
                op => self.change(op)?,
            };
            is_row = is_row && matches!(&change, Change::Step(step) if row.push(index, step.kind));
            changes.push((index, change));
        }
        if is_row && row.is_worth() {
            self.row = Some(row);
        }
        Ok(changes)
    }

    /// Reads what follows the header of a change that is neither a remove nor a number of some kind.
    fn change(&mut self, op: u64) -> Result<Change> {
        match op {
            op::SET => self.node().map(Change::Set),
            op::MAP => {
                self.reader.enter()?;
                let changes = self.changes(self.keys, false, true)?;
                self.reader.leave();
                Ok(Change::Map(by_key(changes)))
            }
            op::LIST => self.list_change(),
            op::INTEGER => Step::read(&mut self.reader, Kind::Integer).map(Change::Step),
            op::SPLICE => {
                let mut end = || usize::try_from(self.reader.varint()?).map_err(|_| DecodeError::Number);
                let ends = Ends { head: end()?, tail: end()? };
                Ok(Change::Splice { ends, inserted: owned(self.reader.bytes()?) })
            }
            op::ROW => self.row(),
            other => Err(DecodeError::Tag(other as u8)),
        }
    }

    fn row(&mut self) -> Result<Change> {
        let row = self.row.ok_or(DecodeError::Tag(op::ROW as u8))?;
        self.reader.enter()?;
        let mut steps = Vec::with_capacity(row.cells().len());
        for &(index, kind) in row.cells() {
            self.reader.charge()?;
            steps.push((u64::from(index), Change::Step(Step::read(&mut self.reader, kind)?)));
        }
        self.reader.leave();
        Ok(if row.in_list {
            Change::List(ListChange { order: None, items: by_index(steps) })
        } else {
            Change::Map(by_key(steps))
        })
    }

    /// Reads the steps of a run, of which those of zero are none, and tells what may follow it.
    fn run(&mut self, kind: Kind, first: u64, end: u64, changes: &mut Vec<(u64, Change)>) -> Result<u64> {
        if kind == Kind::Bits {
            return Err(DecodeError::Number);
        }
        let count = run::read(&mut self.reader, |reader, place, by| {
            let index = first + place as u64;
            if index >= end {
                return Err(DecodeError::KeyNumber);
            }
            if by != 0 {
                reader.charge()?;
                changes.push((index, Change::Step(Step { kind, by })));
            }
            Ok(())
        })?;
        Ok(first + count as u64)
    }

    fn list_change(&mut self) -> Result<Change> {
        self.reader.enter()?;
        let count = self.reader.count()?;
        let order = if count > 0 {
            let (pieces, fresh) = read_pieces(&mut self.reader, count)?;
            Some((pieces, self.nodes(fresh)?))
        } else {
            None
        };
        let items = self.changes(INDEX_END, true, order.is_none())?;
        self.reader.leave();
        Ok(Change::List(ListChange { order, items: by_index(items) }))
    }
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
    pub(crate) const ROW: u64 = 7;
    /// In the byte after [`NUMBER`]: a run follows.
    pub(crate) const RUN: u8 = 0x10;
}
