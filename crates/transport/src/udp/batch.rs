//! Datagrams that are to be sent together.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use bytes::{Buf, Bytes, BytesMut};
use thiserror::Error;

use super::Ecn;

/// Datagrams in the order in which they go out.
///
/// Neighbours for the same address and of the same size (the last may be smaller) become one system call where the system
/// can segment. The memory is kept when the datagrams are gone.
///
/// ```
/// use nyx_transport::udp::Batch;
///
/// let mut batch = Batch::default();
/// batch.push("127.0.0.1:9".parse().unwrap(), b"hello").unwrap();
/// assert_eq!((batch.len(), batch.bytes()), (1, 5));
/// ```
#[derive(Debug, Default)]
pub struct Batch {
    pub(super) buffer: BytesMut,
    pub(super) trains: VecDeque<Train>,
    datagrams: usize,
}

/// Neighbours that the kernel may cut apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Train {
    pub(super) to: SocketAddr,
    pub(super) from: Option<IpAddr>,
    pub(super) ecn: Option<Ecn>,
    /// Size of all but the last.
    pub(super) segment: usize,
    pub(super) bytes: usize,
    pub(super) datagrams: usize,
}

impl Batch {
    /// Adds a datagram.
    ///
    /// # Errors
    /// See [`PushError`]; nothing was added then.
    #[inline]
    pub fn push(&mut self, to: SocketAddr, payload: &[u8]) -> Result<(), PushError> {
        self.push_marked(to, None, None, payload)
    }

    /// Adds a datagram that leaves from this local address, where there are several, and with this congestion mark.
    ///
    /// # Errors
    /// See [`PushError`]; nothing was added then.
    #[inline]
    pub fn push_marked(
        &mut self,
        to: SocketAddr,
        from: Option<IpAddr>,
        ecn: Option<Ecn>,
        payload: &[u8],
    ) -> Result<(), PushError> {
        if payload.len() > PAYLOAD_MAX {
            return Err(PushError::TooLarge { bytes: payload.len() });
        }
        if self.buffer.len() + payload.len() > BYTES_MAX || self.datagrams >= DATAGRAMS_MAX {
            return Err(PushError::Full);
        }
        self.buffer.extend_from_slice(payload);
        self.datagrams += 1;
        match self.trains.back_mut() {
            Some(train) if train.takes(&to, from.as_ref(), ecn, payload.len()) => {
                train.bytes += payload.len();
                train.datagrams += 1;
            }
            _ => self.begin_train(&to, from, ecn, payload.len()),
        }
        Ok(())
    }

    /// Not inlined, so that joining a train is short.
    #[inline(never)]
    fn begin_train(&mut self, to: &SocketAddr, from: Option<IpAddr>, ecn: Option<Ecn>, bytes: usize) {
        self.trains.push_back(Train { to: *to, from, ecn, segment: bytes, bytes, datagrams: 1 });
    }

    /// Datagrams that have not been sent.
    pub const fn len(&self) -> usize {
        self.datagrams
    }

    /// Whether all have been sent.
    pub const fn is_empty(&self) -> bool {
        self.datagrams == 0
    }

    /// Bytes of their payloads.
    pub fn bytes(&self) -> usize {
        self.buffer.len()
    }

    /// Takes the first datagram out, and whom it is for, to move it by another way than a socket: a path in memory, say.
    pub fn pop(&mut self) -> Option<(SocketAddr, Bytes)> {
        let train = *self.trains.front()?;
        let bytes = train.segment.min(train.bytes);
        let datagram = Bytes::copy_from_slice(&self.buffer[..bytes]);
        self.advance(&Train { bytes, datagrams: 1, ..train });
        Some((train.to, datagram))
    }

    /// Forgets what has not been sent.
    pub fn clear(&mut self) {
        self.buffer.clear();
        self.trains.clear();
        self.datagrams = 0;
    }

    /// The first datagrams, at most `segments_max` of them, that one system call can send.
    pub(super) fn front(&self, segments_max: usize) -> Option<(Train, &[u8])> {
        let mut train = *self.trains.front()?;
        let fit = (CALL_BYTES_MAX / train.segment.max(1)).clamp(1, segments_max.max(1));
        if train.datagrams > fit {
            train.bytes = train.segment * fit;
            train.datagrams = fit;
        }
        Some((train, &self.buffer[..train.bytes]))
    }

    /// Removes what [`front`](Self::front) returned.
    pub(super) fn advance(&mut self, gone: &Train) {
        self.buffer.advance(gone.bytes);
        self.datagrams -= gone.datagrams;
        if let Some(first) = self.trains.front_mut() {
            first.bytes -= gone.bytes;
            first.datagrams -= gone.datagrams;
            if first.datagrams == 0 {
                self.trains.pop_front();
            }
        }
        if self.is_empty() {
            // So that the memory is used from its beginning again.
            self.buffer.clear();
        }
    }
}

impl Train {
    /// Whether it is one datagram of which nothing has to be said to the kernel but where it goes.
    pub(super) const fn is_plain(&self) -> bool {
        self.datagrams == 1 && self.ecn.is_none() && self.from.is_none()
    }

    #[inline]
    fn takes(&self, to: &SocketAddr, from: Option<&IpAddr>, ecn: Option<Ecn>, payload: usize) -> bool {
        // One that is shorter ends it, and an empty one can't be told from no end.
        let is_whole = self.bytes == self.segment * self.datagrams;
        let fits = is_whole && payload <= self.segment && payload > 0;
        fits && self.to == *to && self.from.as_ref() == from && self.ecn == ecn
    }
}

/// What UDP over IPv4 can carry.
pub(super) const PAYLOAD_MAX: usize = 65_507;

/// What one system call may carry, all segments together: the kernel sees one large datagram until it cuts it.
const CALL_BYTES_MAX: usize = PAYLOAD_MAX;

/// A batch goes out in one turn of its driver: more would only wait.
const BYTES_MAX: usize = 1 << 20;

/// As above, for small ones.
const DATAGRAMS_MAX: usize = 4096;

/// Why a datagram is not in a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PushError {
    /// No datagram can be so large. Cut the item with [`fragment`](super::fragment).
    #[error("{bytes} bytes are more than a datagram carries (65507): cut them into fragments")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// The batch holds 1 MiB or 4096 datagrams. Send it first.
    #[error("the batch is full: send it first")]
    Full,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn trains(batch: &Batch) -> Vec<(u16, usize, usize)> {
        batch.trains.iter().map(|train| (train.to.port(), train.segment, train.datagrams)).collect()
    }

    #[test]
    fn neighbours_alike_travel_together_and_a_shorter_one_is_the_last() {
        let mut batch = Batch::default();
        for (port, size) in [(1, 10), (1, 10), (1, 4), (1, 4), (2, 4), (2, 0), (2, 4), (2, 9)] {
            batch.push(to(port), &vec![7; size]).unwrap();
        }
        assert_eq!(trains(&batch), [(1, 10, 3), (1, 4, 1), (2, 4, 1), (2, 0, 1), (2, 4, 1), (2, 9, 1)]);
    }

    #[test]
    fn one_by_one_they_come_out_as_they_went_in() {
        let (mut batch, sizes) = (Batch::default(), [10, 10, 4, 0, 4]);
        sizes.iter().for_each(|size| batch.push(to(1), &vec![*size as u8; *size]).unwrap());
        let popped: Vec<_> = std::iter::from_fn(|| batch.pop()).map(|(_, datagram)| datagram.len()).collect();
        assert_eq!((&popped[..], batch.is_empty(), batch.bytes()), (&sizes[..], true, 0));
    }

    #[test]
    fn one_call_carries_no_more_than_it_may() {
        let mut batch = Batch::default();
        for _ in 0..60 {
            batch.push(to(1), &[7; 1400]).unwrap();
        }
        let (train, bytes) = batch.front(64).unwrap();
        assert_eq!((train.datagrams, bytes.len()), (46, 46 * 1400));
        batch.advance(&train);
        let (train, _) = batch.front(8).unwrap();
        assert_eq!(train.datagrams, 8);
        batch.advance(&train);
        assert_eq!((batch.len(), batch.bytes()), (6, 6 * 1400));
    }

    #[test]
    fn what_no_datagram_can_carry_is_refused_and_a_full_batch_takes_no_more() {
        let mut batch = Batch::default();
        assert_eq!(batch.push(to(1), &[0; 65_508]), Err(PushError::TooLarge { bytes: 65_508 }));
        while batch.push(to(1), &[0; 65_507]).is_ok() {}
        assert_eq!(batch.push(to(1), &[0; 65_507]), Err(PushError::Full));
        assert!(batch.bytes() <= 1 << 20);
        batch.clear();
        assert!(batch.is_empty() && batch.front(1).is_none());
    }
}
