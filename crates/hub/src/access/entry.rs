//! How a session begins, and who is asked.

use std::sync::Arc;

use nyx_core::Instant;
use nyx_protocol::control::ErrorCode;
use thiserror::Error;

use super::{Permit, Supplies};

/// How a session begins. The default asks nobody.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct Entry {
    /// Whom to ask what the peer may do. `None`: it may do everything.
    pub gatekeeper: Option<Arc<dyn Gatekeeper>>,
    /// What the peer may do, when that is known before it says hello: a token in its `Hello` still takes its place.
    pub permit: Option<Permit>,
    /// What the peer shares with others whoever it is, such as all that come from its address.
    pub supplies: Supplies,
}

/// Knows what tokens are worth. Made for one peer, or for many.
///
/// It is asked with the session's lock held by nobody, but on the thread of the session's driver: it must not wait.
pub trait Gatekeeper: Send + Sync {
    /// What the bearer of `token` may do. The token is empty where the peer sent none.
    ///
    /// # Errors
    /// When it may not come in. The peer is told why, and the session ends.
    fn admit(&self, now: Instant, token: &str) -> Result<Permit, Rejected>;

    /// A peer that was let in asked for more than it may, and was told so.
    fn forbade(&self, subject: &str, what: Forbidden<'_>) {
        let _ = (subject, what);
    }
}

/// Why a peer is not let in. Its message is for the peer: it says what to do, and nothing that would help to guess.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct Rejected {
    /// [`Unauthorized`](ErrorCode::Unauthorized), or [`Limit`](ErrorCode::Limit) where it asks too often.
    pub code: ErrorCode,
    /// What to do.
    pub message: String,
}

/// What a peer asked for and may not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forbidden<'a> {
    /// To publish this topic.
    Publish(&'a str),
    /// To subscribe to this pattern, of which nothing may be read.
    Subscribe(&'a str),
}
