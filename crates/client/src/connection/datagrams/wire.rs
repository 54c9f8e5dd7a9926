//! Datagrams and timers, between a socket and a connection's value.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::task::{Context, Poll};

use nyx_core::clock::Monotonic;
use nyx_core::{Clock as _, Instant};
use nyx_transport::alarm::Alarm;
use nyx_transport::tcp::ListenError;
use nyx_transport::udp::connection::{Config, Connection};
use nyx_transport::udp::{Batch, Inbox, Options, Socket};

/// One socket, for one hub.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) connection: Connection,
    socket: Socket,
    peer: SocketAddr,
    inbox: Inbox,
    batch: Batch,
    alarm: Alarm,
    /// Kept for its memory.
    datagram: Vec<u8>,
}

/// Datagrams, or trains of them, that are received at a time.
const RECEIVE: usize = 8;

/// What is handed to the socket at a time: what is sent after it may be fresher.
const SEND_BYTES: usize = 64 * 1024;

impl Wire {
    pub(super) fn new(clock: Monotonic, peer: SocketAddr) -> Result<Self, ListenError> {
        let here: SocketAddr = match peer {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        Ok(Self {
            connection: Connection::client(clock.now(), fastrand::u64(..), Config::default()),
            socket: Socket::bind(here, &Options::default())?,
            peer,
            inbox: Inbox::with_buffers(RECEIVE),
            batch: Batch::default(),
            alarm: Alarm::default(),
            datagram: Vec::new(),
        })
    }

    /// Receives, does what is due, and sends. Says whether anything came.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, now: Instant) -> io::Result<bool> {
        if self.connection.poll_timeout().is_some_and(|at| at <= now) {
            self.connection.handle_timeout(now);
        }
        let received = match self.socket.poll_recv(cx, &mut self.inbox) {
            Poll::Pending => false,
            Poll::Ready(Ok(_)) => {
                for datagram in self.inbox.iter().filter(|datagram| datagram.source == self.peer) {
                    // What can't be read is counted by the connection.
                    let _ = self.connection.handle_datagram(now, datagram.payload);
                }
                true
            }
            // Such an error is about something that was sent.
            Poll::Ready(Err(error)) if error.raw_os_error().is_some() => true,
            Poll::Ready(Err(error)) => return Err(error),
        };
        self.poll_send(cx, now)?;
        Ok(received)
    }

    /// Sends what may be sent now.
    pub(super) fn poll_send(&mut self, cx: &mut Context<'_>, now: Instant) -> io::Result<()> {
        loop {
            while self.batch.bytes() < SEND_BYTES && self.connection.poll_transmit(now, &mut self.datagram) {
                // There is room: a datagram is far smaller than a batch.
                let _ = self.batch.push(self.peer, &self.datagram);
            }
            if self.batch.is_empty() {
                return Ok(());
            }
            match self.socket.poll_send(cx, &mut self.batch) {
                // What the system does not take is as if it had been lost on the way.
                Poll::Ready(sent) => drop(sent?),
                Poll::Pending => return Ok(()),
            }
        }
    }

    /// Ready when the connection, or somebody at `also`, has something to do.
    pub(super) fn poll_alarm(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
        also: Option<Instant>,
    ) -> Poll<()> {
        let due = self.connection.poll_timeout().into_iter().chain(also).min();
        self.alarm.poll(cx, now, due)
    }
}
