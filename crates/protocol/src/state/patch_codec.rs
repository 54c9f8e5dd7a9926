//! Patches as bytes: the payload of a publisher's state message.

use bytes::{BufMut, BytesMut};

use super::arrange_codec::{put_pieces, read_pieces};
use super::limits::Limits;
use super::patch::{ListOp, Patch};
use super::reader::{DecodeError, Reader};
use super::splice::owned;
use super::value_codec::{put_bytes, read_entries, read_value};
use super::varint;

impl Patch {
    /// Appends the encoded patch. As with [`Value::encode`](super::Value::encode), what breaks a rule is
    /// written as it is and refused by whoever reads it.
    pub fn encode(&self, out: &mut BytesMut) {
        match self {
            Self::Set(value) => {
                out.put_u8(tag::SET);
                value.encode(out);
            }
            Self::Remove => out.put_u8(tag::REMOVE),
            Self::Map(entries) => {
                out.put_u8(tag::MAP);
                varint::put(out, entries.len() as u64);
                for (key, patch) in entries {
                    put_bytes(out, key.as_bytes());
                    patch.encode(out);
                }
            }
            Self::List(ops) => {
                out.put_u8(tag::LIST);
                varint::put(out, ops.len() as u64);
                ops.iter().for_each(|op| op.encode(out));
            }
            Self::Splice { head, tail, length, inserted } => {
                out.put_u8(tag::SPLICE_ENDS);
                for n in [*head, *tail, *length] {
                    varint::put(out, n as u64);
                }
                put_bytes(out, inserted);
            }
        }
    }

    /// Reads exactly one patch of a document's root.
    ///
    /// # Errors
    /// What is wrong with the bytes; memory spent until then is bounded by their length and by `limits`
    /// ([`depth`](Limits::depth) and [`nodes`](Limits::nodes)).
    pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes, limits);
        let patch = read_patch(&mut reader)?;
        reader.finish()?;
        Ok(patch)
    }
}

impl ListOp {
    fn encode(&self, out: &mut BytesMut) {
        match self {
            Self::Splice { index, removed, inserted } => {
                out.put_u8(tag::SPLICE);
                for n in [*index, *removed, inserted.len()] {
                    varint::put(out, n as u64);
                }
                inserted.iter().for_each(|value| value.encode(out));
            }
            Self::Item { index, patch } => {
                out.put_u8(tag::ITEM);
                varint::put(out, *index as u64);
                patch.encode(out);
            }
            Self::Arrange { pieces, inserted } => {
                out.put_u8(tag::ARRANGE);
                varint::put(out, pieces.len() as u64);
                put_pieces(out, pieces);
                inserted.iter().for_each(|value| value.encode(out));
            }
        }
    }
}

/// A patch that is not a remove.
fn read_patch(reader: &mut Reader<'_>) -> Result<Patch, DecodeError> {
    match read_entry(reader)? {
        Patch::Remove => Err(DecodeError::MisplacedRemove),
        patch => Ok(patch),
    }
}

fn read_entry(reader: &mut Reader<'_>) -> Result<Patch, DecodeError> {
    reader.charge()?;
    match reader.u8()? {
        tag::SET => read_value(reader).map(Patch::Set),
        tag::REMOVE => Ok(Patch::Remove),
        tag::MAP => read_entries(reader, read_entry).map(Patch::Map),
        tag::LIST => {
            reader.enter()?;
            let mut ops = Vec::new();
            for _ in 0..reader.count()? {
                ops.push(read_op(reader)?);
            }
            reader.leave();
            Ok(Patch::List(ops))
        }
        tag::SPLICE_ENDS => {
            let (head, tail, length) = (read_index(reader)?, read_index(reader)?, read_index(reader)?);
            Ok(Patch::Splice { head, tail, length, inserted: owned(reader.bytes()?) })
        }
        other => Err(DecodeError::Tag(other)),
    }
}

fn read_op(reader: &mut Reader<'_>) -> Result<ListOp, DecodeError> {
    reader.charge()?;
    match reader.u8()? {
        tag::SPLICE => {
            let (index, removed) = (read_index(reader)?, read_index(reader)?);
            let mut inserted = Vec::new();
            for _ in 0..reader.count()? {
                inserted.push(read_value(reader)?);
            }
            Ok(ListOp::Splice { index, removed, inserted })
        }
        tag::ITEM => Ok(ListOp::Item { index: read_index(reader)?, patch: read_patch(reader)? }),
        tag::ARRANGE => {
            let count = reader.count()?;
            let (pieces, fresh) = read_pieces(reader, count)?;
            let inserted = (0..fresh).map(|_| read_value(reader)).collect::<Result<_, _>>()?;
            Ok(ListOp::Arrange { pieces, inserted })
        }
        other => Err(DecodeError::Tag(other)),
    }
}

/// An index too large for this machine is out of range of any list it holds.
fn read_index(reader: &mut Reader<'_>) -> Result<usize, DecodeError> {
    Ok(usize::try_from(reader.varint()?).unwrap_or(usize::MAX))
}

/// First bytes of patches and of list operations.
mod tag {
    pub(super) const SET: u8 = 0x00;
    pub(super) const REMOVE: u8 = 0x01;
    pub(super) const MAP: u8 = 0x02;
    pub(super) const LIST: u8 = 0x03;
    pub(super) const SPLICE_ENDS: u8 = 0x04;
    pub(super) const SPLICE: u8 = 0x00;
    pub(super) const ITEM: u8 = 0x01;
    pub(super) const ARRANGE: u8 = 0x02;
}
