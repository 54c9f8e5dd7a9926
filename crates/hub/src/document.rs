//! A state topic's document, and the deltas that several subscribers ask for.

use std::collections::HashMap;

use bytes::{BufMut, Bytes, BytesMut};
use nyx_protocol::state::{Document, Encoded, Limits, Patch, PatchError};
use nyx_protocol::wire::{Flags, HEADER_LEN, Header, Kind, codec};

/// Deltas kept for one version. Subscribers at other bases than these pay for their own encoding.
const CACHED_MAX: usize = 64;

/// Bytes of such deltas after which no more are kept: what is large is seldom asked for from many bases.
const CACHED_BYTES: usize = 1 << 20;

/// What a patch did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patched {
    Unchanged,
    Changed,
    /// It began a new epoch: no version that a reader has is of use any more.
    Renewed,
}

pub(crate) struct Shelf {
    document: Document,
    /// Messages that lead to the present version, by base.
    encoded: HashMap<Option<u64>, Bytes>,
    encoded_bytes: usize,
}

impl Shelf {
    pub(crate) fn new(epoch: u64, limits: Limits) -> Self {
        Self { document: Document::new(epoch, limits), encoded: HashMap::new(), encoded_bytes: 0 }
    }

    pub(crate) const fn document(&self) -> &Document {
        &self.document
    }

    /// Applies a publisher's patch.
    pub(crate) fn patch(&mut self, patch: &Patch) -> Result<Patched, PatchError> {
        let patched = match self.document.patch(patch) {
            Ok(false) => return Ok(Patched::Unchanged),
            Ok(true) => Patched::Changed,
            Err(PatchError::TooManyKeys) => {
                // Keys that are gone count until the epoch ends: if only they are too many, a new one begins.
                let mut renewed = self.document.renewed(random_epoch());
                renewed.patch(patch)?;
                self.document = renewed;
                Patched::Renewed
            }
            Err(error) => return Err(error),
        };
        self.encoded.clear();
        self.encoded_bytes = 0;
        Ok(patched)
    }

    /// The message that brings a subscriber from `base` (`None`: from nothing) to the present version. Encoded once per base.
    pub(crate) fn message_from(&mut self, base: Option<u64>, topic: u32) -> Bytes {
        if let Some(message) = self.encoded.get(&base) {
            return message.clone();
        }
        let mut message = BytesMut::new();
        message.put_bytes(0, HEADER_LEN);
        let is_snapshot = match base {
            Some(base) => self.document.delta_since(base, &mut message) == Encoded::Snapshot,
            None => {
                self.document.snapshot(&mut message);
                true
            }
        };
        let header = Header {
            flags: if is_snapshot { Flags::SNAPSHOT } else { Flags::NONE },
            codec: codec::STATE_DELTA,
            topic,
            sequence: self.document.version() as u32,
            length: (message.len() - HEADER_LEN) as u32,
            ..Header::data(Kind::State)
        };
        message[..HEADER_LEN].copy_from_slice(&header.to_bytes());
        let message = message.freeze();
        if self.encoded.len() < CACHED_MAX && self.encoded_bytes < CACHED_BYTES {
            self.encoded_bytes += message.len();
            self.encoded.insert(base, message.clone());
        }
        message
    }

    /// Bytes of memory, about.
    pub(crate) fn held_bytes(&self) -> usize {
        self.document.weight() + self.encoded_bytes
    }
}

/// A number that no other document has drawn, or hardly.
pub(crate) fn random_epoch() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0u8)
}
