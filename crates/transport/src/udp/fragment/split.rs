//! Cutting an item up.

use bytes::{BufMut, Bytes, BytesMut};
use thiserror::Error;

use super::header::{HEADER_BYTES, Header};

/// Cuts a sender's items into fragments, and numbers them.
#[derive(Clone, Debug)]
pub struct Splitter {
    payload_max: usize,
    sequence: u32,
    item: u32,
}

impl Splitter {
    /// Fragments of at most `payload_max` bytes, header included: see [`payload_max`](super::payload_max). It is raised to what
    /// the smallest path carries (RFC 791: 576 bytes, of which 548 are left).
    pub fn new(payload_max: usize) -> Self {
        let mut splitter = Self { payload_max: 0, sequence: 0, item: 0 };
        splitter.set_payload_max(payload_max);
        splitter
    }

    /// The path carries more or less than before: [`Discovery::size`](crate::udp::mtu::Discovery::size) of it.
    pub fn set_payload_max(&mut self, payload_max: usize) {
        self.payload_max = payload_max.clamp(PAYLOAD_MIN, u16::MAX as usize);
    }

    /// The fragments of an item, each a datagram.
    ///
    /// # Errors
    /// When it would take more than 65,535 of them.
    pub fn split<'a>(&mut self, item: &'a [u8]) -> Result<Fragments<'a>, SplitError> {
        let room = self.payload_max - HEADER_BYTES;
        let too_large = || SplitError { bytes: item.len(), max: room * u16::MAX as usize };
        let count = u16::try_from(item.len().div_ceil(room).max(1)).map_err(|_| too_large())?;
        let total = u32::try_from(item.len()).map_err(|_| too_large())?;
        let first = Header { sequence: self.sequence, item: self.item, total, index: 0, count };
        // So many as there are pieces of equal size: rounding up the size may save the last ones.
        let count = if total == 0 { 1 } else { item.len().div_ceil(first.piece()) };
        let count = u16::try_from(count).map_err(|_| too_large())?;
        self.sequence = self.sequence.wrapping_add(count.into());
        self.item = self.item.wrapping_add(1);
        Ok(Fragments { piece: first.piece(), next: Header { count, ..first }, rest: item })
    }
}

/// What every path of IPv4 carries.
const PAYLOAD_MIN: usize = 576 - 28;

/// The datagrams of one item.
#[derive(Clone, Debug)]
pub struct Fragments<'a> {
    next: Header,
    piece: usize,
    rest: &'a [u8],
}

impl Iterator for Fragments<'_> {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        if self.next.index == self.next.count {
            return None;
        }
        let (bytes, rest) = self.rest.split_at(self.piece.min(self.rest.len()));
        let mut datagram = BytesMut::with_capacity(HEADER_BYTES + bytes.len());
        datagram.put_slice(&self.next.encode());
        datagram.put_slice(bytes);
        self.rest = rest;
        self.next.index += 1;
        self.next.sequence = self.next.sequence.wrapping_add(1);
        Some(datagram.freeze())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = usize::from(self.next.count - self.next.index);
        (left, Some(left))
    }
}

impl ExactSizeIterator for Fragments<'_> {}

/// An item that can't be cut into as many fragments as there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{bytes} bytes are more than 65535 fragments carry ({max}): send less at a time")]
pub struct SplitError {
    /// Its size.
    pub bytes: usize,
    /// The largest that could be sent.
    pub max: usize,
}
