//! A dictionary, and how it travels.

use std::sync::{Arc, OnceLock};

use bytes::{BufMut, Bytes};
use prost::encoding::{decode_varint, encode_varint};
use thiserror::Error;
use zstd::zstd_safe::{CDict, DDict};

use crate::compress::Level;

/// Which dictionary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name {
    /// Its topic's or publisher's number, as sender and receiver agree. Small ones take one byte in each block.
    pub id: u32,
    /// Counts up with each training.
    pub version: u32,
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "dictionary {} version {}", self.id, self.version)
    }
}

/// A zstd dictionary, ready for use. Clones share it; it can be used from many threads.
///
/// Holds its content twice and about 30 KiB of tables, and another 0.2 MiB once it has been compressed with.
#[derive(Clone)]
pub struct Dictionary(Arc<Inner>);

struct Inner {
    name: Name,
    content: Bytes,
    decoder: DDict<'static>,
    encoder: OnceLock<Option<CDict<'static>>>,
}

impl Dictionary {
    /// The largest dictionary that there can be. Twice what a topic's own usually has, and less than a control message takes.
    pub const BYTES_MAX: usize = 16 * 1024;

    /// A dictionary in zstd's format, as a trainer makes it. Its number in that format is set to 0, which means none: blocks name
    /// the dictionary themselves, in fewer bytes.
    ///
    /// # Errors
    /// When it is too long or zstd can't load it.
    pub fn new(name: Name, content: &[u8]) -> Result<Self, DictionaryError> {
        if content.len() > Self::BYTES_MAX {
            return Err(DictionaryError::TooLarge { bytes: content.len(), limit: Self::BYTES_MAX });
        }
        if content.len() < HEADER_LEN || !is_zstd_dictionary(content) {
            return Err(DictionaryError::Invalid);
        }
        let mut content = content.to_vec();
        content[MAGIC.len()..HEADER_LEN].fill(0);
        let decoder = DDict::try_create(&content).ok_or(DictionaryError::Invalid)?;
        Ok(Self(Arc::new(Inner { name, content: content.into(), decoder, encoder: OnceLock::new() })))
    }

    /// Its name.
    pub fn name(&self) -> Name {
        self.0.name
    }

    /// What it holds, in zstd's format.
    pub fn content(&self) -> &Bytes {
        &self.0.content
    }

    /// The message that hands it over: id and version as varints, CRC-32 of the content (4 bytes, big-endian), the content.
    pub fn to_message(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.0.content.len() + MESSAGE_HEAD_MAX);
        encode_varint(self.0.name.id.into(), &mut out);
        encode_varint(self.0.name.version.into(), &mut out);
        out.put_u32(crc32fast::hash(&self.0.content));
        out.put_slice(&self.0.content);
        out
    }

    /// Reads a message of [`to_message`](Self::to_message), of a dictionary of at most `limit` bytes.
    ///
    /// # Errors
    /// The peer erred; nothing larger than `limit` was allocated.
    pub fn from_message(message: &[u8], limit: usize) -> Result<Self, MessageError> {
        let mut rest = message;
        let mut number = || {
            let number = decode_varint(&mut rest).ok()?;
            u32::try_from(number).ok()
        };
        let name = Name {
            id: number().ok_or(MessageError::Truncated)?,
            version: number().ok_or(MessageError::Truncated)?,
        };
        let (&sum, content) = rest.split_first_chunk().ok_or(MessageError::Truncated)?;
        let limit = limit.min(Self::BYTES_MAX);
        if content.len() > limit {
            return Err(DictionaryError::TooLarge { bytes: content.len(), limit }.into());
        }
        if crc32fast::hash(content) != u32::from_be_bytes(sum) {
            return Err(MessageError::Sum);
        }
        Ok(Self::new(name, content)?)
    }

    /// Bytes of memory that it holds.
    pub fn held_bytes(&self) -> usize {
        let encoder = self.0.encoder.get().and_then(Option::as_ref).map_or(0, CDict::sizeof);
        size_of::<Inner>() + self.0.content.len() + self.0.decoder.sizeof() + encoder
    }

    /// `None` for a dictionary of a peer that can be decoded with, but not encoded.
    pub(crate) fn encoder(&self) -> Option<&CDict<'static>> {
        let create = || CDict::try_create(&self.0.content, Level::DEFAULT.get());
        self.0.encoder.get_or_init(create).as_ref()
    }

    pub(crate) fn decoder(&self) -> &DDict<'static> {
        &self.0.decoder
    }
}

impl std::fmt::Debug for Dictionary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dictionary")
            .field("name", &self.0.name)
            .field("bytes", &self.0.content.len())
            .finish_non_exhaustive()
    }
}

/// Whether zstd would take `content` for a dictionary with tables, and not for plain content.
pub(crate) fn is_zstd_dictionary(content: &[u8]) -> bool {
    content.starts_with(&MAGIC)
}

/// What a dictionary with tables begins with (RFC 8878, section 5). Its number follows.
const MAGIC: [u8; 4] = [0x37, 0xA4, 0x30, 0xEC];

const HEADER_LEN: usize = 8;

/// Two varints of 32 bits, and the sum.
const MESSAGE_HEAD_MAX: usize = 14;

/// Why bytes are no dictionary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DictionaryError {
    /// It is longer than the limit. Train a smaller one.
    #[error("a dictionary of {bytes} bytes is over the limit of {limit}")]
    TooLarge {
        /// Its length.
        bytes: usize,
        /// What is allowed.
        limit: usize,
    },
    /// It is not in zstd's format. Train one.
    #[error("zstd can't load the dictionary")]
    Invalid,
}

/// Why a message holds no dictionary. The peer erred.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MessageError {
    /// It ends early, or its name is too large. Send the whole message.
    #[error("a dictionary message is cut off")]
    Truncated,
    /// The content is not what the sender summed up. Send it again.
    #[error("a dictionary's checksum does not fit its content")]
    Sum,
    /// Its content is no dictionary.
    #[error(transparent)]
    Dictionary(#[from] DictionaryError),
}
