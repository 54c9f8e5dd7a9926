//! What a connection has done.

use crate::Refusal;

/// Counters of a client since it was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Whether there is a connection now.
    pub connected: bool,
    /// How often the connection was lost and made again.
    pub reconnects: u64,
    /// Data messages that were accepted for sending.
    pub sent_messages: u64,
    /// Data messages that were written to a connection which was then lost, and of which it is not known whether the
    /// hub took them in. State among them has been sent again since, in full.
    pub maybe_lost: u64,
    /// Frames and chunks of sound that did not reach the hub in time, or were obsolete when they could have. Over `udp://` alone.
    pub lost_messages: u64,
    /// Bytes that wait to be written.
    pub waiting_bytes: usize,
    /// Bytes that were not written because compressed ones stood for them.
    pub saved_bytes: u64,
    /// Why the connection was last lost, or could last not be made.
    pub last_error: Option<String>,
    /// Why the hub ended the session or takes no new one, where it said so: a token that was revoked, say. `None` again when it has taken one.
    pub refusal: Option<Refusal>,
}
