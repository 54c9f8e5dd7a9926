//! One connection: the handshake, and the session that follows.

mod drain;
mod handshake;
mod keepalive;
pub(crate) mod packing;
mod pending;
mod session;

use std::io;

use nyx_transport::read::Reader;
use nyx_transport::tls::Stream;
use thiserror::Error;

pub(crate) use handshake::connect;
pub(crate) use session::Session;

use crate::Refusal;
use crate::error::ProtocolError;

/// A connection that the hub has welcomed.
#[derive(Debug)]
pub(crate) struct Link {
    stream: Stream,
    /// What came behind the welcome is in here.
    reader: Reader,
    /// Whether the hub takes blocks.
    takes_blocks: bool,
}

/// Why a session is over.
#[derive(Debug, Error)]
pub(crate) enum End {
    /// The client was closed, and all is written.
    #[error("closed")]
    Closed,
    #[error("the hub closed the connection")]
    ByHub,
    #[error("the hub says goodbye: {0}")]
    Goodbye(String),
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
    #[error("the hub does not keep to the protocol: {0}")]
    Protocol(#[from] ProtocolError),
    #[error(transparent)]
    Refused(Refusal),
    #[error("the hub has been silent for 30 s")]
    Silent,
}
