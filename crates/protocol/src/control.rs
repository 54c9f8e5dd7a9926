//! Control messages: who is there, what is published and subscribed, what was lost.
//!
//! The types are those of `proto/control.proto`; `docs/WIRE.md` says when each is sent.

use bytes::{Buf, Bytes, BytesMut};
use prost::Message as _;
use thiserror::Error;

use crate::wire::{self, HEADER_LEN, Header, MAX_CONTROL_LEN};

/// The version of the protocol that this crate speaks.
pub const VERSION: u32 = 1;

/// Appends a whole control message to `out`.
///
/// ```
/// use nyx_protocol::control::{self, Body, Ping};
///
/// let mut out = bytes::BytesMut::new();
/// control::put(&mut out, Ping { nonce: 7 });
/// assert_eq!(control::parse(&out).unwrap(), Some(Body::Ping(Ping { nonce: 7 })));
/// ```
pub fn put(out: &mut BytesMut, body: impl Into<Body>) {
    let control = Control { body: Some(body.into()) };
    let length = control.encoded_len();
    debug_assert!(length <= MAX_CONTROL_LEN, "callers keep names and lists short");
    let header = Header { length: length as u32, ..Header::CONTROL };
    let start = out.len();
    // Room at once: fields are then written without asking for it one by one.
    out.resize(start + HEADER_LEN + length, 0);
    let (head, mut payload) = out[start..].split_at_mut(HEADER_LEN);
    head.copy_from_slice(&header.to_bytes());
    control.encode_raw(&mut payload);
}

/// Reads a whole control message, header included, as [`wire::scan`] delimits it. `None` is a message that a later
/// version of the protocol defines: it is to be ignored.
///
/// # Errors
/// When the payload is no such message; the peer erred, and the stream can't be trusted any more.
pub fn parse(message: &[u8]) -> Result<Option<Body>, ParseError> {
    decode(message)
}

/// The same, without copies: what it holds of bytes are slices of the message, and keep all of its memory.
///
/// # Errors
/// As [`parse`].
pub fn parse_shared(message: Bytes) -> Result<Option<Body>, ParseError> {
    decode(message)
}

fn decode(mut message: impl Buf) -> Result<Option<Body>, ParseError> {
    if !(HEADER_LEN..=HEADER_LEN + MAX_CONTROL_LEN).contains(&message.remaining()) {
        return Err(ParseError::Truncated);
    }
    message.advance(HEADER_LEN);
    Ok(Control::decode(message)?.body)
}

/// Why a control message could not be read.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum ParseError {
    /// It is no whole message.
    #[error("a control message is cut off or too long")]
    Truncated,
    /// Its payload is no protobuf of the schema.
    #[error("a control message does not decode: {0}")]
    Protobuf(#[from] prost::DecodeError),
}

impl From<wire::Kind> for Kind {
    fn from(kind: wire::Kind) -> Self {
        match kind {
            wire::Kind::State => Self::State,
            wire::Kind::Frame => Self::Frame,
            wire::Kind::Audio => Self::Audio,
            wire::Kind::Event => Self::Event,
        }
    }
}

impl Kind {
    /// The kind on the wire; `None` where the sender left it out.
    pub const fn to_wire(self) -> Option<wire::Kind> {
        match self {
            Self::Unspecified => None,
            Self::State => Some(wire::Kind::State),
            Self::Frame => Some(wire::Kind::Frame),
            Self::Audio => Some(wire::Kind::Audio),
            Self::Event => Some(wire::Kind::Event),
        }
    }
}

impl Lane {
    /// The lane that was asked for; `None` where the sender leaves it to the kind.
    pub const fn to_lane(self) -> Option<nyx_core::Lane> {
        match self {
            Self::Default => None,
            Self::High => Some(nyx_core::Lane::High),
            Self::Medium => Some(nyx_core::Lane::Medium),
            Self::Low => Some(nyx_core::Lane::Low),
        }
    }
}

impl From<nyx_core::Lane> for Lane {
    fn from(lane: nyx_core::Lane) -> Self {
        match lane {
            nyx_core::Lane::High => Self::High,
            nyx_core::Lane::Medium => Self::Medium,
            nyx_core::Lane::Low => Self::Low,
        }
    }
}

macro_rules! bodies {
    ($($message:ident),* $(,)?) => {
        $(impl From<$message> for Body {
            fn from(message: $message) -> Self {
                Self::$message(message)
            }
        })*
    };
}

bodies!(
    Hello,
    Welcome,
    Error,
    Advertise,
    Advertised,
    Subscribe,
    Subscribed,
    Unsubscribe,
    Announce,
    Ack,
    Gap,
    Ping,
    Pong,
    Resync,
    Goodbye,
    Dictionary,
    Retire,
    Compression,
    Results,
    Serve,
    Served,
    Unadvertise,
    Unserve,
    Request,
    Reply,
    Cancel,
    Passed,
);

impl std::fmt::Debug for Hello {
    /// Without the token: what is logged must not let anybody in.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { version, name, acknowledges, token, blocks } = self;
        let token = if token.is_empty() { "none" } else { "hidden" };
        let mut hello = f.debug_struct("Hello");
        hello.field("version", version).field("name", name).field("acknowledges", acknowledges);
        hello.field("token", &token).field("blocks", blocks).finish()
    }
}

pub use control::Body;
pub use schema::*;

mod schema {
    // Generated from proto/control.proto, whose comments are the documentation.
    #![allow(missing_docs, unused_qualifications, clippy::use_self)]
    include!(concat!(env!("OUT_DIR"), "/nyx.v1.rs"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_body_is_ignored() {
        // Field 99, a string.
        let mut message = Header { length: 5, ..Header::CONTROL }.to_bytes().to_vec();
        message.extend_from_slice(&[0x9a, 0x06, 2, b'h', b'i']);
        assert_eq!(parse(&message), Ok(None));
    }

    #[test]
    fn what_is_shared_is_the_same_and_not_copied() {
        let mut out = BytesMut::new();
        put(&mut out, Reply { id: 7, status: 0, body: Bytes::from_static(b"yes") });
        let message = out.freeze();
        let parsed = parse_shared(message.clone());
        assert_eq!(parsed, parse(&message));
        let Ok(Some(Body::Reply(reply))) = parsed else { panic!("a reply") };
        assert!(message.as_ptr_range().contains(&reply.body.as_ptr()));
    }

    #[test]
    fn a_token_is_not_printed() {
        let hello = Body::Hello(Hello { token: "open sesame".to_owned(), ..Hello::default() });
        assert!(!format!("{hello:?}").contains("sesame"));
    }

    #[test]
    fn garbage_is_an_error() {
        let mut message = Header { length: 3, ..Header::CONTROL }.to_bytes().to_vec();
        message.extend_from_slice(&[0xff, 0xff, 0xff]);
        assert!(matches!(parse(&message), Err(ParseError::Protobuf(_))));
        assert_eq!(parse(&[0; 3]), Err(ParseError::Truncated));
        assert_eq!(parse(&vec![0; HEADER_LEN + MAX_CONTROL_LEN + 1]), Err(ParseError::Truncated));
    }
}
