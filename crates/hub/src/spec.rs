//! What a topic is to be.

use std::time::Duration;

use nyx_protocol::control::AudioFormat;
use nyx_protocol::wire::Kind;
use nyx_stream::Lane;

/// What a topic carries and on what terms.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Spec {
    /// What it carries.
    pub kind: Kind,
    /// Media type of its items, such as `image/jpeg`; empty when not known.
    pub content_type: String,
    /// For audio.
    pub audio: Option<AudioFormat>,
    /// Older items are not delivered. `None`: the kind's default.
    pub max_age: Option<Duration>,
    /// How urgent it is. `None`: the kind's default.
    pub lane: Option<Lane>,
}

impl Spec {
    /// A topic of this kind, with the defaults of its kind.
    pub const fn new(kind: Kind) -> Self {
        Self { kind, content_type: String::new(), audio: None, max_age: None, lane: None }
    }
}
