//! Plain messages in, messages with blocks out.

use bytes::{BufMut, BytesMut};

use crate::compress::{Compressed, Compressor, Encoding, Method, batch};
use crate::wire::{self, Flags, HEADER_LEN, Header, Kind, Message, Messages, TIMESTAMP_LEN};

/// Packs messages, with one [`Compressor`] that is kept.
#[derive(Debug, Default)]
pub struct Packer {
    compressor: Compressor,
    batch: batch::Builder,
}

/// The most plain bytes of items in one batch: a level of zstd gains little beyond it, and a subscriber waits for all of it.
const BATCH_BYTES: usize = 64 * 1024;

impl Packer {
    /// A packer that has done nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends `message` with its payload as a block, or as it is where that is no longer. With `keep` it is always a block, whose content
    /// the receiver is to keep (see [`reference`](mod@crate::compress::reference)). Says how it came out.
    pub fn pack(
        &mut self,
        message: &Message<'_>,
        method: Method<'_>,
        keep: bool,
        out: &mut BytesMut,
    ) -> Encoding {
        let compressed = self.compressor.compress(message.payload, method);
        let encoding = compressed.encoding();
        if encoding == Encoding::Stored && !keep {
            match message.unix_micros {
                Some(micros) => wire::put_stamped(out, message.header, micros, message.payload),
                None => wire::put_message(out, message.header, message.payload),
            }
        } else {
            put(out, message.header, message.unix_micros, &if keep { compressed.keep() } else { compressed });
        }
        encoding
    }

    /// Appends the messages of `run`, whole plain ones, as few messages as possible: consecutive events of one topic and codec become batches. Where
    /// that is no shorter, and what is no event, stays as it is. Their number and order is the same.
    pub fn pack_run(&mut self, run: &[u8], method: Method<'_>, out: &mut BytesMut) {
        let mut rest = run;
        while !rest.is_empty() {
            let len = self.gather(rest);
            let (part, after) = rest.split_at(len);
            self.pack_part(part, method, out);
            rest = after;
        }
    }

    /// Gathers what of the front of `run` may be one batch. Returns its bytes, which are all of what is no message.
    fn gather(&mut self, run: &[u8]) -> usize {
        self.batch.clear();
        let mut first: Option<Header> = None;
        let mut len = 0;
        for message in Messages::new(run) {
            let header = message.header;
            let is_batchable = header.kind == Some(Kind::Event) && !header.flags.contains(Flags::BLOCK);
            let belongs = first.is_none_or(|first| {
                is_batchable && (header.topic, header.codec) == (first.topic, first.codec)
            });
            let fits = len + header.message_len() <= BATCH_BYTES && self.batch.items() < batch::ITEMS_MAX;
            if first.is_some() && !(belongs && fits) {
                return len;
            }
            first = Some(header);
            len += header.message_len();
            if !is_batchable {
                return len;
            }
            self.batch.push(message.unix_micros, message.payload);
        }
        if len == 0 { run.len() } else { len }
    }

    fn pack_part(&mut self, part: &[u8], method: Method<'_>, out: &mut BytesMut) {
        let first = Messages::new(part).next();
        match first {
            Some(message) if self.batch.items() > 1 => {
                let header = Header { flags: Flags::NONE, ..message.header };
                let block = self.compressor.compress(self.batch.content(), method).batch(self.batch.items());
                if HEADER_LEN + block.len() < part.len() {
                    put(out, header, None, &block);
                } else {
                    out.extend_from_slice(part);
                }
            }
            Some(message)
                if message.header.kind.is_some() && !message.header.flags.contains(Flags::BLOCK) =>
            {
                self.pack(&message, method, false, out);
            }
            _ => out.extend_from_slice(part),
        }
    }

    /// Bytes of memory that it holds, about.
    pub fn held_bytes(&self) -> usize {
        self.compressor.held_bytes()
    }
}

fn put(out: &mut BytesMut, header: Header, unix_micros: Option<u64>, block: &Compressed<'_>) {
    let stamp = unix_micros.map_or(0, |_| TIMESTAMP_LEN);
    out.reserve(HEADER_LEN + stamp + block.len());
    let length = u32::try_from(stamp + block.len()).unwrap_or(u32::MAX);
    let flags = header.flags.with(Flags::BLOCK);
    out.put_slice(&Header { flags, length, ..header }.to_bytes());
    if let Some(micros) = unix_micros {
        out.put_u64(micros);
    }
    block.put(out);
}
