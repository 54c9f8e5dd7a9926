//! A state topic's document, and the messages that several subscribers ask for.

use bytes::Bytes;
use nyx_protocol::state::{Cache, Document, Encoded, Limits, Patch, PatchError};
use nyx_protocol::wire::{Flags, HEADER_LEN, Header, Kind, codec};

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
    messages: Cache,
}

impl Shelf {
    pub(crate) fn new(epoch: u64, limits: Limits) -> Self {
        Self { document: Document::new(epoch, limits), messages: Cache::default() }
    }

    pub(crate) const fn document(&self) -> &Document {
        &self.document
    }

    /// Applies a publisher's patch.
    pub(crate) fn patch(&mut self, patch: &Patch) -> Result<Patched, PatchError> {
        match self.document.patch(patch) {
            Ok(false) => Ok(Patched::Unchanged),
            Ok(true) => Ok(Patched::Changed),
            Err(PatchError::TooManyKeys) => {
                // Keys that are gone count until the epoch ends: if only they are too many, a new one begins.
                let mut renewed = self.document.renewed(random_epoch());
                renewed.patch(patch)?;
                self.document = renewed;
                Ok(Patched::Renewed)
            }
            Err(error) => Err(error),
        }
    }

    /// The message that brings a subscriber from `base` (`None`: from nothing) to the present version. Encoded once per base.
    pub(crate) fn message_from(&mut self, base: Option<u64>, topic: u32) -> Bytes {
        let Self { document, messages } = self;
        let sequence = document.version() as u32;
        let seal = |encoded, message: &mut [u8]| {
            let header = Header {
                flags: if encoded == Encoded::Snapshot { Flags::SNAPSHOT } else { Flags::NONE },
                codec: codec::STATE_DELTA,
                topic,
                sequence,
                length: (message.len() - HEADER_LEN) as u32,
                ..Header::data(Kind::State)
            };
            message[..HEADER_LEN].copy_from_slice(&header.to_bytes());
        };
        // Nobody has version 0: from there it is a snapshot.
        messages.message_since(document, base.unwrap_or(0), HEADER_LEN, seal).1
    }

    /// Bytes of memory, about.
    pub(crate) fn held_bytes(&self) -> usize {
        self.document.weight() + self.messages.held_bytes()
    }
}

/// A number that no other document has drawn, or hardly.
pub(crate) fn random_epoch() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0u8)
}
