//! Opaque payloads: each subscriber's own version of the one before may tell most of the next.
//!
//! Nothing is known of these but that they are large, and that one is often like the last: a raw image, a model, a blob. On a slow path
//! they are sent as zstd alone, or with the last version that this subscriber has acknowledged as prefix. The latter is made for each subscriber, so it
//! is held to the topic's share of a core like everything else.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use nyx_core::Instant;
use nyx_protocol::choose::{Chooser, Codec, Link, Offer, Outcome, Pin};
use nyx_protocol::compress::{Level, Method, reference, sniff};
use nyx_protocol::wire::{Flags, HEADER_LEN, Kind, Message, Messages, codec};

use super::Engine;
use crate::stats;

/// Encodes one topic's opaque payloads.
pub(crate) struct Opaque {
    engine: Arc<Engine>,
    chooser: Chooser,
    tally: stats::Compression,
}

/// What one subscriber has of one topic.
#[derive(Debug)]
pub(crate) struct Prefixes {
    sender: reference::Sender,
    /// The version that it was asked to keep, and the bytes that had been sent when it had been.
    marked: Option<(u64, Option<u64>)>,
}

/// Less than this is not worth a version of its own; records are packed by their publisher, in batches.
const BYTES_MIN: usize = 1024;

/// On a path that carries more, in bytes per second, or of which nothing is known, payloads go as they are: they would be encoded for
/// each subscriber, and cores would be scarce before the path is.
const SLOW_MAX: u64 = 16_000_000;

impl Opaque {
    pub(crate) fn new(engine: Arc<Engine>, pin: Pin) -> Self {
        let chooser = engine.chooser(pin, &[Codec::Level(Level::FAST), Codec::Prefix]);
        Self { engine, chooser, tally: stats::Compression::new(pin) }
    }

    /// The message in `plain`, for a subscriber whose `link` is slow, as is best for it.
    pub(crate) fn encode(
        &mut self,
        now: Instant,
        plain: Bytes,
        link: &Link,
        mut prefixes: Option<&mut Prefixes>,
    ) -> Bytes {
        let Some(message) = Messages::new(&plain).next() else { return plain };
        self.chooser.set_killed(now, !self.engine.is_allowed());
        let offer = Offer {
            prefix: prefixes.as_ref().is_some_and(|prefixes| prefixes.sender.method(Level::FAST).is_some()),
            ..Offer::new(message.payload.len())
        };
        let choice = self.chooser.choose(now, &offer, link);
        let codec = choice.candidate().codec;
        let keep = self.engine.is_allowed()
            && self.chooser.pin() != Pin::Off
            && prefixes.as_mut().is_some_and(|prefixes| prefixes.mark(&message));
        let (packed, outcome) = self.pack(&message, codec, keep, prefixes.as_deref());
        self.chooser.record(&choice, outcome);
        if let Some(trial) = self.chooser.trial(now, &offer, link) {
            let (_, outcome) = self.pack(&message, trial.candidate().codec, false, prefixes.as_deref());
            self.chooser.record_trial(&trial, outcome);
        }
        self.tally.count(codec, plain.len(), packed.len());
        packed
    }

    fn pack(
        &mut self,
        message: &Message<'_>,
        codec: Codec,
        keep: bool,
        prefixes: Option<&Prefixes>,
    ) -> (Bytes, Outcome) {
        let method = match codec {
            Codec::Level(level) => Method::Level(level),
            Codec::Prefix => prefixes.and_then(|of| of.sender.method(Level::FAST)).unwrap_or(Method::Stored),
            Codec::Raw | Codec::Dictionary => Method::Stored,
        };
        let (engine, mut out) = (&self.engine, BytesMut::new());
        let work = || engine.with_packer(|packer| packer.pack(message, method, keep, &mut out));
        let (_, cpu) = engine.config.stopwatch.measure(codec, message.payload.len(), work);
        if codec != Codec::Raw {
            self.tally.cpu += cpu;
        }
        let bytes = out.len() - HEADER_LEN;
        (out.freeze(), Outcome { bytes, cpu })
    }

    pub(crate) fn stats(&self) -> stats::Compression {
        self.tally.with(&self.chooser)
    }
}

impl Prefixes {
    /// The subscriber keeps contents of at most `bytes_max` bytes.
    pub(crate) const fn new(bytes_max: usize) -> Self {
        Self { sender: reference::Sender::new(bytes_max), marked: None }
    }

    fn mark(&mut self, message: &Message<'_>) -> bool {
        let version = message.header.sequence.into();
        // A copy: a part of a read buffer would keep all of it.
        let marks =
            self.marked.is_none() && self.sender.marks(version, &Bytes::copy_from_slice(message.payload));
        if marks {
            self.marked = Some((version, None));
        }
        marks
    }

    /// What was marked has been sent, with which `sent` bytes have been.
    pub(crate) const fn handle_sent(&mut self, sent: u64) {
        if let Some((_, end @ None)) = &mut self.marked {
            *end = Some(sent);
        }
    }

    /// So many bytes were acknowledged.
    pub(crate) fn handle_acked(&mut self, acked: u64) {
        if let Some((version, Some(end))) = self.marked
            && end <= acked
        {
            self.marked = None;
            self.sender.handle_ack(version);
        }
    }
}

/// Whether `chunk` is one message that may be worth encoding for a subscriber behind `link`.
pub(crate) fn is_candidate(chunk: &[u8], link: &Link) -> bool {
    if link.drain.is_none_or(|rate| rate > SLOW_MAX) {
        return false;
    }
    let Some(message) = Messages::new(chunk).next() else { return false };
    let header = message.header;
    let is_opaque = match header.kind {
        Some(Kind::Frame) => header.codec == codec::FRAME_OTHER,
        Some(Kind::Event) => true,
        _ => false,
    };
    is_opaque
        && header.message_len() == chunk.len()
        && !header.flags.contains(Flags::BLOCK)
        && message.payload.len() >= BYTES_MIN
        && sniff::format(message.payload).is_none()
}
