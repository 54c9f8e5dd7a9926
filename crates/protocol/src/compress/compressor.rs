//! Payloads in, blocks out.

use bytes::BufMut;
use zstd::zstd_safe::{CCtx, compress_bound};

use super::block::{Head, STORED_HEAD_LEN};
use super::dictionary::{Dictionary, is_zstd_dictionary};
use super::{Encoding, Level, MAGIC, linear, sniff};

/// By what a payload is to be compressed.
#[derive(Clone, Copy, Debug)]
pub enum Method<'a> {
    /// Not at all.
    Stored,
    /// zstd at this level.
    Level(Level),
    /// zstd at level 3 with this dictionary.
    Dictionary(&'a Dictionary),
    /// zstd at this level, with an earlier version of the payload, which the receiver holds, as prefix.
    Prefix {
        /// Its version.
        base: u64,
        /// Its content.
        prefix: &'a [u8],
        /// The level.
        level: Level,
    },
    /// Linear prediction, as sound of this shape.
    Linear(linear::Shape),
}

/// Compresses payloads, with one zstd context that is kept: a fresh one costs three times what a small record costs.
///
/// Holds the context (5 KiB at first, 25 KiB for small records, 0.2 MiB for documents of 16 KB; for payloads of megabytes 1.2 MiB at level 3
/// and 11 MiB at level 9) and an output buffer as long as the largest payload so far.
pub struct Compressor {
    context: CCtx<'static>,
    scratch: Vec<u8>,
    linear: linear::Coder,
}

impl Compressor {
    /// A compressor that has done nothing yet.
    pub fn new() -> Self {
        Self { context: CCtx::create(), scratch: Vec::new(), linear: linear::Coder::default() }
    }

    /// Compresses `payload` by `method` if that makes it smaller; else it is stored. What is compressed already is
    /// [recognised](sniff), and stored without a try. Nothing is copied then.
    ///
    /// ```
    /// use nyx_protocol::compress::{Compressor, Encoding, Level, Method};
    ///
    /// let mut compressor = Compressor::new();
    /// let jpeg = [&[0xFF, 0xD8, 0xFF, 0xE0][..], &[7; 1000]].concat();
    /// let block = compressor.compress(&jpeg, Method::Level(Level::DEFAULT));
    /// assert_eq!((block.encoding(), block.len()), (Encoding::Stored, jpeg.len() + 1));
    /// ```
    pub fn compress<'a>(&'a mut self, payload: &'a [u8], method: Method<'_>) -> Compressed<'a> {
        let Some(encoding) = encoding_to_try(payload, method) else { return Compressed::stored(payload) };
        let sum = match encoding {
            Encoding::Prefix(_) => crc32fast::hash(payload),
            _ => 0,
        };
        let head = Head::new(encoding, sum);
        self.scratch.clear();
        self.scratch.reserve(compress_bound(payload.len()));
        // An error leaves the context fit for the next payload, and this one is still there to be stored.
        if self.run(payload, method).is_err() {
            return Compressed::stored(payload);
        }
        let body = match encoding {
            Encoding::Linear => &self.scratch,
            _ => self.scratch.strip_prefix(&MAGIC).unwrap_or_default(),
        };
        if body.is_empty() || head.as_slice().len() + body.len() >= STORED_HEAD_LEN + payload.len() {
            return Compressed::stored(payload);
        }
        Compressed { encoding, head, body }
    }

    fn run(&mut self, payload: &[u8], method: Method<'_>) -> Result<usize, usize> {
        let (context, out) = (&mut self.context, &mut self.scratch);
        match method {
            Method::Stored => Ok(0),
            Method::Level(level) => context.compress(out, payload, level.get()),
            Method::Dictionary(dictionary) => {
                let Some(encoder) = dictionary.encoder() else { return Ok(0) };
                context.compress_using_cdict(out, payload, encoder)
            }
            Method::Prefix { prefix, level, .. } => {
                context.compress_using_dict(out, payload, prefix, level.get())
            }
            Method::Linear(shape) => {
                // What can't be written so leaves an empty body, and is stored.
                self.linear.encode(payload, shape, out);
                Ok(out.len())
            }
        }
    }

    /// Bytes of memory that it holds.
    pub fn held_bytes(&self) -> usize {
        self.context.sizeof() + self.scratch.capacity() + self.linear.held_bytes()
    }
}

impl Default for Compressor {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Compressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compressor").field("held_bytes", &self.held_bytes()).finish_non_exhaustive()
    }
}

/// `None` where it would not pay to try.
fn encoding_to_try(payload: &[u8], method: Method<'_>) -> Option<Encoding> {
    if let Method::Linear(_) = method {
        // No samples look like a file that is compressed already, or all of them may.
        return (payload.len() >= TRY_MIN).then_some(Encoding::Linear);
    }
    if payload.len() < TRY_MIN || sniff::format(payload).is_some() {
        return None;
    }
    match method {
        Method::Stored | Method::Linear(_) => None,
        Method::Level(_) if payload.len() < ALONE_MIN || sniff::looks_random(payload) => None,
        Method::Level(_) => Some(Encoding::Zstd),
        // What is random by itself may still be much like what the receiver has: that is the compressor's to find out.
        Method::Dictionary(dictionary) => Some(Encoding::Dictionary(dictionary.name())),
        Method::Prefix { prefix, .. } if is_zstd_dictionary(prefix) => None,
        Method::Prefix { base, .. } => Some(Encoding::Prefix(base)),
    }
}

/// A frame has a header of 2 bytes, a block header of 3, and a block of 2 at least.
const TRY_MIN: usize = 10;

/// Alone, nothing this small has got smaller in any trace.
const ALONE_MIN: usize = 32;

/// A block, in two pieces: its head, and a body that is the payload itself where that was stored.
#[derive(Clone, Copy, Debug)]
pub struct Compressed<'a> {
    encoding: Encoding,
    head: Head,
    body: &'a [u8],
}

impl<'a> Compressed<'a> {
    fn stored(payload: &'a [u8]) -> Self {
        Self { encoding: Encoding::Stored, head: Head::new(Encoding::Stored, 0), body: payload }
    }

    /// Asks the receiver to keep the content, see [`reference`](super::reference).
    pub const fn keep(mut self) -> Self {
        self.head.mark_keep();
        self
    }

    /// Says that the payload is the content of a [`batch`](super::batch) of so many items.
    pub fn batch(mut self, items: u32) -> Self {
        self.head.mark_batch(items.clamp(1, super::batch::ITEMS_MAX));
        self
    }

    /// How it came out. What is [`Encoding::Stored`] can be sent as it is, where the framing says that it is no block.
    pub const fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Its head, for a vectored write.
    pub fn head(&self) -> &[u8] {
        self.head.as_slice()
    }

    /// What follows the head.
    pub const fn body(&self) -> &'a [u8] {
        self.body
    }

    /// Bytes of the block.
    pub fn len(&self) -> usize {
        self.head().len() + self.body.len()
    }

    /// Always false: a block has a tag.
    pub const fn is_empty(&self) -> bool {
        false
    }

    /// Appends the block.
    pub fn put(&self, out: &mut impl BufMut) {
        out.put_slice(self.head());
        out.put_slice(self.body);
    }

    /// The block as one piece.
    pub fn to_vec(&self) -> Vec<u8> {
        [self.head(), self.body].concat()
    }
}
