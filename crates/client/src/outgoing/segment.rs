//! Whole messages on their way out.

use bytes::{Buf, Bytes, BytesMut};
use nyx_protocol::wire::{HEADER_LEN, Header};

/// One or more whole messages: their bytes, of which the last one's payload may stand apart, uncopied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) head: Bytes,
    /// The end of the last message in `head`.
    pub(crate) body: Bytes,
}

impl Segment {
    /// Messages without a payload that stands apart.
    pub(crate) fn plain(head: Bytes) -> Self {
        Self { head, body: Bytes::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.head.len() + self.body.len()
    }

    /// What is left after `written` bytes: the messages of which not every byte was written. `None` if that is none.
    pub(crate) fn rest(mut self, written: usize) -> Option<Self> {
        let mut at = 0;
        while at < written {
            let header = header_at(&self.head, at)?;
            if at + header.message_len() > written {
                break;
            }
            at += header.message_len();
        }
        if at >= self.head.len() {
            return None;
        }
        self.head.advance(at);
        Some(self)
    }

    /// The headers of its messages.
    pub(crate) fn headers(&self) -> impl Iterator<Item = Header> {
        let mut at = 0;
        std::iter::from_fn(move || {
            let header = header_at(&self.head, at)?;
            at += header.message_len();
            Some(header)
        })
    }

    /// Only those messages that `keep` wants. Copies when it has to leave some out.
    pub(crate) fn filter(self, keep: impl Fn(&Header) -> bool) -> Option<Self> {
        if self.headers().all(|header| keep(&header)) {
            return Some(self);
        }
        let (mut head, mut body, mut at) = (BytesMut::new(), Bytes::new(), 0);
        while let Some(header) = header_at(&self.head, at) {
            let end = at + header.message_len();
            if keep(&header) {
                head.extend_from_slice(&self.head[at..end.min(self.head.len())]);
                if end > self.head.len() {
                    body = self.body.clone();
                }
            }
            at = end;
        }
        (!head.is_empty()).then(|| Self { head: head.freeze(), body })
    }
}

/// The header at `at`, if a message begins there. All bytes here are our own, so it parses.
fn header_at(bytes: &Bytes, at: usize) -> Option<Header> {
    Header::parse(bytes.get(at..at + HEADER_LEN)?.first_chunk()?).ok()
}

#[cfg(test)]
mod tests {
    use nyx_protocol::wire::{Kind, put_message};

    use super::*;

    fn segment(payloads: &[&[u8]], body: &'static [u8]) -> Segment {
        let mut head = BytesMut::new();
        for (i, payload) in payloads.iter().enumerate() {
            put_message(&mut head, Header { topic: i as u32, ..Header::data(Kind::Event) }, payload);
        }
        let header = Header { topic: 99, length: body.len() as u32, ..Header::data(Kind::Frame) };
        head.extend_from_slice(&header.to_bytes());
        Segment { head: head.freeze(), body: Bytes::from_static(body) }
    }

    fn topics(segment: Option<Segment>) -> Vec<u32> {
        segment.iter().flat_map(Segment::headers).map(|header| header.topic).collect()
    }

    #[test]
    fn a_partly_written_message_stays_whole() {
        // Messages end at 19, 36 and 60.
        let segment = segment(&[b"abc", b"d"], b"payload.");
        assert_eq!(segment.len(), 60);
        for (written, left) in [
            (0, &[0, 1, 99][..]),
            (18, &[0, 1, 99]),
            (19, &[1, 99]),
            (20, &[1, 99]),
            (36, &[99]),
            (52, &[99]),
            (59, &[99]),
            (60, &[]),
        ] {
            let rest = segment.clone().rest(written);
            if let Some(rest) = &rest {
                assert_eq!(rest.body, "payload.");
            }
            assert_eq!(topics(rest), left, "{written} bytes written");
        }
    }

    #[test]
    fn filtering_keeps_messages_whole() {
        let segment = segment(&[b"abc", b"d"], b"payload.");
        let kept = segment.clone().filter(|header| header.topic != 0).unwrap();
        assert_eq!((kept.len(), &kept.body[..]), (41, &b"payload."[..]));
        assert_eq!(topics(Some(kept)), [1, 99]);
        let kept = segment.clone().filter(|header| header.topic == 0).unwrap();
        assert_eq!((kept.len(), kept.body.is_empty()), (19, true));
        assert_eq!(segment.clone().filter(|_| false), None);
        assert_eq!(segment.clone().filter(|_| true), Some(segment));
    }
}
