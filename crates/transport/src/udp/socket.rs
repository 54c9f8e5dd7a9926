//! The socket: batches out, batches in.

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};

use quinn_udp::{Transmit, UdpSockRef, UdpSocketState};
use socket2::{Domain, Protocol, SockRef, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;

use super::batch::{Batch, Train};
use super::inbox::Inbox;
use crate::tcp::ListenError;

/// How a socket is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// `SO_RCVBUF`: what may wait in the kernel until it is read; more is dropped there. Default 2 MiB, of which Linux gives what
    /// `net.core.rmem_max` allows, 208 KiB unless it was raised.
    pub receive_buffer: usize,
    /// `SO_SNDBUF`: what may wait in the kernel until it is sent. Default 2 MiB, by `net.core.wmem_max` likewise.
    pub send_buffer: usize,
    /// Whether the kernel takes and gives many datagrams at once (GSO, GRO, `recvmmsg`), and carries and tells of each its congestion mark
    /// and its address of ours. Default true.
    ///
    /// Off, each datagram is a plain system call, which is cheaper by a tenth where one comes at a time. Marks and local addresses are then
    /// neither sent nor known, and what is larger than the path carries is cut up by IP.
    pub batched: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { receive_buffer: 2 << 20, send_buffer: 2 << 20, batched: true }
    }
}

/// What a call has sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sent {
    /// Datagrams that the kernel took.
    pub datagrams: usize,
    /// System calls for them.
    pub calls: usize,
    /// Datagrams that the kernel did not take because they are larger than the path carries. They are dropped: cut items smaller.
    pub too_large: usize,
    /// Datagrams that the kernel did not take for another reason, such as no route. They are dropped.
    pub failed: usize,
}

/// A UDP socket of IPv4 or IPv6.
#[derive(Debug)]
pub struct Socket {
    io: UdpSocket,
    /// What the system can do with many; absent where each goes by itself.
    many: Option<UdpSocketState>,
}

impl Socket {
    /// Binds to an address; port 0 lets the system choose one. A socket of IPv6 takes no IPv4.
    ///
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    /// Each says what to do.
    pub fn bind(addr: SocketAddr, options: &Options) -> Result<Self, ListenError> {
        Self::try_bind(addr, options).map_err(|source| ListenError::new(addr, source))
    }

    fn try_bind(addr: SocketAddr, options: &Options) -> io::Result<Self> {
        let socket = socket2::Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        if addr.is_ipv6() {
            // So that `[::]` and `0.0.0.0` can be bound side by side, with the same meaning on every system.
            socket.set_only_v6(true)?;
        }
        socket.bind(&addr.into())?;
        socket.set_recv_buffer_size(options.receive_buffer)?;
        socket.set_send_buffer_size(options.send_buffer)?;
        let many = options.batched.then(|| UdpSocketState::new(UdpSockRef::from(&socket))).transpose()?;
        Ok(Self { io: UdpSocket::from_std(socket.into())?, many })
    }

    /// Where it is bound.
    ///
    /// # Errors
    /// What the system says.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.local_addr()
    }

    /// Datagrams that one system call can send, 1 where the system can't segment or was found not to.
    pub fn segments_max(&self) -> usize {
        self.many.as_ref().map_or(1, UdpSocketState::max_gso_segments)
    }

    /// What the kernel may hold for reading, in bytes: what it gave of [`Options::receive_buffer`], doubled on Linux for its own
    /// book-keeping.
    ///
    /// # Errors
    /// What the system says.
    pub fn receive_buffer(&self) -> io::Result<usize> {
        SockRef::from(&self.io).recv_buffer_size()
    }

    /// Sends the whole batch, and waits where the kernel takes no more.
    ///
    /// # Cancel safety
    /// What was sent is no longer in the batch, the rest is.
    ///
    /// # Errors
    /// When the socket itself fails. Datagrams that can't be sent are dropped and counted in [`Sent`].
    pub async fn send(&self, batch: &mut Batch) -> io::Result<Sent> {
        let mut sent = Sent::default();
        while !batch.is_empty() {
            let part = std::future::poll_fn(|cx| self.poll_send(cx, batch)).await?;
            sent.add(&part);
        }
        Ok(sent)
    }

    /// Sends of the batch what the kernel takes now. `Pending` means that it took nothing; the task is woken when that changes.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn poll_send(&self, cx: &mut Context<'_>, batch: &mut Batch) -> Poll<io::Result<Sent>> {
        loop {
            let sent = self.try_send(batch)?;
            if sent != Sent::default() || batch.is_empty() {
                return Poll::Ready(Ok(sent));
            }
            ready!(self.io.poll_send_ready(cx))?;
        }
    }

    /// Sends of the batch what the kernel takes at once.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn try_send(&self, batch: &mut Batch) -> io::Result<Sent> {
        let mut sent = Sent::default();
        while let Some((train, contents)) = batch.front(self.segments_max()) {
            match self.try_send_train(&train, contents) {
                Ok(()) => {
                    sent.datagrams += train.datagrams;
                    sent.calls += 1;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // The device can't segment after all, and the state remembers: the same ones again, one by one.
                Err(_) if train.datagrams > 1 && self.segments_max() == 1 => continue,
                Err(error) if quinn_udp::is_msg_size_err(&error) => sent.too_large += train.datagrams,
                // Without a number it is the runtime's: the socket is of no use any more. All else is about a datagram or its way.
                Err(error) if error.raw_os_error().is_none() => return Err(error),
                Err(_) => sent.failed += train.datagrams,
            }
            batch.advance(&train);
        }
        Ok(sent)
    }

    fn try_send_train(&self, train: &Train, contents: &[u8]) -> io::Result<()> {
        match &self.many {
            Some(many) if !train.is_plain() => self.io.try_io(Interest::WRITABLE, || {
                many.try_send(UdpSockRef::from(&self.io), &transmit(train, contents))
            }),
            // Without control messages, which cost a tenth of the call.
            _ => self.io.try_send_to(contents, train.to).map(drop),
        }
    }

    /// Receives what is there, at least one datagram, and returns how many. The inbox holds them until the next call.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    ///
    /// # Errors
    /// What the socket says.
    pub async fn recv(&self, inbox: &mut Inbox) -> io::Result<usize> {
        std::future::poll_fn(|cx| self.poll_recv(cx, inbox)).await
    }

    /// Receives what is there. `Pending` means nothing is; the task is woken when that changes.
    ///
    /// # Errors
    /// What the socket says.
    pub fn poll_recv(&self, cx: &mut Context<'_>, inbox: &mut Inbox) -> Poll<io::Result<usize>> {
        loop {
            match self.try_recv(inbox) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
            ready!(self.io.poll_recv_ready(cx))?;
        }
    }

    /// Receives what is there without waiting.
    ///
    /// # Errors
    /// `WouldBlock` where nothing is there; otherwise what the socket says.
    pub fn try_recv(&self, inbox: &mut Inbox) -> io::Result<usize> {
        match &self.many {
            Some(many) => self.io.try_io(Interest::READABLE, || {
                inbox.fill(|slices, metas| many.recv(UdpSockRef::from(&self.io), slices, metas))
            }),
            None => inbox.fill_each(|buffer| self.io.try_recv_from(buffer)),
        }
    }
}

fn transmit<'a>(train: &Train, contents: &'a [u8]) -> Transmit<'a> {
    Transmit {
        destination: train.to,
        ecn: train.ecn,
        contents,
        segment_size: (train.datagrams > 1).then_some(train.segment),
        src_ip: train.from,
    }
}

impl Sent {
    const fn add(&mut self, other: &Self) {
        self.datagrams += other.datagrams;
        self.calls += other.calls;
        self.too_large += other.too_large;
        self.failed += other.failed;
    }
}
