//! What the writer has taken and not wholly written, so that a lost connection loses no half message.

use std::collections::VecDeque;

use nyx_transport::write::Queue;

use crate::outgoing::Segment;

/// Segments in the order of the write queue, and how much of the first one is written.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    segments: VecDeque<Segment>,
    written: usize,
}

impl Pending {
    /// Queues a segment.
    pub(crate) fn push(&mut self, segment: Segment, queue: &mut Queue) {
        queue.push(segment.head.clone());
        queue.push(segment.body.clone());
        self.segments.push_back(segment);
    }

    /// The queue wrote `bytes`.
    pub(crate) fn wrote(&mut self, bytes: usize) {
        self.written += bytes;
        while let Some(front) = self.segments.front()
            && self.written >= front.len()
        {
            self.written -= front.len();
            self.segments.pop_front();
        }
    }

    /// The messages that were not wholly written.
    pub(crate) fn into_unwritten(mut self) -> Vec<Segment> {
        let first = self.segments.pop_front().and_then(|front| front.rest(self.written));
        first.into_iter().chain(self.segments).collect()
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use nyx_protocol::wire::{Header, Kind, put_message};

    use super::*;

    fn segment(payload: &[u8]) -> Segment {
        let mut head = BytesMut::new();
        put_message(&mut head, Header::data(Kind::Event), payload);
        Segment::plain(head.freeze())
    }

    #[test]
    fn what_was_begun_is_not_written() {
        let (mut pending, mut queue) = (Pending::default(), Queue::default());
        [&b"one"[..], b"two", b"three"]
            .into_iter()
            .for_each(|payload| pending.push(segment(payload), &mut queue));
        assert_eq!(queue.bytes(), 19 + 19 + 21);
        pending.wrote(19 + 18);
        assert_eq!(pending.into_unwritten(), [segment(b"two"), segment(b"three")]);
    }
}
