//! What is pooled: how it is made, and whether it still lives.

use std::fmt::{Debug, Display};
use std::future::Future;
use std::hash::Hash;
use std::io;
use std::mem::MaybeUninit;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::Address;
use crate::tcp;

/// Makes the connections of a [`Pool`](super::Pool).
pub trait Connector: Send + Sync + 'static {
    /// Who can be connected to.
    type Address: Clone + Eq + Hash + Debug + Display + Send + Sync + 'static;
    /// What a connection is.
    type Connection: Connection;
    /// Why there is none.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Connects. The pool gives up after its `connect_timeout` by dropping the future.
    ///
    /// # Errors
    /// When the address can't be reached; it is then left alone for a while.
    fn connect(
        &self,
        address: &Self::Address,
    ) -> impl Future<Output = Result<Self::Connection, Self::Error>> + Send;
}

/// What a pool has to know of a connection at rest.
pub trait Connection: Send + 'static {
    /// Whether it could be used now. It is called before each use, and must not block.
    fn liveness(&mut self, check: Check) -> Liveness;
}

/// How closely to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// By what the reactor has seen so far: as cheap as it can be.
    Readiness,
    /// By asking the kernel.
    Kernel,
}

/// What became of a connection while it rested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Liveness {
    /// It is silent and open.
    Alive,
    /// The peer closed or reset it.
    Closed,
    /// There are bytes in it that nobody asked for.
    Unread,
}

impl Connection for TcpStream {
    #[inline]
    fn liveness(&mut self, check: Check) -> Liveness {
        match check {
            Check::Kernel => peek(self).0,
            Check::Readiness => {
                // Where the reactor has seen nothing there is no system call.
                let mut seen = Liveness::Alive;
                let _ = self.try_io(Interest::READABLE, || {
                    let (liveness, peeked) = peek(self);
                    seen = liveness;
                    peeked
                });
                seen
            }
        }
    }
}

/// Asks the kernel what there is to read.
fn peek(stream: &TcpStream) -> (Liveness, io::Result<usize>) {
    let peeked = SockRef::from(stream).peek(&mut [MaybeUninit::uninit()]);
    let liveness = match &peeked {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Liveness::Alive,
        Ok(0) | Err(_) => Liveness::Closed,
        Ok(_) => Liveness::Unread,
    };
    (liveness, peeked)
}

/// Plain TCP.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tcp {
    /// How the connections are set up.
    pub options: tcp::Options,
}

impl Connector for Tcp {
    type Address = Address;
    type Connection = TcpStream;
    type Error = tcp::ConnectError;

    async fn connect(&self, address: &Address) -> Result<TcpStream, tcp::ConnectError> {
        // The pool's own time is shorter, or is meant to be longer.
        let stream = tcp::connect(address, Duration::MAX).await?;
        tcp::apply(&stream, &self.options)
            .map_err(|source| tcp::ConnectError::Io { address: address.clone(), source })?;
        Ok(stream)
    }
}
