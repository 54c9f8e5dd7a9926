//! A run of messages that is being consumed.

use std::sync::Arc;

use bytes::{Buf, Bytes};
use nyx_protocol::wire::{self, Message};

use super::{Acks, Credit, Topic};

/// Whole plain messages of one topic, and where their bytes are counted when they are consumed. What was not consumed when
/// this is dropped counts then, so that nothing stays in flight for ever.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) topic: Arc<Topic>,
    pub(crate) bytes: Bytes,
    /// The number of the first message in its topic; for state the version that it leads to.
    pub(crate) sequence: u64,
    /// Bytes as which it came.
    pub(crate) size: usize,
    prompt: bool,
    credit: Credit,
    /// Bytes that have not been consumed, and those of the ones that came for which that has not been counted.
    unconsumed: usize,
    uncounted: usize,
    unpacked: Option<Arc<Unpacked>>,
}

/// Bytes that were unpacked, until all runs of them are gone.
#[derive(Debug)]
pub(crate) struct Unpacked {
    acks: Arc<Acks>,
    bytes: usize,
}

impl Unpacked {
    pub(crate) fn new(acks: Arc<Acks>, bytes: usize) -> Self {
        acks.unpack(bytes);
        Self { acks, bytes }
    }
}

impl Drop for Unpacked {
    fn drop(&mut self) {
        self.acks.forget_unpacked(self.bytes);
    }
}

impl Run {
    /// `size`: bytes as which it came, which are others than those of `bytes` where it was unpacked.
    pub(crate) const fn new(
        topic: Arc<Topic>,
        bytes: Bytes,
        size: usize,
        sequence: u64,
        prompt: bool,
        credit: Credit,
    ) -> Self {
        let unconsumed = bytes.len();
        Self { topic, bytes, sequence, size, prompt, credit, unconsumed, uncounted: size, unpacked: None }
    }

    pub(crate) fn holding(mut self, unpacked: Option<Arc<Unpacked>>) -> Self {
        self.unpacked = unpacked;
        self
    }

    /// The first message that is left.
    pub(crate) fn front(&self) -> Option<Message<'_>> {
        wire::Messages::new(&self.bytes).next()
    }

    /// Takes the first message off; [`consume`](Self::consume) counts it, later.
    pub(crate) fn advance(&mut self, len: usize) {
        self.bytes.advance(len.min(self.bytes.len()));
        self.sequence = self.sequence.wrapping_add(1);
    }

    /// Of what came, what was consumed counts in proportion, and with the last byte all of it.
    pub(crate) fn consume(&mut self, bytes: usize) {
        let bytes = bytes.min(self.unconsumed);
        if bytes == 0 {
            return;
        }
        let share = self.uncounted as u64 * bytes as u64 / self.unconsumed as u64;
        self.unconsumed -= bytes;
        let counted = if self.unconsumed == 0 { self.uncounted } else { share as usize };
        self.uncounted -= counted;
        self.credit.consume(counted, self.prompt);
        if self.unconsumed == 0 {
            self.unpacked = None;
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.consume(self.unconsumed);
    }
}
