//! The messages of one lane that gather for a batch.

use bytes::{Bytes, BytesMut};
use nyx_core::pool::read::ReadPool;

use super::Segment;

/// Whole messages, in their order: sealed segments, and a tail that the next ones are appended to.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    segments: Vec<Segment>,
    pub(super) tail: BytesMut,
}

impl Gathered {
    pub(super) fn is_empty(&self) -> bool {
        self.segments.is_empty() && self.tail.is_empty()
    }

    /// Makes room for `bytes` in the tail, and returns its length.
    pub(super) fn tail_with(&mut self, pool: &mut ReadPool, bytes: usize) -> usize {
        if self.tail.capacity() - self.tail.len() < bytes {
            self.seal(Bytes::new());
            let full = std::mem::replace(&mut self.tail, BytesMut::new());
            if full.capacity() > 0 {
                pool.put(full);
            }
            self.tail = pool.take();
        }
        self.tail.len()
    }

    /// What is in the tail becomes a segment, with the payload of its last message in `body`, if that stands apart.
    pub(super) fn seal(&mut self, body: Bytes) {
        if !self.tail.is_empty() {
            self.segments.push(Segment { head: self.tail.split().freeze(), body });
        }
    }

    /// Appends whole messages as they are.
    pub(super) fn push(&mut self, block: BytesMut) {
        self.seal(Bytes::new());
        self.segments.push(Segment::plain(block.freeze()));
    }

    /// Takes all of it. The tail keeps its memory.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Segment> {
        self.seal(Bytes::new());
        self.segments.drain(..)
    }
}
