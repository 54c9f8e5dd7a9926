//! A block's head: which encoding, and what it refers to.

use bytes::BufMut;
use prost::encoding::{decode_varint, encode_varint};
use thiserror::Error;

use super::dictionary::Name;
use super::frame;

/// The most bytes that stand in front of a block's body.
pub const HEAD_LEN_MAX: usize = 15;

/// Bytes in front of a stored payload.
pub(super) const STORED_HEAD_LEN: usize = 1;

const STORED: u8 = 0;
const ZSTD: u8 = 1;
const DICTIONARY: u8 = 2;
const PREFIX: u8 = 3;
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
}

/// A block whose claims have been checked against a limit. Nothing of it has been decoded.
#[derive(Clone, Copy, Debug)]
pub struct Block<'a> {
    encoding: Encoding,
    keep: bool,
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
        let mut sum = 0;
        let encoding = match tag & !KEEP {
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
            other => return Err(ParseError::Encoding(other)),
        };
        let content_len = match encoding {
            Encoding::Stored if rest.len() > limit => {
                return Err(ParseError::TooLarge { size: rest.len() as u64, limit });
            }
            Encoding::Stored => rest.len(),
            _ => frame::content_size(rest, limit)?,
        };
        Ok(Self { encoding, keep: tag & KEEP != 0, content_len, sum, body: rest })
    }

    /// How it is encoded, and so what [`Reference`](super::Reference) it needs.
    pub const fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Whether its content is to be kept as a prefix for later blocks, see [`reference`](super::reference).
    pub const fn keep(&self) -> bool {
        self.keep
    }

    /// Bytes of the content, which are no more than the limit it was parsed with.
    pub const fn content_len(&self) -> usize {
        self.content_len
    }
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
        }
        let len = (HEAD_LEN_MAX - out.len()) as u8;
        Self { bytes, len }
    }

    pub(super) const fn mark_keep(&mut self) {
        self.bytes[0] |= KEEP;
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
}
