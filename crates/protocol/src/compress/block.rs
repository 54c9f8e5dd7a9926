//! A block's head: which encoding, and what it refers to.

use bytes::BufMut;
use prost::encoding::{decode_varint, encode_varint};
use thiserror::Error;

use super::dictionary::Name;
use super::{batch, frame, linear};

/// The most bytes that stand in front of a block's body.
pub const HEAD_LEN_MAX: usize = 17;

/// Bytes in front of a stored payload.
pub(super) const STORED_HEAD_LEN: usize = 1;

const STORED: u8 = 0;
const ZSTD: u8 = 1;
const DICTIONARY: u8 = 2;
const PREFIX: u8 = 3;
const LINEAR: u8 = 4;
const BATCH: u8 = 0x40;
const KEEP: u8 = 0x80;

/// How a block's body is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// The payload itself.
    Stored,
    /// zstd, alone.
    Zstd,
    /// zstd with this dictionary.
    Dictionary(Name),
    /// zstd with this version of the payload as prefix.
    Prefix(u64),
    /// Sound, by [linear prediction](super::linear).
    Linear,
}

/// A block whose claims have been checked against a limit. Nothing of it has been decoded.
#[derive(Clone, Copy, Debug)]
pub struct Block<'a> {
    encoding: Encoding,
    keep: bool,
    items: Option<u32>,
    content_len: usize,
    pub(super) sum: u32,
    pub(super) body: &'a [u8],
}

impl<'a> Block<'a> {
    /// Reads the head of a block and of the frame in it. Takes time linear in the number of zstd's blocks of up to 128 KiB, and no memory.
    ///
    /// # Errors
    /// The peer erred: the bytes are no block, or its content would exceed `limit` bytes.
    pub fn parse(bytes: &'a [u8], limit: usize) -> Result<Self, ParseError> {
        let (&tag, mut rest) = bytes.split_first().ok_or(ParseError::Truncated)?;
        let items = if tag & BATCH == 0 { None } else { Some(count(&mut rest)?) };
        let mut sum = 0;
        let encoding = match tag & !(KEEP | BATCH) {
            STORED => Encoding::Stored,
            ZSTD => Encoding::Zstd,
            DICTIONARY => Encoding::Dictionary(Name { id: number(&mut rest)?, version: number(&mut rest)? }),
            PREFIX => {
                let base = decode_varint(&mut rest).map_err(|_| ParseError::Number)?;
                let (&crc, after) = rest.split_first_chunk().ok_or(ParseError::Truncated)?;
                sum = u32::from_be_bytes(crc);
                rest = after;
                Encoding::Prefix(base)
            }
            // Sound is no batch of items.
            LINEAR if items.is_some() => return Err(ParseError::Items),
            LINEAR => Encoding::Linear,
            other => return Err(ParseError::Encoding(other)),
        };
        let content_len = match encoding {
            Encoding::Stored if rest.len() > limit => {
                return Err(ParseError::TooLarge { size: rest.len() as u64, limit });
            }
            Encoding::Stored => rest.len(),
            Encoding::Linear => linear::content_len(rest, limit)?,
            _ => frame::content_size(rest, limit)?,
        };
        if items.is_some_and(|items| items as usize > content_len) {
            return Err(ParseError::Items);
        }
        Ok(Self { encoding, keep: tag & KEEP != 0, items, content_len, sum, body: rest })
    }

    /// How it is encoded, and so what [`Reference`](super::Reference) it needs.
    pub const fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Whether its content is to be kept as a prefix for later blocks, see [`reference`](super::reference).
    pub const fn keep(&self) -> bool {
        self.keep
    }

    /// How many items its content has, if it is a [`batch`].
    pub const fn items(&self) -> Option<u32> {
        self.items
    }

    /// Bytes of the content, which are no more than the limit it was parsed with.
    pub const fn content_len(&self) -> usize {
        self.content_len
    }
}

/// How many items a block says that it has, from its first bytes alone: 1 unless it is a [`batch`], and for what is no block. O(1).
pub fn items(block: &[u8]) -> u32 {
    match block.split_first() {
        Some((tag, mut rest)) if tag & BATCH != 0 => count(&mut rest).unwrap_or(1),
        _ => 1,
    }
}

fn count(rest: &mut &[u8]) -> Result<u32, ParseError> {
    let items = number(rest)?;
    if (1..=batch::ITEMS_MAX).contains(&items) { Ok(items) } else { Err(ParseError::Items) }
}

fn number(rest: &mut &[u8]) -> Result<u32, ParseError> {
    let number = decode_varint(rest).map_err(|_| ParseError::Number)?;
    u32::try_from(number).map_err(|_| ParseError::Number)
}

/// A head that is being written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    bytes: [u8; HEAD_LEN_MAX],
    len: u8,
}

impl Head {
    pub(super) fn new(encoding: Encoding, sum: u32) -> Self {
        let mut bytes = [0; HEAD_LEN_MAX];
        let mut out = &mut bytes[..];
        match encoding {
            Encoding::Stored => out.put_u8(STORED),
            Encoding::Zstd => out.put_u8(ZSTD),
            Encoding::Dictionary(name) => {
                out.put_u8(DICTIONARY);
                encode_varint(name.id.into(), &mut out);
                encode_varint(name.version.into(), &mut out);
            }
            Encoding::Prefix(base) => {
                out.put_u8(PREFIX);
                encode_varint(base, &mut out);
                out.put_u32(sum);
            }
            Encoding::Linear => out.put_u8(LINEAR),
        }
        let len = (HEAD_LEN_MAX - out.len()) as u8;
        Self { bytes, len }
    }

    pub(super) const fn mark_keep(&mut self) {
        self.bytes[0] |= KEEP;
    }

    /// The content is a batch of so many items, at most [`batch::ITEMS_MAX`].
    pub(super) fn mark_batch(&mut self, items: u32) {
        let old = *self;
        self.bytes[0] |= BATCH;
        let mut out = &mut self.bytes[1..];
        encode_varint(items.into(), &mut out);
        out.put_slice(&old.as_slice()[1..]);
        self.len = (HEAD_LEN_MAX - out.len()) as u8;
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len.into()]
    }
}

/// Why bytes are no block. Whoever sent them erred; nothing was allocated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParseError {
    /// The bytes end before what they announce. Send the whole block.
    #[error("a block is cut off")]
    Truncated,
    /// The tag names no encoding. Speak version 1 of the protocol.
    #[error("block encoding {0} is unknown")]
    Encoding(u8),
    /// A number is cut off or too large.
    #[error("a number in a block's head is cut off or too large")]
    Number,
    /// A batch says that it has no item, more than [`batch::ITEMS_MAX`], or more than its content can hold.
    #[error("a block says that it has a number of items that it can't have")]
    Items,
    /// The content would be larger than the receiver takes. Send less at once, or raise the limit.
    #[error("a block of {size} bytes of content is over the limit of {limit}")]
    TooLarge {
        /// Bytes that the block claims.
        size: u64,
        /// What the receiver takes.
        limit: usize,
    },
    /// The frame is not of the shape that a block may have: write one zstd frame with its content size, and
    /// without dictionary id and checksum.
    #[error("a block's zstd frame is refused: {0}")]
    Frame(&'static str),
    /// What a block says of its sound can't be: keep to section 8 of the protocol.
    #[error("a block of sound is refused for {0}")]
    Sound(&'static str),
}
