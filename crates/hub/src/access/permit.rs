//! What a gatekeeper grants.

use std::fmt;
use std::sync::Arc;

use nyx_core::Instant;

use super::Permissions;

/// What a session may do, and until when.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Permit {
    /// Who it is, in logs and for [`Hub::expel`](crate::Hub::expel): the token's id, say. Never the token itself.
    pub subject: Arc<str>,
    /// What it is called, for people. May be empty.
    pub name: Arc<str>,
    /// What may be published and read.
    pub permissions: Permissions,
    /// When it ends, by the hub's clock. `None`: it does not.
    pub expires: Option<Instant>,
    /// Quotas that all sessions with this permit share.
    pub supplies: Supplies,
}

impl Permit {
    /// A permit of `subject` that does not end.
    pub fn new(subject: impl Into<Arc<str>>, permissions: Permissions) -> Self {
        Self { subject: subject.into(), permissions, ..Self::default() }
    }
}

/// What sessions publish from together, by messages and by bytes. `None`: as much as they like.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct Supplies {
    /// Messages.
    pub messages: Option<Arc<dyn Supply>>,
    /// Bytes, headers included.
    pub bytes: Option<Arc<dyn Supply>>,
}

impl Supplies {
    /// Supplies of messages and of bytes.
    pub const fn new(messages: Option<Arc<dyn Supply>>, bytes: Option<Arc<dyn Supply>>) -> Self {
        Self { messages, bytes }
    }
}

impl fmt::Debug for Supplies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { messages, bytes } = self;
        f.debug_struct("Supplies")
            .field("messages", &messages.is_some())
            .field("bytes", &bytes.is_some())
            .finish()
    }
}

/// A quota that several sessions share, such as all of one address or of one token.
///
/// A session takes in advance, in parts, what it is about to publish, and gives back what it did not need when it ends. So it
/// asks once for many messages, and a session that is closed and opened anew gains nothing.
pub trait Supply: Send + Sync {
    /// The most that may be taken at once.
    fn burst(&self) -> u64;

    /// Takes `n`, at most [`burst`](Self::burst).
    ///
    /// # Errors
    /// There are not so many: nothing was taken, and this is when to ask again.
    fn take(&self, now: Instant, n: u64) -> Result<(), Instant>;

    /// Gives back `n` that were taken and not used.
    fn give_back(&self, n: u64);
}
