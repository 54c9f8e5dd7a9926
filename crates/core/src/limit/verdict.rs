use std::time::Duration;

use thiserror::Error;

use super::grain::Flow;
use crate::Instant;

/// Not now: the quota is used up until a known moment.
///
/// Costs nothing until it is asked: the division is made by [`Denied::at`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("over quota; the next is allowed in {:?}", self.retry_after())]
pub struct Denied {
    pub(super) flow: Flow,
    /// The level at which it would be allowed.
    pub(super) target: u64,
    pub(super) now: Instant,
}

impl Denied {
    /// The first moment at which the same request will be allowed, if nobody else takes the tokens before. The
    /// end of time if the account has ended (nine years).
    pub fn at(&self) -> Instant {
        self.flow.reaches(self.target).unwrap_or(Instant::from_nanos(u64::MAX))
    }

    /// How long that is from the moment of the check.
    pub fn retry_after(&self) -> Duration {
        self.at() - self.now
    }
}

/// Never: more was asked for at once than the burst is. Ask for parts, or give the quota a larger burst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{asked} tokens at once are over the burst of {burst}; ask for parts, or raise the burst")]
pub struct OverBurst {
    /// What was asked for, in tokens.
    pub asked: u64,
    /// The burst of the quota, in tokens.
    pub burst: u64,
}

/// Why a number of tokens was not admitted. Nothing was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CheckError {
    /// Not now. Wait, or drop what was to be sent.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// Never. Ask for parts, or give the quota a larger burst.
    #[error(transparent)]
    OverBurst(#[from] OverBurst),
}

impl CheckError {
    /// How long to wait until the same request is allowed, `None` if it never is.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Denied(denied) => Some(denied.retry_after()),
            Self::OverBurst(_) => None,
        }
    }
}
