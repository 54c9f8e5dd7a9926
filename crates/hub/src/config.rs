//! What a hub allows, and how long it waits.

use std::time::Duration;

use nyx_core::limit::Quota;
use nyx_protocol::state;
use nyx_protocol::wire::Kind;

use crate::compression;

/// Limits and times of a hub. Every bound has a default that suits one machine and some thousand peers.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The server's name in `Welcome`.
    pub server: String,
    /// Where the epochs of topics come from. Default `None`: chance, so that no topic is taken for one of another hub. With a seed
    /// each run is like the other, for simulations.
    pub epoch_seed: Option<u64>,
    /// Bytes of a data message's payload. Default 16 MiB.
    pub message_bytes: usize,
    /// Sessions at a time. Default 10,000.
    pub sessions: usize,
    /// Topics. Default 10,000; a topic without a document or items costs about 1 KiB.
    pub topics: usize,
    /// Bytes of memory that the items of one topic may pin. Default 8 MiB; the newest item is kept whatever its size.
    pub topic_bytes: usize,
    /// Items or runs of them that one topic keeps. Default 65,536; each counts 96 bytes and its content towards `topic_bytes`.
    pub topic_entries: usize,
    /// What a state document may have.
    pub document: state::Limits,
    /// Subscriptions of one session. Default 256.
    pub subscriptions: usize,
    /// Topics that one session publishes. Default 4,096.
    pub aliases: usize,
    /// Services that one session serves. Default 256.
    pub services: usize,
    /// Requests of one session that are not answered. More are refused. Default 4,096.
    pub requests: usize,
    /// Requests that wait for one service because its servers have as many as they take. More are refused. Default 1,024.
    pub waiting_requests: usize,
    /// Messages that one session may publish. One that sends more is not read from until it may: its acknowledgements, and
    /// so what it subscribes to, wait as long. Default: no limit.
    pub publish_messages: Option<Quota>,
    /// The same in bytes, headers included. Default: no limit.
    pub publish_bytes: Option<Quota>,
    /// Bytes of a topic's events that a live subscriber may be behind before publishers are slowed, 96 for each run included.
    /// Default 1 MiB; never more than an eighth of `topic_bytes`, or than half of `topic_entries` may be.
    pub lag_bytes: u64,
    /// How long a subscriber may hold publishers back before it is no longer waited for. Default 1 s.
    pub patience: Duration,
    /// Bytes under way, not acknowledged, to a subscriber of things that don't age. Default 1 MiB; at least 256 KiB, as a
    /// subscriber may leave half of that unacknowledged.
    pub window_bytes: usize,
    /// `max_age` of frames, unless the topic says otherwise. Default 1 s.
    pub frame_max_age: Duration,
    /// `max_age` of audio, unless the topic says otherwise. Default 500 ms.
    pub audio_max_age: Duration,
    /// What is compressed on the way.
    pub compression: compression::Config,
    /// How long a peer may take to say hello. Default 5 s.
    pub handshake: Duration,
    /// After how much silence a peer is asked whether it is there. Default 10 s.
    pub ping_after: Duration,
    /// After how much silence a peer is taken to be gone, if it takes nothing of what it is sent either. Default 30 s.
    pub silence: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            server: concat!("nyx ", env!("CARGO_PKG_VERSION")).to_owned(),
            epoch_seed: None,
            message_bytes: 16 << 20,
            sessions: 10_000,
            topics: 10_000,
            topic_bytes: 8 << 20,
            topic_entries: 65_536,
            document: state::Limits::default(),
            subscriptions: 256,
            aliases: 4_096,
            services: 256,
            requests: 4_096,
            waiting_requests: 1_024,
            publish_messages: None,
            publish_bytes: None,
            lag_bytes: 1 << 20,
            patience: Duration::from_secs(1),
            window_bytes: 1 << 20,
            frame_max_age: Duration::from_secs(1),
            audio_max_age: Duration::from_millis(500),
            compression: compression::Config::default(),
            handshake: Duration::from_secs(5),
            ping_after: Duration::from_secs(10),
            silence: Duration::from_secs(30),
        }
    }
}

impl Config {
    /// What a topic of this kind has for `max_age` when nobody says.
    pub const fn max_age(&self, kind: Kind) -> Option<Duration> {
        match kind {
            Kind::Frame => Some(self.frame_max_age),
            Kind::Audio => Some(self.audio_max_age),
            Kind::State | Kind::Event => None,
        }
    }
}
