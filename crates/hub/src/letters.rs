//! Requests and answers on their way from one session to another.
//!
//! They are encoded where they are routed, so that nothing of what they came in is kept while they wait, and what waits takes as much memory as
//! it has bytes.

use bytes::BytesMut;
use nyx_protocol::control::{self, Body};

/// Encoded control messages, in their order.
#[derive(Default)]
pub(crate) struct Letters {
    bytes: BytesMut,
    each: Vec<Letter>,
}

struct Letter {
    len: usize,
    /// The request that it answers.
    answers: Option<u64>,
}

/// Memory that is kept for the next ones.
const KEPT_BYTES: usize = 64 * 1024;

impl Letters {
    pub(crate) fn put(&mut self, body: impl Into<Body>) {
        let (body, before) = (body.into(), self.bytes.len());
        let answers = match &body {
            Body::Reply(reply) => Some(reply.id),
            _ => None,
        };
        control::put(&mut self.bytes, body);
        self.each.push(Letter { len: self.bytes.len() - before, answers });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.each.is_empty()
    }

    /// Bytes of all of them.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Adds others behind these.
    pub(crate) fn append(&mut self, others: &mut Self) {
        if self.is_empty() {
            std::mem::swap(self, others);
        } else {
            self.bytes.extend_from_slice(&others.bytes);
            self.each.append(&mut others.each);
        }
        others.clear();
    }

    /// Moves them to `out`, but answers to requests of which `awaits` says that nobody does any more.
    pub(crate) fn deliver(&mut self, out: &mut BytesMut, mut awaits: impl FnMut(u64) -> bool) {
        let mut left = &self.bytes[..];
        for Letter { len, answers } in &self.each {
            let letter;
            (letter, left) = left.split_at(*len);
            if answers.is_none_or(&mut awaits) {
                out.extend_from_slice(letter);
            }
        }
        self.clear();
    }

    fn clear(&mut self) {
        self.each.clear();
        self.bytes.clear();
        if self.bytes.capacity() > KEPT_BYTES {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use nyx_protocol::control::{Cancel, Reply};

    use super::*;

    #[test]
    fn what_nobody_awaits_is_left_out_and_the_rest_keeps_its_order() {
        let answer = |id| Reply { id, status: 0, body: vec![b'x'; id as usize].into() };
        let (mut letters, mut more) = (Letters::default(), Letters::default());
        letters.put(answer(1));
        letters.put(answer(2));
        more.put(Cancel { id: 2 });
        more.put(answer(3));
        letters.append(&mut more);
        assert!(more.is_empty());

        let (mut out, mut expected) = (BytesMut::new(), BytesMut::new());
        let bytes = letters.bytes();
        letters.deliver(&mut out, |id| id != 2);
        control::put(&mut expected, answer(1));
        control::put(&mut expected, Cancel { id: 2 });
        control::put(&mut expected, answer(3));
        assert_eq!(out, expected);
        assert!(letters.is_empty() && letters.bytes() == 0 && bytes > out.len());
    }
}
