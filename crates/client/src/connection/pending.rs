//! What the writer has taken and not wholly written, so that a lost connection loses no half message.

use std::collections::VecDeque;

use nyx_protocol::compress;
use nyx_protocol::wire::{Flags, Messages};
use nyx_transport::write::Queue;

use super::packing::Packed;
use crate::outgoing::Segment;

/// Segments in the order of the write queue, and how much of the first one is written.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    segments: VecDeque<Packed>,
    written: usize,
}

impl Pending {
    /// Queues a segment.
    pub(crate) fn push(&mut self, segment: Segment, queue: &mut Queue) {
        self.push_packed(Packed { wire: segment, plain: None }, queue);
    }

    /// The same of one that may have been packed.
    pub(crate) fn push_packed(&mut self, packed: Packed, queue: &mut Queue) {
        queue.push(packed.wire.head.clone());
        queue.push(packed.wire.body.clone());
        self.segments.push_back(packed);
    }

    /// The queue wrote `bytes`.
    pub(crate) fn wrote(&mut self, bytes: usize) {
        self.written += bytes;
        while let Some(front) = self.segments.front()
            && self.written >= front.wire.len()
        {
            self.written -= front.wire.len();
            self.segments.pop_front();
        }
    }

    /// The messages that were not wholly written, plain: the next connection may be to a hub that takes no blocks.
    pub(crate) fn into_unwritten(mut self) -> Vec<Segment> {
        let first = self.segments.pop_front().and_then(|front| match front.plain {
            Some(plain) => {
                let written = plain_bytes_written(&front.wire, &plain, self.written);
                plain.rest(written)
            }
            None => front.wire.rest(self.written),
        });
        let others = self.segments.into_iter().map(|packed| packed.plain.unwrap_or(packed.wire));
        first.into_iter().chain(others).collect()
    }
}

/// How many bytes of `plain` the first `written` bytes of `wire` stand for: those of the items whose message is whole.
fn plain_bytes_written(wire: &Segment, plain: &Segment, written: usize) -> usize {
    let (mut end, mut items) = (0, 0);
    for message in Messages::new(&wire.head) {
        end += message.header.message_len();
        if end > written {
            break;
        }
        let is_block = message.header.flags.contains(Flags::BLOCK);
        items += if is_block { compress::items(message.payload) } else { 1 };
    }
    plain.headers().take(items as usize).map(|header| header.message_len()).sum()
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use nyx_protocol::compress::{Level, Method};
    use nyx_protocol::pack::Packer;
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

    #[test]
    fn of_what_was_packed_the_plain_messages_are_left_that_no_whole_message_stood_for() {
        let mut run = BytesMut::new();
        for n in 0..2_000u32 {
            let header = Header { topic: 1, sequence: n, ..Header::data(Kind::Event) };
            put_message(&mut run, header, format!("{{\"player\":{n},\"event\":\"pass\"}}").as_bytes());
        }
        let plain = Segment::plain(run.freeze());
        let mut wire = BytesMut::new();
        Packer::new().pack_run(&plain.head, Method::Level(Level::FAST), &mut wire);
        let wire = Segment::plain(wire.freeze());
        let first = wire.headers().next().unwrap().message_len();
        assert!(wire.headers().count() > 1 && wire.len() < plain.len());
        for (written, lost) in [(0, 0), (first - 1, 0), (first, 1), (wire.len() - 1, 1)] {
            let (mut pending, mut queue) = (Pending::default(), Queue::default());
            pending.push_packed(Packed { wire: wire.clone(), plain: Some(plain.clone()) }, &mut queue);
            pending.wrote(written);
            let left: usize = pending.into_unwritten().iter().map(|segment| segment.headers().count()).sum();
            assert_eq!(left == 2_000, lost == 0, "{written} bytes written, {left} messages left");
            assert!(left > 0);
        }
    }
}
