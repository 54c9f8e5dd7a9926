//! Which earlier version of a payload may serve as prefix, as both ends agree without a word more than acknowledgements.
//!
//! The sender marks a block with [`keep`](super::Compressed::keep). The receiver keeps the contents of the last two marked
//! blocks, and nothing else. When the sender learns that the marked one has arrived, that becomes its base, and only then it marks the
//! next. So its base is always one of the last two marked: the receiver has it, and each end holds two payloads at most.
//!
//! This is for one sender and one receiver on an ordered stream in which no block is lost or replaced. After a
//! reconnect both start anew.
//!
//! ```
//! use bytes::Bytes;
//! use nyx_protocol::compress::{Block, Compressor, Decompressor, Encoding, Level, Method, reference};
//!
//! let (mut sender, mut receiver) = (reference::Sender::new(1 << 20), reference::Receiver::new(1 << 20));
//! let (mut compressor, mut decompressor) = (Compressor::new(), Decompressor::new());
//! let mut last = Encoding::Stored;
//! for version in 1..=3 {
//!     let payload = Bytes::from(format!("version {version} of a long and winding text"));
//!     let keep = sender.marks(version, &payload);
//!     let method = sender.method(Level::FAST).unwrap_or(Method::Level(Level::FAST));
//!     let compressed = compressor.compress(&payload, method);
//!     let bytes = if keep { compressed.keep().to_vec() } else { compressed.to_vec() };
//!
//!     let block = Block::parse(&bytes, 1 << 20)?;
//!     let mut content = Vec::new();
//!     decompressor.decompress(&block, receiver.reference(&block), &mut content)?;
//!     let content = Bytes::from(content);
//!     assert_eq!(content, payload);
//!     receiver.handle_block(version, &block, &content)?;
//!     sender.handle_ack(version);
//!     last = block.encoding();
//! }
//! assert_eq!(last, Encoding::Prefix(2));
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```

use bytes::Bytes;
use thiserror::Error;

use super::{Block, Encoding, Level, Method, Reference};

#[derive(Clone, Debug)]
struct Kept {
    version: u64,
    content: Bytes,
}

/// The sender's side.
#[derive(Debug)]
pub struct Sender {
    bytes_max: usize,
    /// What the receiver is known to have.
    base: Option<Kept>,
    /// What it was asked to keep, and is not known to have yet.
    marked: Option<Kept>,
}

impl Sender {
    /// Marks no payload of more than `bytes_max` bytes, which is to be at most the receiver's.
    pub const fn new(bytes_max: usize) -> Self {
        Self { bytes_max, base: None, marked: None }
    }

    /// Whether the block of this payload is to be marked. Call it once for each payload, in order.
    pub fn marks(&mut self, version: u64, payload: &Bytes) -> bool {
        if self.marked.is_some() || payload.len() > self.bytes_max {
            return false;
        }
        self.marked = Some(Kept { version, content: payload.clone() });
        true
    }

    /// The base, as a method; `None` while there is none.
    pub fn method(&self, level: Level) -> Option<Method<'_>> {
        let base = self.base.as_ref()?;
        Some(Method::Prefix { base: base.version, prefix: &base.content, level })
    }

    /// All up to this version has arrived.
    pub fn handle_ack(&mut self, version: u64) {
        if let Some(arrived) = self.marked.take_if(|marked| marked.version <= version) {
            self.base = Some(arrived);
        }
    }

    /// The stream begins anew: the receiver has nothing.
    pub fn reset(&mut self) {
        (self.base, self.marked) = (None, None);
    }
}

/// The receiver's side.
#[derive(Debug)]
pub struct Receiver {
    bytes_max: usize,
    /// The older one first.
    kept: [Option<Kept>; 2],
}

impl Receiver {
    /// Holds two contents of at most `bytes_max` bytes each.
    pub const fn new(bytes_max: usize) -> Self {
        Self { bytes_max, kept: [None, None] }
    }

    /// What `block` refers to, if it is here; else [`Reference::None`], with which decompression says what is missing.
    pub fn reference(&self, block: &Block<'_>) -> Reference<'_> {
        let Encoding::Prefix(version) = block.encoding() else { return Reference::None };
        let held = self.kept.iter().flatten().find(|kept| kept.version == version);
        held.map_or(Reference::None, |kept| Reference::Prefix { version, content: &kept.content })
    }

    /// A block was decompressed to `content`, which is this version of the payload.
    ///
    /// # Errors
    /// When it is marked and too large: the sender erred, and nothing is kept of it.
    pub fn handle_block(
        &mut self,
        version: u64,
        block: &Block<'_>,
        content: &Bytes,
    ) -> Result<(), KeepError> {
        if block.keep() { self.keep(version, content) } else { Ok(()) }
    }

    /// The content of a marked block, for those who have looked at the mark themselves.
    ///
    /// # Errors
    /// As [`handle_block`](Self::handle_block).
    pub fn keep(&mut self, version: u64, content: &Bytes) -> Result<(), KeepError> {
        if content.len() > self.bytes_max {
            return Err(KeepError { bytes: content.len(), limit: self.bytes_max });
        }
        self.kept.swap(0, 1);
        self.kept[1] = Some(Kept { version, content: content.clone() });
        Ok(())
    }

    /// The stream begins anew.
    pub fn reset(&mut self) {
        self.kept = [None, None];
    }
}

/// A sender asked to keep more than the receiver holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a payload of {bytes} bytes was to be kept as prefix, over the limit of {limit}: mark smaller ones")]
pub struct KeepError {
    /// What it asked for.
    pub bytes: usize,
    /// What is held at most.
    pub limit: usize,
}
