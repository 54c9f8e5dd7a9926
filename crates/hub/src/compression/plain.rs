//! Blocks for those who take none.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use nyx_protocol::compress::Reference;
use nyx_protocol::pack::{UnpackError, Unpacker};
use nyx_protocol::wire::{Flags, HEADER_LEN, Header, Message, Messages};
use parking_lot::Mutex;

/// Unpacks a topic's blocks, and keeps the latest for the next subscriber that asks.
#[derive(Default)]
pub(crate) struct Plain(Mutex<Inside>);

#[derive(Default)]
struct Inside {
    unpacker: Unpacker,
    kept: VecDeque<Kept>,
    bytes: usize,
}

struct Kept {
    packed: Bytes,
    plain: Bytes,
}

/// Subscribers that follow ask for the same few.
const KEPT_MAX: usize = 16;
const KEPT_BYTES_MAX: usize = 256 * 1024;

impl Plain {
    /// The plain messages that `chunk`, an entry of the topic's ring, stands for: at most one message with a block, or any number without.
    pub(crate) fn of(&self, chunk: &Bytes, limit: usize) -> Result<Bytes, UnpackError> {
        let Some(message) = Messages::new(chunk).next().filter(|_| is_block(chunk)) else {
            return Ok(chunk.clone());
        };
        let mut inside = self.0.lock();
        let Inside { unpacker, kept, bytes } = &mut *inside;
        let same = |kept: &&Kept| kept.packed.as_ptr() == chunk.as_ptr() && kept.packed.len() == chunk.len();
        if let Some(kept) = kept.iter().find(same) {
            return Ok(kept.plain.clone());
        }
        let plain = open(unpacker, &message, limit)?;
        if plain.len() <= KEPT_BYTES_MAX {
            *bytes += plain.len();
            kept.push_back(Kept { packed: chunk.clone(), plain: plain.clone() });
            while (kept.len() > KEPT_MAX || *bytes > KEPT_BYTES_MAX)
                && let Some(oldest) = kept.pop_front()
            {
                *bytes -= oldest.plain.len();
            }
        }
        Ok(plain)
    }

    /// A message of a publisher that only the hub reads.
    pub(crate) fn once(&self, message: Bytes, limit: usize) -> Result<Bytes, UnpackError> {
        match Messages::new(&message).next().filter(|_| is_block(&message)) {
            Some(packed) => open(&mut self.0.lock().unpacker, &packed, limit),
            None => Ok(message),
        }
    }

    /// What [`of`](Self::of) says, from item `skip` on, for one that goes on in the middle.
    pub(crate) fn from(&self, chunk: &Bytes, skip: u32, limit: usize) -> Result<Bytes, UnpackError> {
        let plain = self.of(chunk, limit)?;
        let skipped: usize =
            Messages::new(&plain).take(skip as usize).map(|message| message.header.message_len()).sum();
        Ok(plain.slice(skipped..))
    }

    /// Bytes of memory, about.
    pub(crate) fn held_bytes(&self) -> usize {
        self.0.lock().bytes
    }
}

fn open(unpacker: &mut Unpacker, message: &Message<'_>, limit: usize) -> Result<Bytes, UnpackError> {
    let mut plain = BytesMut::new();
    unpacker.unpack(message, |_| Reference::None, limit, &mut plain)?;
    Ok(plain.freeze())
}

/// Whether the first message of `chunk` has a block. Such a message is an entry of its own.
pub(crate) fn is_block(chunk: &[u8]) -> bool {
    let header = chunk.first_chunk::<HEADER_LEN>().and_then(|header| Header::parse(header).ok());
    header.is_some_and(|header| header.flags.contains(Flags::BLOCK))
}
