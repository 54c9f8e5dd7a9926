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
    /// For audio: rate and channels, of all publishers at a time. With a publisher of others the topic goes on under another id, when the sound of the last is over.
    pub audio: Option<AudioFormat>,
    /// For audio: the topic keeps its format for as long as there is the hub, whoever publishes.
    pub keeps_format: bool,
    /// Older items are not delivered. `None`: the kind's default.
    pub max_age: Option<Duration>,
    /// How urgent it is. `None`: the kind's default.
    pub lane: Option<Lane>,
}

impl Spec {
    /// A topic of this kind, with the defaults of its kind.
    pub const fn new(kind: Kind) -> Self {
        Self {
            kind,
            content_type: String::new(),
            audio: None,
            keeps_format: false,
            max_age: None,
            lane: None,
        }
    }
}
