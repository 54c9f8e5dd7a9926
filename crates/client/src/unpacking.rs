//! Blocks on a connection: the dictionaries that the hub handed over, and plain messages out of packed ones.
//!
//! What comes is unpacked once, before it is handed to subscriptions: so dictionaries come and go in the order of the stream, and
//! several subscriptions share what was unpacked. What is unpacked and not consumed is bounded like what is received (see `acks`).

use std::collections::HashMap;

use bytes::{Bytes, BytesMut};
use nyx_protocol::compress::dictionary::{InsertError, Name, Store};
use nyx_protocol::compress::{Block, Dictionary, Encoding, Reference, reference};
use nyx_protocol::control;
use nyx_protocol::pack::{UnpackError, Unpacker};
use nyx_protocol::wire::{HEADER_LEN, Messages};

/// What one connection holds to read blocks with.
#[derive(Debug)]
pub(crate) struct Unpacking {
    dictionaries: Store,
    /// Contents that later blocks may refer to, by topic.
    prefixes: HashMap<u32, reference::Receiver>,
    unpacker: Unpacker,
}

/// Dictionaries at a time: as many topics as a game or a dashboard has documents. Each takes some 80 KiB.
const DICTIONARIES_MAX: usize = 64;

/// Topics of which contents are kept, and bytes of each of the two contents: 16 MiB in all.
const PREFIXES_MAX: usize = 8;
const PREFIX_BYTES_MAX: usize = 1 << 20;

impl Default for Unpacking {
    fn default() -> Self {
        Self {
            dictionaries: Store::new(DICTIONARIES_MAX, Dictionary::BYTES_MAX),
            prefixes: HashMap::new(),
            unpacker: Unpacker::new(),
        }
    }
}

impl Unpacking {
    /// What the hub is told.
    pub(crate) const fn blocks() -> control::Blocks {
        control::Blocks {
            dictionaries: DICTIONARIES_MAX as u32,
            dictionary_bytes: Dictionary::BYTES_MAX as u32,
            prefixes: PREFIXES_MAX as u32,
            prefix_bytes: PREFIX_BYTES_MAX as u32,
        }
    }

    pub(crate) fn insert(&mut self, dictionary: &control::Dictionary) -> Result<(), InsertError> {
        self.dictionaries.insert(&dictionary.message).map(drop)
    }

    pub(crate) fn retire(&mut self, retire: &control::Retire) {
        self.dictionaries.retire(Name { id: retire.id, version: retire.version });
    }

    /// The hub was asked to begin a topic anew.
    pub(crate) fn forget(&mut self, topic: u32) {
        self.prefixes.remove(&topic);
    }

    /// The plain messages that the message in `packed` stands for.
    pub(crate) fn unpack(&mut self, packed: &Bytes, limit: usize) -> Result<Bytes, UnpackError> {
        let Self { dictionaries, prefixes, unpacker } = self;
        let Some(message) = Messages::new(packed).next() else { return Ok(Bytes::new()) };
        let topic = message.header.topic;
        let mut plain = BytesMut::new();
        let kept = prefixes.get(&topic);
        let unpacked =
            unpacker.unpack(&message, |block| find(dictionaries, kept, block), limit, &mut plain)?;
        let plain = plain.freeze();
        // Whoever asks to keep more than it was told fails with the block that needs it.
        if unpacked.keep && (prefixes.contains_key(&topic) || prefixes.len() < PREFIXES_MAX) {
            let stamp = message.unix_micros.map_or(0, |_| nyx_protocol::wire::TIMESTAMP_LEN);
            let content = plain.slice(HEADER_LEN + stamp..);
            let receiver =
                prefixes.entry(topic).or_insert_with(|| reference::Receiver::new(PREFIX_BYTES_MAX));
            let _ = receiver.keep(message.header.sequence.into(), &content);
        }
        Ok(plain)
    }
}

fn find<'a>(
    dictionaries: &'a Store,
    prefixes: Option<&'a reference::Receiver>,
    block: &Block<'_>,
) -> Reference<'a> {
    match block.encoding() {
        Encoding::Dictionary(_) => dictionaries.reference(block),
        Encoding::Prefix(_) => prefixes.map_or(Reference::None, |receiver| receiver.reference(block)),
        Encoding::Stored | Encoding::Zstd | Encoding::Linear => Reference::None,
    }
}
