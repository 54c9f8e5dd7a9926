//! Messages with blocks in, plain messages out.

use bytes::BytesMut;
use thiserror::Error;

use crate::compress::batch::{self, BatchError};
use crate::compress::{Block, DecompressError, Decompressor, Encoding, ParseError, Reference};
use crate::wire::{self, Flags, Header, Message, TIMESTAMP_LEN};

/// Unpacks messages, with one [`Decompressor`] that is kept.
#[derive(Debug, Default)]
pub struct Unpacker {
    decompressor: Decompressor,
    content: Vec<u8>,
}

/// What a message with a block was made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unpacked {
    /// Plain messages that were appended.
    pub count: u32,
    /// Whether the sender asks to keep the content: the payload of the one message that was appended.
    pub keep: bool,
}

impl Unpacker {
    /// An unpacker that has done nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends the plain messages that `message`, which has a block, stands for. `limit` bounds the payload of each, and so the memory that is
    /// taken; `reference` is asked for what the block refers to.
    ///
    /// # Errors
    /// Whoever made the block erred. Nothing was appended.
    pub fn unpack<'a>(
        &mut self,
        message: &Message<'_>,
        reference: impl FnOnce(&Block<'_>) -> Reference<'a>,
        limit: usize,
        out: &mut BytesMut,
    ) -> Result<Unpacked, UnpackError> {
        let block = parse(message, limit)?;
        self.decompressor.decompress(&block, reference(&block), &mut self.content)?;
        // A small content does not keep the memory of a large one for ever.
        let content = std::mem::take(&mut self.content);
        let outcome = append(message, &block, &content, out);
        if content.capacity() <= KEPT_MAX {
            self.content = content;
        }
        outcome
    }
}

/// Memory of contents that is kept for the next.
const KEPT_MAX: usize = 256 * 1024;

fn append(
    message: &Message<'_>,
    block: &Block<'_>,
    content: &[u8],
    out: &mut BytesMut,
) -> Result<Unpacked, UnpackError> {
    let header = Header { flags: message.header.flags.without(Flags::BLOCK), ..message.header };
    let Some(items) = block.items() else {
        put(out, header, message.unix_micros, content);
        return Ok(Unpacked { count: 1, keep: block.keep() });
    };
    let before = out.len();
    for (at, item) in (0..).zip(batch::read(content, items)) {
        match item {
            Ok(item) => {
                let sequence = header.sequence.wrapping_add(at);
                put(out, Header { sequence, ..header }, item.unix_micros, item.payload);
            }
            Err(error) => {
                out.truncate(before);
                return Err(error.into());
            }
        }
    }
    Ok(Unpacked { count: items, keep: false })
}

fn put(out: &mut BytesMut, header: Header, unix_micros: Option<u64>, payload: &[u8]) {
    let header = Header { flags: header.flags.without(Flags::TIMESTAMP), ..header };
    match unix_micros {
        Some(micros) => wire::put_stamped(out, header, micros, payload),
        None => wire::put_message(out, header, payload),
    }
}

fn parse<'a>(message: &Message<'a>, limit: usize) -> Result<Block<'a>, UnpackError> {
    let stamp = message.unix_micros.map_or(0, |_| TIMESTAMP_LEN);
    let block = Block::parse(message.payload, limit.saturating_sub(stamp))?;
    if block.items().is_some() && (stamp > 0 || block.keep()) {
        return Err(UnpackError::Batch(BatchError));
    }
    Ok(block)
}

/// Checks what a publisher's block claims, without opening it: that it is whole, that its content is within `limit`, and that it refers
/// to nothing, as a relay hands it to receivers who hold different things. Takes no memory. Returns the bytes of its content.
///
/// # Errors
/// The publisher erred.
pub fn check(message: &Message<'_>, limit: usize) -> Result<usize, UnpackError> {
    let block = parse(message, limit)?;
    match block.encoding() {
        Encoding::Stored | Encoding::Zstd | Encoding::Linear if !block.keep() => Ok(block.content_len()),
        _ => Err(UnpackError::Reference),
    }
}

/// Why a message with a block could not be unpacked. Whoever made it erred.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UnpackError {
    /// It is no block, or one that is too large.
    #[error(transparent)]
    Block(#[from] ParseError),
    /// Its content can't be had.
    #[error(transparent)]
    Content(#[from] DecompressError),
    /// Its content holds other items than it says. The capture times of a batch are those of its items.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// A publisher's block refers to a dictionary or a prefix, or asks to be kept.
    #[error("a publisher's block refers to what its receivers don't share: send it stored or as plain zstd")]
    Reference,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Packer;
    use super::*;
    use crate::compress::{Level, Method};
    use crate::wire::{HEADER_LEN, Kind, Messages, Run, Scan};

    fn unpack_all(packed: &[u8]) -> BytesMut {
        let (mut unpacker, mut plain, mut rest) = (Unpacker::new(), BytesMut::new(), packed);
        while let Some(message) = Messages::new(rest).next() {
            let (bytes, after) = rest.split_at(message.header.message_len());
            if message.header.flags.contains(Flags::BLOCK) {
                assert!(check(&message, 1 << 20).is_ok());
                unpacker.unpack(&message, |_| Reference::None, 1 << 20, &mut plain).unwrap();
            } else {
                plain.extend_from_slice(bytes);
            }
            rest = after;
        }
        plain
    }

    prop_compose! {
        fn any_run()(messages in prop::collection::vec(
            (0u32..3, 0u8..2, any::<Option<u64>>(), prop::collection::vec(0u8..3, 0..60)), 1..60,
        )) -> BytesMut {
            let mut run = BytesMut::new();
            for (sequence, (topic, codec, micros, payload)) in (0..).zip(&messages) {
                // Numbers in one topic are consecutive.
                let _ = sequence;
                let earlier = messages[..sequence as usize].iter().filter(|(other, ..)| other == topic).count() as u32;
                let header = Header { topic: *topic, codec: *codec, sequence: earlier, ..Header::data(Kind::Event) };
                put(&mut run, header, *micros, payload);
            }
            run
        }
    }

    proptest! {
        #[test]
        fn runs_come_back_as_they_went_in_and_are_no_longer(run in any_run()) {
            let mut packed = BytesMut::new();
            Packer::new().pack_run(&run, Method::Level(Level::FAST), &mut packed);
            prop_assert!(packed.len() <= run.len());
            prop_assert_eq!(unpack_all(&packed), run);
        }

        #[test]
        fn a_relay_counts_the_items_of_a_batch_as_its_reader_does(run in any_run()) {
            let mut packed = BytesMut::new();
            Packer::new().pack_run(&run, Method::Level(Level::FAST), &mut packed);
            let (mut rest, mut counted) = (&packed[..], 0);
            while let Ok(Scan::Run(Run { len, count, .. })) = wire::scan(rest, 1 << 20) {
                let mut part = rest[..len].to_vec();
                prop_assert_eq!(wire::patch_run(&mut part, 9, counted, usize::MAX), (len, count));
                (rest, counted) = (&rest[len..], counted + count);
            }
            prop_assert!(rest.is_empty());
            prop_assert_eq!(counted as usize, Messages::new(&run).count());
        }

        #[test]
        fn no_bytes_panic_and_nothing_is_left_of_what_failed(payload in prop::collection::vec(any::<u8>(), 0..80)) {
            let header = Header { flags: Flags::BLOCK, length: payload.len() as u32, ..Header::data(Kind::Event) };
            let message = Message { header, unix_micros: None, payload: &payload };
            let mut out = BytesMut::new();
            if Unpacker::new().unpack(&message, |_| Reference::None, 1000, &mut out).is_err() {
                prop_assert!(out.is_empty());
            }
        }
    }

    #[test]
    fn a_publisher_s_block_refers_to_nothing_and_keeps_within_the_limit() {
        let payload = b"abc".repeat(100);
        let header = Header { length: 300, ..Header::data(Kind::Event) };
        let message = Message { header, unix_micros: None, payload: &payload };
        let pack = |method: Method<'_>, keep| {
            let mut out = BytesMut::new();
            Packer::new().pack(&message, method, keep, &mut out);
            out
        };
        let level = pack(Method::Level(Level::FAST), false);
        let kept = pack(Method::Level(Level::FAST), true);
        let prefix = pack(Method::Prefix { base: 1, prefix: &payload, level: Level::FAST }, false);
        let judge = |bytes: &[u8], limit| check(&Messages::new(bytes).next().unwrap(), limit);
        assert_eq!(judge(&level, 300), Ok(300));
        assert!(matches!(judge(&level, 299), Err(UnpackError::Block(ParseError::TooLarge { .. }))));
        assert_eq!(judge(&kept, 300), Err(UnpackError::Reference));
        assert_eq!(judge(&prefix, 300), Err(UnpackError::Reference));
        assert!(level.len() < HEADER_LEN + 100);
    }

    #[test]
    fn a_batch_has_no_capture_time_of_its_own() {
        let mut run = BytesMut::new();
        (0..9).for_each(|_| wire::put_message(&mut run, Header::data(Kind::Event), b"the same again"));
        let mut packed = BytesMut::new();
        Packer::new().pack_run(&run, Method::Level(Level::FAST), &mut packed);
        let message = Messages::new(&packed).next().unwrap();
        let stamped = Message { unix_micros: Some(1), ..message };
        assert_eq!(check(&stamped, 1 << 20), Err(UnpackError::Batch(BatchError)));
    }
}
