//! Datagrams that have arrived.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr};

use quinn_udp::{BATCH_SIZE, RecvMeta};

use super::Ecn;

/// Memory for what one call receives. One serves all sockets of a task, in turn: a socket that waits needs none.
///
/// The memory is 2 MiB of address space, of which the system gives only the part that datagrams have reached.
#[derive(Debug)]
pub struct Inbox {
    buffers: Vec<Box<[u8]>>,
    metas: Vec<RecvMeta>,
    /// Buffers that the last call filled.
    filled: usize,
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

impl Inbox {
    /// Room for as much as the system gives at once.
    pub fn new() -> Self {
        Self::with_buffers(BATCH_SIZE)
    }

    /// Room for so many datagrams, or trains of datagrams that the kernel has put together, at least one. Where few arrive at a time,
    /// a small one is quicker.
    pub fn with_buffers(buffers: usize) -> Self {
        let buffers = buffers.clamp(1, BATCH_SIZE);
        Self {
            buffers: (0..buffers).map(|_| vec![0; BUFFER].into_boxed_slice()).collect(),
            metas: vec![RecvMeta::default(); buffers],
            filled: 0,
        }
    }

    /// What the last call received, in order of arrival.
    pub fn iter(&self) -> impl Iterator<Item = Datagram<'_>> {
        let filled = self.buffers.iter().zip(&self.metas).take(self.filled);
        filled.flat_map(|(buffer, meta)| datagrams(buffer, meta))
    }

    pub(super) fn fill(
        &mut self,
        recv: impl FnOnce(&mut [IoSliceMut<'_>], &mut [RecvMeta]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        self.filled = 0;
        let mut slices: [IoSliceMut<'_>; BATCH_SIZE] = std::array::from_fn(|_| IoSliceMut::new(&mut []));
        let count = self.buffers.len();
        for (slice, buffer) in slices.iter_mut().zip(&mut self.buffers) {
            *slice = IoSliceMut::new(buffer);
        }
        self.filled = recv(&mut slices[..count], &mut self.metas)?;
        Ok(self.metas[..self.filled].iter().map(count_of).sum())
    }
}

impl Default for Inbox {
    fn default() -> Self {
        Self::new()
    }
}

/// The kernel puts datagrams of one sender and one size together; the last may be shorter.
fn datagrams<'a>(buffer: &'a [u8], meta: &RecvMeta) -> impl Iterator<Item = Datagram<'a>> {
    let (source, local, ecn) = (meta.addr, meta.dst_ip, meta.ecn);
    let bytes = &buffer[..meta.len.min(buffer.len())];
    let stride = meta.stride.max(1);
    // An empty datagram is one, too.
    let count = count_of(meta);
    (0..count).map(move |number| {
        let start = (number * stride).min(bytes.len());
        let end = (start + stride).min(bytes.len());
        Datagram { source, local, ecn, payload: &bytes[start..end] }
    })
}

fn count_of(meta: &RecvMeta) -> usize {
    meta.len.div_ceil(meta.stride.max(1)).max(1)
}

/// The largest train that the kernel puts together, and the largest datagram.
const BUFFER: usize = 64 * 1024;
