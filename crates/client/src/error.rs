//! What the hub refuses, and the errors of the operations of a [`Client`](crate::Client).

use nyx_protocol::compress::dictionary::InsertError;
use nyx_protocol::control::{self, ErrorCode};
use nyx_protocol::wire::DecodeError;
use nyx_transport::{Address, tcp, tls};
use thiserror::Error;

/// The hub's no, to a topic, a message or a subscription. This side erred.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the hub refused {}: {message}", about(subject))]
#[non_exhaustive]
pub struct Refusal {
    /// Why, for a program.
    pub code: ErrorCode,
    /// Why, and what to do, in the hub's words.
    pub message: String,
    /// The topic or pattern that it is about; empty when it is about the connection.
    pub subject: String,
}

impl Refusal {
    pub(crate) fn new(error: control::Error, subject: &str) -> Self {
        Self { code: error.code(), message: error.message, subject: subject.to_owned() }
    }
}

/// Why [`Client::connect`](crate::Client::connect) has no connection.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The socket could not be connected.
    #[error(transparent)]
    Tcp(#[from] tcp::ConnectError),
    /// The connection broke before the hub had answered.
    #[error(
        "{address} closed the connection before it answered: is it the hub's native port (6990, not 6991)? {source}"
    )]
    Io {
        /// Who was called.
        address: Address,
        /// What the system says.
        source: std::io::Error,
    },
    /// What answered is no hub.
    #[error("{address} is no Nyx hub of this version: {source}")]
    NotAHub {
        /// Who was called.
        address: Address,
        /// What is wrong with its answer.
        source: ProtocolError,
    },
    /// The hub did not answer within the connect timeout.
    #[error("{0} took the connection but did not answer in time: is it a Nyx hub, and is it alive?")]
    Silent(Address),
    /// Nothing came back, which over datagrams may mean that nobody listens there.
    #[error(
        "nothing came back from {0}: is it a Nyx hub that listens for datagrams (listen.udp), and is it alive?"
    )]
    NoAnswer(Address),
    /// No socket for datagrams could be had.
    #[error("no socket to reach {address}: {source}")]
    Socket {
        /// Who was called.
        address: Address,
        /// What the system says.
        source: tcp::ListenError,
    },
    /// The host of an address for datagrams is not known.
    #[error("can't find the host of {address}: {source}")]
    NoSuchHost {
        /// Who was called.
        address: Address,
        /// What the system says.
        source: std::io::Error,
    },
    /// The hub refused the session: the token is missing or not good, say.
    #[error(transparent)]
    Refused(Refusal),
    /// No encrypted connection came about.
    #[error("no TLS with {address}: {source}")]
    Tls {
        /// Who was called.
        address: Address,
        /// Why, and what to do.
        source: tls::HandshakeError,
    },
    /// The certificates of this side can't be used.
    #[error(transparent)]
    Certificates(tls::LoadError),
    /// The token would be sent so that everybody on the way could read it.
    #[error(
        "the token is not sent to {0} in clear: call it as nyxs://, or allow it where the network is trusted (--token-in-clear)"
    )]
    TokenInClear(Address),
}

/// What a hub sent that can't be understood. The hub erred.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// The stream holds no messages.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// A control message does not decode.
    #[error(transparent)]
    Control(#[from] control::ParseError),
    /// A dictionary that can't be used.
    #[error(transparent)]
    Dictionary(#[from] InsertError),
    /// A message that has no place there.
    #[error("unexpected {0}")]
    Unexpected(&'static str),
}

/// Why there is no publisher.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AdvertiseError {
    /// The hub refused the topic: its name, its kind, or one too many.
    #[error(transparent)]
    Refused(Refusal),
    /// A connection has at most 65,535 publishers. Use one topic for more, or drop some.
    #[error("this connection has 65,535 publishers already: drop some, or make another client")]
    TooMany,
    /// The client was closed.
    #[error("the client was closed")]
    Closed,
}

/// Why there is no subscription.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// The hub refused the pattern, or one too many.
    #[error(transparent)]
    Refused(Refusal),
    /// The client was closed.
    #[error("the client was closed")]
    Closed,
}

/// Why it is not certain that all was taken in.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FlushError {
    /// The hub refused something that was sent. The rest was taken in. It is reported once here, and by the next send
    /// of the publisher that it concerns.
    #[error(transparent)]
    Refused(Refusal),
    /// The connection was lost before the hub had confirmed. Send again what must not be lost, if duplicates are
    /// harmless; [`Stats`](crate::Stats) counts such messages.
    #[error("the connection was lost before the hub had confirmed everything: {}", doubt(*unconfirmed))]
    Interrupted {
        /// How many messages were written and not confirmed.
        unconfirmed: u64,
    },
    /// The client was closed.
    #[error("the client was closed")]
    Closed,
}

fn about(subject: &str) -> String {
    if subject.is_empty() { "the connection".to_owned() } else { format!("`{subject}`") }
}

fn doubt(unconfirmed: u64) -> String {
    match unconfirmed {
        0 => "what was sent is not in doubt, what waits is sent on the next one".to_owned(),
        1 => "the last message may not have arrived".to_owned(),
        more => format!("the last {more} messages may not have arrived"),
    }
}
