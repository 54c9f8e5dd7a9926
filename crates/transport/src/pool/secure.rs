//! Connections that are encrypted where their address says so.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use thiserror::Error;
use tokio::io::{AsyncRead, ReadBuf};

use super::connector::{Check, Connection, Connector, Liveness, Tcp};
use crate::Address;
use crate::tcp;
use crate::tls::{HandshakeError, Stream, client};

/// TCP, inside TLS for addresses that [say so](Address::is_tls).
#[derive(Clone, Debug, Default)]
pub struct Secure {
    tcp: Tcp,
    tls: Option<client::Connector>,
}

impl Secure {
    /// Connects with `tls` to addresses that are to be encrypted. Without it, to no such address.
    pub const fn new(tcp: Tcp, tls: Option<client::Connector>) -> Self {
        Self { tcp, tls }
    }
}

/// Why there is no connection.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SecureError {
    /// There is none at all.
    #[error(transparent)]
    Connect(#[from] tcp::ConnectError),
    /// There is one, but it can't be encrypted, or not with whom it should.
    #[error("no encrypted connection to {address}: {source}")]
    Tls {
        /// Who was called.
        address: Address,
        /// What went wrong.
        source: HandshakeError,
    },
    /// The caller has not said whom to trust.
    #[error("{0} is to be encrypted, and nothing was set up for that: give the pool a TLS connector")]
    NotSetUp(Address),
}

impl Connector for Secure {
    type Address = Address;
    type Connection = Stream;
    type Error = SecureError;

    async fn connect(&self, address: &Address) -> Result<Stream, SecureError> {
        let tls = match &self.tls {
            Some(tls) if address.is_tls() => Some(tls),
            None if address.is_tls() => return Err(SecureError::NotSetUp(address.clone())),
            _ => None,
        };
        let stream = self.tcp.connect(address).await?;
        match tls {
            None => Ok(Stream::plain(stream)),
            Some(tls) => {
                let handshake = tls.connect(address.host(), stream).await;
                handshake.map_err(|source| SecureError::Tls { address: address.clone(), source })
            }
        }
    }
}

impl Connection for Stream {
    fn liveness(&mut self, check: Check) -> Liveness {
        if !self.is_encrypted() {
            return self.socket_mut().liveness(check);
        }
        // By the kernel always: what the reactor knows is told by a read, and that would take a byte of a record.
        let seen = self.socket_mut().liveness(Check::Kernel);
        if seen != Liveness::Unread {
            return seen;
        }
        // Bytes need not be of an answer: servers send tickets to resume a session by whenever they like (RFC 8446, section 4.6.1). To
        // read them is to be rid of them.
        let mut room = [0];
        let mut unread = ReadBuf::new(&mut room);
        match Pin::new(&mut *self).poll_read(&mut Context::from_waker(Waker::noop()), &mut unread) {
            Poll::Ready(Ok(())) if !unread.filled().is_empty() => Liveness::Unread,
            Poll::Ready(_) => Liveness::Closed,
            // What is left lying is not yet known to the reactor, or half a record: there is no telling of what.
            Poll::Pending => self.socket_mut().liveness(Check::Kernel),
        }
    }
}
