//! Reading bytes that a peer wrote: every claim is checked before anything is allocated for it.

use super::limits::{KEY_BYTES_MAX, Limits};
use super::varint;

/// Why bytes are not a value, a patch or a delta. Whoever sent them erred; nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes end early, or a length or count in them claims more than there is. Send the whole payload.
    #[error("the payload ends before what it announces")]
    Truncated,
    /// A varint is cut off or does not fit 64 bits. Write unsigned LEB128 of at most 10 bytes.
    #[error("a varint is cut off or longer than 64 bits")]
    Varint,
    /// A tag byte that the format does not know. Speak version 1 of the protocol.
    #[error("unknown tag {0:#04x}")]
    Tag(u8),
    /// Text is not UTF-8. Send such data as bytes.
    #[error("text is not UTF-8")]
    Utf8,
    /// A map key exceeds [`KEY_BYTES_MAX`]. Shorten it.
    #[error("a map key is longer than {KEY_BYTES_MAX} bytes")]
    KeyTooLong,
    /// Map entries, key numbers or element ids are not in strictly ascending order. Sort them, each once.
    #[error("entries are not in ascending order, each once")]
    Order,
    /// A float is NaN or infinite. Send null instead.
    #[error("a float is not finite")]
    NotFinite,
    /// More maps and lists inside one another than [`Limits::depth`]. Flatten the data or raise the limit.
    #[error("nested deeper than the limit of {limit}")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// More entries than a document of [`Limits::nodes`] can need. Send less at once or raise the limit.
    #[error("more entries than the node limit allows")]
    TooManyNodes,
    /// More keys than [`Limits::keys`]. Use fewer different keys or raise the limit.
    #[error("more than {limit} keys")]
    TooManyKeys {
        /// The limit.
        limit: usize,
    },
    /// A key number that the key table does not have, or a key that it has already.
    #[error("a key number is unknown, or a key is given twice")]
    KeyNumber,
    /// A piece of a list's order is empty, begins before the list or is longer than any list.
    #[error("a piece of a list's order is empty or out of range")]
    Piece,
    /// A decimal, a step or a table of steps is not as the format has it.
    #[error("a packed number is out of range")]
    Number,
    /// A remove that is not an entry of a map. Remove list elements with a splice.
    #[error("a remove stands outside of a map")]
    MisplacedRemove,
    /// Versions do not go up, or a snapshot is not a set from nothing.
    #[error("the header contradicts itself")]
    Header,
    /// Bytes are left over after the end.
    #[error("{0} bytes are left over")]
    Trailing(usize),
}

/// A cursor over untrusted bytes with budgets of values, of other entries and of depth.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    values: usize,
    entries: usize,
    depth: usize,
    depth_max: usize,
}

type Result<T> = std::result::Result<T, DecodeError>;

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8], limits: &Limits) -> Self {
        let (values, entries) = (limits.nodes, limits.entries());
        Self { rest: bytes, values, entries, depth: 0, depth_max: limits.depth_max() }
    }

    pub(super) fn u8(&mut self) -> Result<u8> {
        let (&first, rest) = self.rest.split_first().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(first)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (&first, rest) = self.rest.split_first_chunk().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(first)
    }

    pub(super) fn varint(&mut self) -> Result<u64> {
        varint::take(&mut self.rest).ok_or(DecodeError::Varint)
    }

    /// A number of things of which each takes a byte or more, and is charged to a budget when it is read.
    pub(super) fn count(&mut self) -> Result<usize> {
        let count = self.varint()?;
        self.bounded(count)
    }

    /// The same, of a number that was read as a part of another.
    pub(super) fn bounded(&self, count: u64) -> Result<usize> {
        let count = self.within(count)?;
        if count > self.values.max(self.entries) {
            return Err(DecodeError::TooManyNodes);
        }
        Ok(count)
    }

    /// A number of bytes, or of things of which each takes a byte or more.
    pub(super) fn length(&mut self) -> Result<usize> {
        let length = self.varint()?;
        self.within(length)
    }

    fn within(&self, length: u64) -> Result<usize> {
        usize::try_from(length).ok().filter(|&n| n <= self.rest.len()).ok_or(DecodeError::Truncated)
    }

    pub(super) fn bytes(&mut self) -> Result<&'a [u8]> {
        let length = self.length()?;
        self.take(length)
    }

    /// The next `length` bytes.
    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(bytes)
    }

    /// Says that `count` more things will be read, of which each takes a byte or more.
    pub(super) fn expect(&self, count: usize) -> Result<()> {
        if count <= self.rest.len() { Ok(()) } else { Err(DecodeError::Truncated) }
    }

    pub(super) fn str(&mut self) -> Result<&'a str> {
        std::str::from_utf8(self.bytes()?).map_err(|_| DecodeError::Utf8)
    }

    pub(super) fn key(&mut self) -> Result<&'a str> {
        let key = self.str()?;
        if key.len() > KEY_BYTES_MAX { Err(DecodeError::KeyTooLong) } else { Ok(key) }
    }

    /// Charges one value, before memory is spent on it.
    pub(super) fn charge_value(&mut self) -> Result<()> {
        self.values = self.values.checked_sub(1).ok_or(DecodeError::TooManyNodes)?;
        Ok(())
    }

    /// Charges one patch, change, list operation or segment.
    pub(super) fn charge(&mut self) -> Result<()> {
        self.entries = self.entries.checked_sub(1).ok_or(DecodeError::TooManyNodes)?;
        Ok(())
    }

    /// Goes into a container. Paired with [`leave`](Self::leave), except after an error, which ends the reading.
    pub(super) fn enter(&mut self) -> Result<()> {
        if self.depth == self.depth_max {
            return Err(DecodeError::TooDeep { limit: self.depth_max });
        }
        self.depth += 1;
        Ok(())
    }

    pub(super) fn leave(&mut self) {
        self.depth -= 1;
    }

    pub(super) fn finish(self) -> Result<()> {
        if self.rest.is_empty() { Ok(()) } else { Err(DecodeError::Trailing(self.rest.len())) }
    }
}
