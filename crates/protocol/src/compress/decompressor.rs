//! Blocks in, payloads out.

use thiserror::Error;
use zstd::zstd_safe::{DCtx, DParameter, FrameFormat};

use super::dictionary::{Dictionary, Name, is_zstd_dictionary};
use super::{Block, Encoding, linear};

/// What a block may refer to, as the receiver holds it.
#[derive(Clone, Copy, Debug)]
pub enum Reference<'a> {
    /// Nothing, or nothing is held.
    None,
    /// The dictionary that [`Encoding::Dictionary`] names.
    Dictionary(&'a Dictionary),
    /// An earlier content, for [`Encoding::Prefix`].
    Prefix {
        /// Its version.
        version: u64,
        /// Its bytes.
        content: &'a [u8],
    },
}

/// Decompresses blocks, with one zstd context of about 100 KiB that is kept. It allocates nothing else: no
/// window, because content is written where it stays.
pub struct Decompressor {
    context: DCtx<'static>,
}

impl Decompressor {
    /// A decompressor.
    pub fn new() -> Self {
        let mut context = DCtx::create();
        // Setting a known parameter of a fresh context does not fail; if it did, every frame would be refused as corrupt.
        let set = context.set_parameter(DParameter::Format(FrameFormat::Magicless));
        debug_assert!(set.is_ok());
        Self { context }
    }

    /// Replaces what is in `out` by the content of `block`. `out` grows to [`Block::content_len`] bytes and no further.
    ///
    /// # Errors
    /// Says who erred; `out` is empty then.
    pub fn decompress(
        &mut self,
        block: &Block<'_>,
        reference: Reference<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), DecompressError> {
        out.clear();
        let outcome = self.fill(block, reference, out);
        if outcome.is_err() {
            out.clear();
        }
        outcome
    }

    fn fill(
        &mut self,
        block: &Block<'_>,
        reference: Reference<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), DecompressError> {
        let context = &mut self.context;
        let decoded = match (block.encoding(), reference) {
            (Encoding::Stored, _) => {
                out.reserve_exact(block.body.len());
                out.extend_from_slice(block.body);
                return Ok(());
            }
            (Encoding::Linear, _) => {
                out.reserve_exact(block.content_len());
                return linear::decode(block.body, out).ok_or(DecompressError::Corrupt);
            }
            (Encoding::Zstd, _) => {
                out.reserve_exact(block.content_len());
                context.decompress(out, block.body)
            }
            (Encoding::Dictionary(name), Reference::Dictionary(dictionary)) if dictionary.name() == name => {
                out.reserve_exact(block.content_len());
                context.decompress_using_ddict(out, block.body, dictionary.decoder())
            }
            (Encoding::Dictionary(name), _) => return Err(DecompressError::UnknownDictionary(name)),
            (Encoding::Prefix(base), Reference::Prefix { version, content })
                if version == base && !is_zstd_dictionary(content) =>
            {
                out.reserve_exact(block.content_len());
                context.decompress_using_dict(out, block.body, content)
            }
            (Encoding::Prefix(base), _) => return Err(DecompressError::UnknownPrefix(base)),
        };
        if decoded != Ok(block.content_len()) {
            return Err(DecompressError::Corrupt);
        }
        if matches!(block.encoding(), Encoding::Prefix(_)) && crc32fast::hash(out) != block.sum {
            return Err(DecompressError::OtherPrefix);
        }
        Ok(())
    }
}

impl Default for Decompressor {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Decompressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decompressor").field("held_bytes", &self.context.sizeof()).finish_non_exhaustive()
    }
}

/// Why a block could not be decompressed. Nothing of its content was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecompressError {
    /// The block refers to a dictionary that was not given: the sender did not send it first, or has retired it. It is to start
    /// afresh without one.
    #[error("a block needs {0}, which is not here")]
    UnknownDictionary(Name),
    /// The block refers to a version that was not given. The sender is to send the payload without prefix.
    #[error("a block needs version {0} as prefix, which is not here")]
    UnknownPrefix(u64),
    /// The prefix given has other content than the sender's. It is to send the payload without prefix.
    #[error("a block was made with another content of its prefix")]
    OtherPrefix,
    /// The frame does not decode to what it claims. The sender erred.
    #[error("a block's content is corrupt")]
    Corrupt,
}
