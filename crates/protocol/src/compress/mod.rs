//! Fewer bytes for a payload, by zstd with contexts that are kept.
//!
//! A [`Compressor`] turns a payload into a *block* by one of five encodings, and a [`Decompressor`] turns it back:
//!
//! | encoding | for |
//! | --- | --- |
//! | stored | what does not get smaller: images, random bytes. Never more than one byte longer than the payload |
//! | zstd at a [`Level`] | large text and documents |
//! | zstd with a [`dictionary`] | small records that look alike |
//! | linear prediction | sound, see [`linear`] |
//! | zstd with a prefix | an opaque payload of which the receiver has an earlier version, see [`reference`](mod@reference) |
//!
//! Who publishes compresses once, who relays passes blocks through, who receives decompresses. A receiver trusts
//! nothing: [`Block::parse`] reads what a block claims and refuses it before anything is allocated.
//!
//! ```
//! use nyx_protocol::compress::{Block, Compressor, Decompressor, Level, Method, Reference};
//!
//! let payload = br#"{"id":7,"name":"north gate","open":true,"name2":"north gate","open2":true}"#.repeat(20);
//! let mut compressor = Compressor::new();
//! let bytes = compressor.compress(&payload, Method::Level(Level::FAST)).to_vec();
//! assert!(bytes.len() * 10 < payload.len());
//!
//! let block = Block::parse(&bytes, 64 * 1024)?;
//! assert_eq!(block.content_len(), payload.len());
//! let mut content = Vec::new();
//! Decompressor::new().decompress(&block, Reference::None, &mut content)?;
//! assert_eq!(content, payload);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # A block
//!
//! A tag byte, what the encoding needs, and the body. Numbers are varints (unsigned LEB128) unless said otherwise.
//!
//! | tag | then |
//! | --- | --- |
//! | 0 | the payload |
//! | 1 | a frame |
//! | 2 | id and version of the dictionary, a frame |
//! | 3 | the version of the prefix, CRC-32 of the content (4 bytes, big-endian), a frame |
//! | 4 | sound, as [`linear`] says |
//!
//! Bit 7 of the tag asks the receiver to keep the content as a prefix for later blocks. With bit 6 the number of items follows the
//! tag, and the content is a [`batch`]. A frame is one zstd frame
//! (RFC 8878) without its magic number, with its content size, and without dictionary id and checksum; it ends with the block.

pub mod batch;
mod block;
mod compressor;
mod decompressor;
pub mod dictionary;
mod frame;
mod level;
pub mod linear;
pub mod reference;
pub mod sniff;

pub use block::{Block, Encoding, HEAD_LEN_MAX, ParseError, items};
pub use compressor::{Compressed, Compressor, Method};
pub use decompressor::{DecompressError, Decompressor, Reference};
pub use dictionary::Dictionary;
pub use level::{Level, LevelError};

/// The number that a zstd frame begins with elsewhere. In a block it would be four bytes that say nothing.
const MAGIC: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];
