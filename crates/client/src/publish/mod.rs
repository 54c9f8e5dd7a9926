//! Publisher handles, one per topic, and what they send.
//!
//! Handles are cheap to clone; clones publish to the same topic, and each one's messages stay in order.

mod acknowledged;
mod audio;
mod blocks;
mod events;
mod frames;
mod payload;
mod publisher;
mod receipt;
mod state;

use std::time::Duration;

use nyx_protocol::control::Lane;
use nyx_protocol::state::{PatchError, Rules};
use nyx_protocol::trail::Trail;
use thiserror::Error;

pub use acknowledged::Acknowledged;
pub use audio::Audio;
pub use events::Events;
pub use frames::{Frame, Frames};
pub use payload::Payload;
pub(crate) use publisher::{Handle, Publisher, cut};
pub(crate) use receipt::Promise;
pub use receipt::{Accepted, Receipt, Receipts, Refused};
pub use state::State;

use crate::{Compression, EventCodec, Refusal};

/// What the hub is told about a topic, if this publisher is the one that creates it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// How old an item may become before it is dropped instead of delivered, in whole milliseconds. Default: the kind's own.
    pub max_age: Option<Duration>,
    /// The lane that the topic's messages take where they share a connection, and within a batch on the way to the hub. Default: the
    /// kind's own.
    pub lane: Lane,
    /// A media type such as `image/jpeg`, at most 255 bytes. Default empty: not known.
    pub content_type: String,
    /// What [`Events::send`] and [`Events::send_batch`] say that the payloads are. Default: bytes.
    pub codec: EventCodec,
    /// What [`State::set`] publishes less exactly, less often or not at all. Default: everything as it is.
    pub rules: Rules,
    /// Of what is forwarded from hub to hub: which it has passed. Default: none. A hub that it has passed takes nothing of it.
    pub passed: Trail,
    /// What this publisher may compress by. Default: whatever the measurements of the connection say is best, which is nothing
    /// while it takes more than 4 MB/s. A level is used on any. Sound is packed without loss wherever that makes it smaller, unless
    /// this says that nothing may be packed.
    pub compression: Compression,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_age: None,
            lane: Lane::Default,
            content_type: String::new(),
            codec: EventCodec::Bytes,
            rules: Rules::default(),
            passed: Trail::default(),
            compression: Compression::Auto,
        }
    }
}

/// A message that was not sent, and why.
#[derive(Clone, PartialEq, Eq, Error)]
#[error("{cause}")]
pub struct SendError<P> {
    /// What was to be sent.
    pub payload: P,
    /// Why it was not.
    pub cause: SendCause,
}

// By hand, so that a payload needs no `Debug` and does not flood a log.
impl<P> std::fmt::Debug for SendError<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SendError").field("cause", &self.cause).finish_non_exhaustive()
    }
}

/// Why a message was not sent.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SendCause {
    /// The hub refused the topic, which is final, or something that this publisher sent earlier, which is told once: then the
    /// message can be sent again.
    #[error(transparent)]
    Refused(Refusal),
    /// The message is longer than the hub takes. Split it, or raise the hub's `limits.message_bytes`.
    #[error(
        "a message of {length} bytes is over the hub's limit of {limit}: send smaller ones or raise limits.message_bytes"
    )]
    TooLarge {
        /// Bytes of the payload and its timestamp.
        length: usize,
        /// What the hub takes.
        limit: usize,
    },
    /// The patch does not fit what this publisher sent before.
    #[error("the patch does not fit the value that was sent before: {0}")]
    BadPatch(#[from] PatchError),
    /// A value of one's own type holds what no document does.
    #[cfg(feature = "serde")]
    #[error("the value is no document: {0}")]
    NotADocument(#[from] nyx_protocol::state::TypedError),
    /// The client was closed.
    #[error("the client was closed")]
    Closed,
}
