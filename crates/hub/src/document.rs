//! A state topic's document, and the messages that several subscribers ask for.

use bytes::Bytes;
use nyx_core::Instant;
use nyx_protocol::state::{Cache, Document, Encoded, Limits, Patch, PatchError};
use nyx_protocol::wire::{Flags, HEADER_LEN, Header, Kind, codec};
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, RandomState};

use crate::compression::{Encoder, Key, Taker};

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
    /// Once there is a subscriber that takes blocks.
    encoder: Option<Box<Encoder>>,
}

impl Shelf {
    pub(crate) fn new(epoch: u64, limits: Limits) -> Self {
        Self { document: Document::new(epoch, limits), messages: Cache::default(), encoder: None }
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
                self.document = self.document.renewed_by(random_epoch(), patch)?;
                Ok(Patched::Renewed)
            }
            Err(error) => Err(error),
        }
    }

    /// The message that brings a subscriber from `base` (`None`: from nothing) to the present version. Encoded once per base.
    pub(crate) fn message_from(&mut self, base: Option<u64>, topic: u32) -> Bytes {
        let Self { document, messages, .. } = self;
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

    /// The same as a block, where that is best for `taker`. `make` makes the encoder when it is first needed.
    pub(crate) fn block_from(
        &mut self,
        now: Instant,
        base: Option<u64>,
        topic: u32,
        taker: &mut Taker,
        make: impl FnOnce() -> Encoder,
    ) -> Bytes {
        let plain = self.message_from(base, topic);
        let (epoch, version) = (self.document.epoch(), self.document.version());
        let key = Key { epoch, version, base: base.unwrap_or(0) };
        self.encoder.get_or_insert_with(|| Box::new(make())).encode(now, key, plain, taker)
    }

    pub(crate) const fn encoder(&self) -> Option<&Encoder> {
        match &self.encoder {
            Some(encoder) => Some(encoder),
            None => None,
        }
    }

    pub(crate) fn encoder_mut(&mut self) -> Option<&mut Encoder> {
        self.encoder.as_deref_mut()
    }

    /// Bytes of memory, about.
    pub(crate) fn held_bytes(&self) -> usize {
        let encoder = self.encoder.as_ref().map_or(0, |encoder| encoder.held_bytes());
        self.document.weight() + self.messages.held_bytes() + encoder
    }
}

/// A number that no other document has drawn, or hardly.
pub(crate) fn random_epoch() -> u64 {
    RandomState::new().hash_one(0u8)
}

/// The epoch of topic `id` where `seed` takes the place of chance.
pub(crate) fn seeded_epoch(seed: u64, id: u32) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one((seed, id))
}
