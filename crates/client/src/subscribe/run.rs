//! A run of messages that is being consumed.

use std::sync::Arc;

use bytes::{Buf, Bytes};
use nyx_protocol::wire::{self, Message};

use super::{Credit, Topic};

/// Whole messages of one topic, and where their bytes are counted when they are consumed. What was not consumed when
/// this is dropped counts then, so that nothing stays in flight for ever.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) topic: Arc<Topic>,
    pub(crate) bytes: Bytes,
    /// The number of the first message in its topic; for state the version that it leads to.
    pub(crate) sequence: u64,
    prompt: bool,
    credit: Credit,
    /// Bytes that have not been counted.
    uncounted: usize,
}

impl Run {
    pub(crate) const fn new(
        topic: Arc<Topic>,
        bytes: Bytes,
        sequence: u64,
        prompt: bool,
        credit: Credit,
    ) -> Self {
        let uncounted = bytes.len();
        Self { topic, bytes, sequence, prompt, credit, uncounted }
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

    pub(crate) fn consume(&mut self, bytes: usize) {
        let bytes = bytes.min(self.uncounted);
        if bytes > 0 {
            self.uncounted -= bytes;
            self.credit.consume(bytes, self.prompt);
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.consume(self.uncounted);
    }
}
