//! Datagrams that have arrived.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use nyx_core::pool::Pool;
use quinn_udp::{BATCH_SIZE, RecvMeta};

use super::Ecn;
use super::shelf::{BUFFER, Shelf};

/// Memory for what one call receives. One serves all sockets of a task, in turn: a socket that waits needs none.
///
/// The memory is 2 MiB of address space, of which the system gives only the part that datagrams have reached. What is looked at where it
/// lies ([`iter`](Self::iter)) costs no more; what is kept ([`drain`](Self::drain)) leaves in memory of its own.
#[derive(Debug)]
pub struct Inbox {
    buffers: Vec<Box<[u8]>>,
    metas: Vec<RecvMeta>,
    /// Buffers that the last call filled.
    filled: usize,
    /// Buffers that the next call is offered. The system looks at each of them for a call, which where one datagram comes at a time costs more than to
    /// receive it.
    offered: usize,
    /// Where copies go that are kept.
    pool: Pool,
    /// Buffers that left, and come back.
    shelf: Shelf,
}

/// One datagram of an [`Inbox`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Datagram<'a> {
    /// Who sent it; anybody can claim to be anybody.
    pub source: SocketAddr,
    /// To which of our addresses, where the system says.
    pub local: Option<IpAddr>,
    /// Its congestion mark.
    pub ecn: Option<Ecn>,
    /// What it carries.
    pub payload: &'a [u8],
}

/// One datagram that has left its [`Inbox`], to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Received {
    /// Who sent it; anybody can claim to be anybody.
    pub source: SocketAddr,
    /// To which of our addresses, where the system says.
    pub local: Option<IpAddr>,
    /// Its congestion mark.
    pub ecn: Option<Ecn>,
    /// What it carries.
    pub payload: Bytes,
    /// Bytes of memory that the payload and its clones keep, at most: the pool's block of a copy, or the 64 KiB that it was received into.
    pub held: usize,
}

impl Inbox {
    /// Room for as much as the system gives at once.
    pub fn new() -> Self {
        Self::with_buffers(BATCH_SIZE)
    }

    /// Room for so many datagrams, or trains of datagrams that the kernel has put together, at least one. A call is offered about as much of it as
    /// the last ones have filled, so a large one costs nothing where few arrive at a time.
    pub fn with_buffers(buffers: usize) -> Self {
        Self::with_pool(buffers, Pool::default())
    }

    /// The same, with the pool that copies are taken from.
    pub fn with_pool(buffers: usize, pool: Pool) -> Self {
        let buffers = buffers.clamp(1, BATCH_SIZE);
        let shelf = Shelf::default();
        Self {
            buffers: (0..buffers).map(|_| shelf.take()).collect(),
            metas: vec![RecvMeta::default(); buffers],
            filled: 0,
            offered: buffers,
            pool,
            shelf,
        }
    }

    /// What the last call received, in order of arrival.
    pub fn iter(&self) -> impl Iterator<Item = Datagram<'_>> {
        let filled = self.buffers.iter().zip(&self.metas).take(self.filled);
        filled.flat_map(|(buffer, meta)| datagrams(buffer, meta))
    }

    /// What the last call received, in order of arrival, to be kept. What is not taken out of the iterator is dropped.
    ///
    /// A datagram under 16 KiB is copied out, from the pool, so that it does not keep the 64 KiB that it was received into. A larger one
    /// leaves where it lies, and the inbox gets another buffer: a new one, or one that has come back. Where 32 are out at once, large
    /// ones are copied as well.
    ///
    /// ```
    /// use nyx_transport::udp::{Batch, Inbox, Options, Socket};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let socket = Socket::bind("127.0.0.1:0".parse()?, &Options::default())?;
    /// let mut batch = Batch::default();
    /// batch.push(socket.local_addr()?, &[7; 1000])?;
    /// socket.send(&mut batch).await?;
    ///
    /// let mut inbox = Inbox::new();
    /// socket.recv(&mut inbox).await?;
    /// let kept: Vec<_> = inbox.drain().collect();
    /// assert_eq!((&kept[0].payload[..], kept[0].held), (&[7; 1000][..], 1024 + 64));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub fn drain(&mut self) -> impl Iterator<Item = Received> {
        let filled = std::mem::take(&mut self.filled);
        let (pool, shelf) = (&self.pool, &self.shelf);
        let filled = self.buffers.iter_mut().zip(&self.metas).take(filled);
        filled.flat_map(move |(buffer, meta)| {
            let whole = if stride(meta) < LEND_MIN { None } else { shelf.lend(buffer) };
            Pieces { buffer, whole, pool, meta, next: 0 }
        })
    }

    /// Buffers of 64 KiB that are kept by payloads which were not copied.
    pub fn lent(&self) -> usize {
        self.shelf.lent()
    }

    pub(super) fn fill(
        &mut self,
        recv: impl FnOnce(&mut [IoSliceMut<'_>], &mut [RecvMeta]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        self.filled = 0;
        let offered = &mut self.buffers[..self.offered];
        if let [buffer] = offered {
            // Making room for 32 costs a tenth of receiving one.
            self.filled = recv(&mut [IoSliceMut::new(buffer)], &mut self.metas)?;
        } else {
            let mut slices: [IoSliceMut<'_>; BATCH_SIZE] = std::array::from_fn(|_| IoSliceMut::new(&mut []));
            let count = offered.len();
            for (slice, buffer) in slices.iter_mut().zip(offered) {
                *slice = IoSliceMut::new(buffer);
            }
            self.filled = recv(&mut slices[..count], &mut self.metas)?;
        }
        self.offered = next_offer(self.offered, self.filled).min(self.buffers.len());
        Ok(self.metas[..self.filled].iter().map(count_of).sum())
    }

    /// The same, where a call receives one.
    pub(super) fn fill_each(
        &mut self,
        mut recv: impl FnMut(&mut [u8]) -> io::Result<(usize, SocketAddr)>,
    ) -> io::Result<usize> {
        self.filled = 0;
        for (buffer, meta) in self.buffers.iter_mut().zip(&mut self.metas) {
            match recv(buffer) {
                Ok((len, addr)) => {
                    // Another socket may have told more of another datagram.
                    *meta = RecvMeta::default();
                    (meta.addr, meta.len, meta.stride) = (addr, len, len);
                }
                // What came before is told first; the socket says it again.
                Err(_) if self.filled > 0 => break,
                Err(error) => return Err(error),
            }
            self.filled += 1;
        }
        Ok(self.filled)
    }
}

impl Default for Inbox {
    fn default() -> Self {
        Self::new()
    }
}

/// How many buffers to offer after so many of those offered were filled: more where there may have been more, and fewer step by step, so
/// that one small call between two bursts changes little.
fn next_offer(offered: usize, filled: usize) -> usize {
    if filled == offered { 2 * offered } else { filled.max(offered / 2).max(1) }
}

/// The datagrams of a buffer, leaving it.
struct Pieces<'a> {
    /// Where they lie; another buffer, if the one in which they lie has left.
    buffer: &'a [u8],
    whole: Option<Bytes>,
    pool: &'a Pool,
    meta: &'a RecvMeta,
    next: usize,
}

impl Iterator for Pieces<'_> {
    type Item = Received;

    fn next(&mut self) -> Option<Received> {
        let number = self.next;
        if number == count_of(self.meta) {
            return None;
        }
        self.next += 1;
        let bytes = self.whole.as_deref().unwrap_or(self.buffer);
        let range = range(bytes.len(), self.meta, number);
        let (payload, held) = match &self.whole {
            Some(whole) if range.len() >= LEND_MIN => (whole.slice(range), BUFFER),
            _ => copy(self.pool, &bytes[range]),
        };
        Some(Received { source: self.meta.addr, local: self.meta.dst_ip, ecn: self.meta.ecn, payload, held })
    }
}

/// A copy, and the memory that it takes.
fn copy(pool: &Pool, payload: &[u8]) -> (Bytes, usize) {
    (pool.copy_from_slice(payload), pool.copy_cost(payload.len()))
}

/// The kernel puts datagrams of one sender and one size together; the last may be shorter.
fn datagrams<'a>(buffer: &'a [u8], meta: &RecvMeta) -> impl Iterator<Item = Datagram<'a>> {
    let RecvMeta { addr: source, dst_ip: local, ecn, .. } = *meta;
    let (mut rest, stride) = (&buffer[..meta.len.min(buffer.len())], stride(meta));
    (0..count_of(meta)).map(move |_| {
        let (payload, after) = rest.split_at(stride.min(rest.len()));
        rest = after;
        Datagram { source, local, ecn, payload }
    })
}

/// Where a datagram lies. An empty one is one, too.
fn range(buffer: usize, meta: &RecvMeta, number: usize) -> std::ops::Range<usize> {
    let filled = meta.len.min(buffer);
    let start = (number * stride(meta)).min(filled);
    start..(start + stride(meta)).min(filled)
}

fn count_of(meta: &RecvMeta) -> usize {
    meta.len.div_ceil(stride(meta)).max(1)
}

fn stride(meta: &RecvMeta) -> usize {
    meta.stride.max(1)
}

/// A payload that is a quarter of a buffer or more leaves with it: what is kept is never more than four times what it carries, as in the hub's
/// rings.
const LEND_MIN: usize = BUFFER / 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_offered_what_the_last_ones_have_filled() {
        let mut inbox = Inbox::new();
        let mut offered_when = |waiting: usize| {
            let mut offered = 0;
            let filled = inbox.fill(|buffers, _| {
                offered = buffers.len();
                Ok(waiting.min(offered))
            });
            assert_eq!(filled.ok(), Some(waiting.min(offered)));
            offered
        };
        assert_eq!([1, 1, 1, 1, 1, 1, 1].map(&mut offered_when), [32, 16, 8, 4, 2, 1, 2]);
        assert_eq!(
            [40, 40, 40, 40, 40, 40, 40, 1, 40].map(&mut offered_when),
            [1, 2, 4, 8, 16, 32, 32, 32, 16]
        );
    }
}
