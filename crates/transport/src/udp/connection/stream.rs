//! The part of a connection that loses nothing: one ordered stream of bytes each way.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::{Buf, Bytes, BytesMut};

use super::pieces::Pieces;

/// Bytes of the stream that are sent and not consumed at the other end, at most.
pub(super) const WINDOW: u64 = 1 << 20;

/// Bytes on their way out.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    /// From `base` on.
    buffer: BytesMut,
    base: u64,
    pieces: Pieces,
}

impl Outgoing {
    pub(super) fn write(&mut self, bytes: &[u8]) {
        let start = self.end();
        self.buffer.extend_from_slice(bytes);
        self.pieces.append(start..self.end());
    }

    /// How many bytes were ever written.
    pub(super) fn end(&self) -> u64 {
        self.base + self.buffer.len() as u64
    }

    /// Bytes that have not arrived, as far as is known.
    pub(super) fn unsettled(&self) -> u64 {
        self.buffer.len() as u64
    }

    pub(super) const fn has_unsent(&self) -> bool {
        self.pieces.has_unsent()
    }

    /// Whether there is a piece to send, where `backlog` bytes wait at the other end.
    pub(super) fn may_take(&self, backlog: u64) -> bool {
        self.pieces.first_unsent().is_some_and(|first| first < self.below(backlog))
    }

    /// The next piece, where `backlog` bytes wait at the other end, and whether it is sent again.
    pub(super) fn take(&mut self, max: usize, backlog: u64) -> Option<(u64, &[u8], bool)> {
        let (piece, is_again) = self.pieces.take(max, self.below(backlog))?;
        let (start, end) = ((piece.start - self.base) as usize, (piece.end - self.base) as usize);
        Some((piece.start, &self.buffer[start..end], is_again))
    }

    /// The other end has room for what comes before this.
    const fn below(&self, backlog: u64) -> u64 {
        self.base + WINDOW.saturating_sub(backlog)
    }

    pub(super) fn handle_arrived(&mut self, range: Range<u64>) {
        self.pieces.handle_arrived(range);
        let arrived = self.pieces.arrived_to();
        if arrived > self.base {
            self.buffer.advance((arrived - self.base) as usize);
            self.base = arrived;
        }
    }

    pub(super) fn handle_lost(&mut self, range: Range<u64>) {
        self.pieces.handle_lost(range);
    }
}

/// Bytes that have arrived, and those that have come before others that are missing.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    ready: BytesMut,
    /// Bytes that were taken out.
    taken: u64,
    ahead: BTreeMap<u64, Bytes>,
}

/// There is no room for it: it is to come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoRoom;

impl Incoming {
    /// How many bytes there are without a hole.
    pub(super) fn end(&self) -> u64 {
        self.taken + self.ready.len() as u64
    }

    /// How many of them were taken.
    pub(super) const fn taken(&self) -> u64 {
        self.taken
    }

    /// Bytes that wait to be taken.
    pub(super) fn waiting(&self) -> u64 {
        self.ready.len() as u64
    }

    pub(super) fn take(&mut self, into: &mut BytesMut) {
        self.taken += self.ready.len() as u64;
        into.extend_from_slice(&self.ready);
        self.ready.clear();
    }

    /// Whether a piece may be taken in.
    pub(super) fn admits(&self, offset: u64, length: usize) -> Result<(), NoRoom> {
        let end = offset.saturating_add(length as u64);
        // Pieces that are tiny and far apart would take more memory than their bytes.
        let crowded = offset > self.end() && self.ahead.len() >= PIECES_MAX;
        if end > self.taken + WINDOW || crowded { Err(NoRoom) } else { Ok(()) }
    }

    pub(super) fn handle(&mut self, offset: u64, bytes: &[u8]) {
        let next = self.end();
        if offset > next {
            let longer = self.ahead.get(&offset).is_none_or(|have| have.len() < bytes.len());
            if longer {
                self.ahead.insert(offset, Bytes::copy_from_slice(bytes));
            }
            return;
        }
        self.append(offset, bytes);
        while let Some(first) =
            self.ahead.first_entry().filter(|first| *first.key() <= self.taken + self.ready.len() as u64)
        {
            let (offset, bytes) = first.remove_entry();
            self.append(offset, &bytes);
        }
    }

    fn append(&mut self, offset: u64, bytes: &[u8]) {
        let known = (self.end() - offset) as usize;
        if let Some(new) = bytes.get(known..) {
            self.ready.extend_from_slice(new);
        }
    }
}

/// Pieces that are kept before others that are missing: a window of full datagrams.
const PIECES_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_in_any_order_and_more_than_once_make_the_stream() {
        let text: Vec<u8> = (0..=255).collect();
        let mut incoming = Incoming::default();
        for (start, end) in [(200, 256), (10, 30), (20, 60), (0, 15), (50, 210), (0, 256)] {
            assert_eq!(incoming.admits(start, (end - start) as usize), Ok(()));
            incoming.handle(start, &text[start as usize..end as usize]);
        }
        let mut taken = BytesMut::new();
        incoming.take(&mut taken);
        assert_eq!((&taken[..], incoming.taken(), incoming.ahead.len()), (&text[..], 256, 0));
    }

    #[test]
    fn what_is_not_taken_bounds_what_is_taken_in() {
        let mut incoming = Incoming::default();
        incoming.handle(0, &vec![0; WINDOW as usize]);
        assert_eq!(incoming.admits(WINDOW, 1), Err(NoRoom));
        incoming.take(&mut BytesMut::new());
        assert_eq!(incoming.admits(WINDOW, 1), Ok(()));
        (0..PIECES_MAX as u64).for_each(|at| incoming.handle(WINDOW + 1 + 2 * at, &[0]));
        assert_eq!(incoming.admits(2 * WINDOW - 9, 1), Err(NoRoom));
        assert_eq!(incoming.admits(WINDOW, 1), Ok(()), "what fills the hole always has room");
    }

    #[test]
    fn lost_pieces_are_sent_again_and_arrived_ones_let_go() {
        let mut outgoing = Outgoing::default();
        outgoing.write(&[7; 100]);
        assert_eq!(
            outgoing.take(60, 0).map(|(at, bytes, again)| (at, bytes.len(), again)),
            Some((0, 60, false))
        );
        assert_eq!(
            outgoing.take(60, 0).map(|(at, bytes, again)| (at, bytes.len(), again)),
            Some((60, 40, false))
        );
        assert!(!outgoing.has_unsent());
        outgoing.handle_arrived(60..100);
        assert_eq!(outgoing.unsettled(), 100);
        outgoing.handle_lost(0..60);
        assert_eq!(
            outgoing.take(100, 0).map(|(at, bytes, again)| (at, bytes.len(), again)),
            Some((0, 60, true))
        );
        outgoing.handle_arrived(0..60);
        assert_eq!((outgoing.unsettled(), outgoing.end()), (0, 100));
        outgoing.write(b"x");
        assert_eq!(outgoing.take(9, WINDOW), None, "the other end is full");
    }
}
