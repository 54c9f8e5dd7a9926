//! What a fragment tells of itself.

use thiserror::Error;

/// The size of a [`Header`].
pub const HEADER_BYTES: usize = 16;

/// The first bytes of a fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Counts the datagrams of a sender.
    pub sequence: u32,
    /// Counts the items of a sender.
    pub item: u32,
    /// Bytes of the whole item.
    pub total: u32,
    /// Which fragment of the item this is, from 0.
    pub index: u16,
    /// How many there are.
    pub count: u16,
}

impl Header {
    /// Bytes of each fragment but the last.
    pub const fn piece(&self) -> usize {
        (self.total as usize).div_ceil(self.count as usize)
    }

    /// The header as it travels.
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..4].copy_from_slice(&self.sequence.to_be_bytes());
        bytes[4..8].copy_from_slice(&self.item.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.total.to_be_bytes());
        bytes[12..14].copy_from_slice(&self.index.to_be_bytes());
        bytes[14..].copy_from_slice(&self.count.to_be_bytes());
        bytes
    }

    /// The header of a datagram, and its bytes.
    ///
    /// # Errors
    /// What the sender did wrong, or somebody else who sends to this port.
    pub fn decode(datagram: &[u8]) -> Result<(Self, &[u8]), HeaderError> {
        let (head, bytes) = datagram.split_first_chunk::<HEADER_BYTES>().ok_or(HeaderError::Short)?;
        let word = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let half = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
        let header =
            Self { sequence: word(0), item: word(4), total: word(8), index: half(12), count: half(14) };
        if header.index >= header.count {
            return Err(HeaderError::Index { index: header.index, count: header.count });
        }
        let expected =
            header.length().ok_or(HeaderError::Count { total: header.total, count: header.count })?;
        if bytes.len() != expected {
            return Err(HeaderError::Length { expected, length: bytes.len() });
        }
        Ok((header, bytes))
    }

    /// Bytes of this fragment; `None` where the item can't be cut into so many.
    fn length(&self) -> Option<usize> {
        let (total, piece) = (self.total as usize, self.piece());
        let last = usize::from(self.count) - 1;
        let before_last = piece * last;
        // The last one has something, too, unless the item is empty, which is one fragment.
        if last > 0 && before_last >= total {
            return None;
        }
        Some(if usize::from(self.index) < last { piece } else { total - before_last })
    }
}

/// Why a datagram is no fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HeaderError {
    /// It is shorter than a header.
    #[error("the sender's datagram is shorter than the header of a fragment (16 bytes)")]
    Short,
    /// It is not among those that it says there are.
    #[error("the sender numbers a fragment {index}, and says that there are {count}")]
    Index {
        /// Its number.
        index: u16,
        /// How many there are.
        count: u16,
    },
    /// An item of this size can't be cut into so many pieces.
    #[error("the sender cuts {total} bytes into {count} fragments, of which some would be empty")]
    Count {
        /// Bytes of the item.
        total: u32,
        /// Fragments.
        count: u16,
    },
    /// It does not have the bytes that its place has.
    #[error("the sender's fragment has {length} bytes, and its place has {expected}")]
    Length {
        /// Bytes of the place.
        expected: usize,
        /// Bytes that came.
        length: usize,
    },
}
