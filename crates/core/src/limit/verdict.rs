use std::time::Duration;

use thiserror::Error;

use super::grain::Flow;
use crate::Instant;

/// Not now: the quota is used up until a known moment.
///
/// Costs nothing until it is asked: the division is made by [`Denied::at`].
///
/// ```
/// use nyx_core::Instant;
/// use nyx_core::limit::{Meter, Quota};
/// use std::time::Duration;
///
/// let mut meter = Meter::new(&Quota::per_second(4)?.with_burst(1)?, Instant::ZERO);
/// meter.check_at(Instant::ZERO).unwrap();
/// let denied = meter.check_at(Instant::ZERO).unwrap_err();
/// assert_eq!(denied.at(), Instant::from_nanos(250_000_000));
/// assert_eq!(denied.retry_after(), Duration::from_millis(250));
/// # Ok::<(), nyx_core::limit::QuotaError>(())
/// ```
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
    ///
    /// O(1): one division.
    ///
    /// ```
    /// # use nyx_core::Instant;
    /// # use nyx_core::limit::{Meter, Quota};
    /// # let mut meter = Meter::new(&Quota::per_second(4)?.with_burst(1)?, Instant::ZERO);
    /// # meter.check_at(Instant::ZERO).unwrap();
    /// let denied = meter.check_at(Instant::ZERO).unwrap_err();
    /// assert!(meter.check_at(denied.at()).is_ok());
    /// # Ok::<(), nyx_core::limit::QuotaError>(())
    /// ```
    pub fn at(&self) -> Instant {
        self.flow.reaches(self.target).unwrap_or(Instant::from_nanos(u64::MAX))
    }

    /// How long that is from the moment of the check.
    ///
    /// ```
    /// # use nyx_core::Instant;
    /// # use nyx_core::limit::{Meter, Quota};
    /// # let mut meter = Meter::new(&Quota::per_second(4)?.with_burst(1)?, Instant::ZERO);
    /// # meter.check_at(Instant::ZERO).unwrap();
    /// let now = Instant::from_nanos(150_000_000);
    /// let denied = meter.check_at(now).unwrap_err();
    /// assert_eq!(denied.retry_after(), denied.at() - now);
    /// # Ok::<(), nyx_core::limit::QuotaError>(())
    /// ```
    pub fn retry_after(&self) -> Duration {
        self.at() - self.now
    }
}

/// Never: more was asked for at once than the burst is. Ask for parts, or give the quota a larger burst.
///
/// ```
/// use nyx_core::Instant;
/// use nyx_core::limit::{CheckError, Meter, OverBurst, Quota};
///
/// let mut meter = Meter::new(&Quota::per_second(4)?, Instant::ZERO);
/// let never = meter.check_n_at(Instant::ZERO, 5).unwrap_err();
/// assert_eq!(never, CheckError::OverBurst(OverBurst { asked: 5, burst: 4 }));
/// # Ok::<(), nyx_core::limit::QuotaError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{asked} tokens at once are over the burst of {burst}; ask for parts, or raise the burst")]
pub struct OverBurst {
    /// What was asked for, in tokens.
    pub asked: u64,
    /// The burst of the quota, in tokens.
    pub burst: u64,
}

/// Why a number of tokens was not admitted. Nothing was taken.
///
/// ```
/// use nyx_core::Instant;
/// use nyx_core::limit::{CheckError, Meter, Quota};
///
/// let mut meter = Meter::new(&Quota::per_second(4)?, Instant::ZERO);
/// meter.check_n_at(Instant::ZERO, 4).unwrap();
/// match meter.check_n_at(Instant::ZERO, 2) {
///     Ok(()) => println!("sent"),
///     Err(CheckError::Denied(denied)) => println!("again in {:?}", denied.retry_after()),
///     Err(never) => println!("{never}"),
/// }
/// # Ok::<(), nyx_core::limit::QuotaError>(())
/// ```
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
    ///
    /// ```
    /// # use nyx_core::Instant;
    /// # use nyx_core::limit::{Meter, Quota};
    /// # use std::time::Duration;
    /// # let mut meter = Meter::new(&Quota::per_second(4)?, Instant::ZERO);
    /// meter.check_n_at(Instant::ZERO, 4).unwrap();
    /// let retry_after = |n| meter.clone().check_n_at(Instant::ZERO, n).unwrap_err().retry_after();
    /// assert_eq!(retry_after(2), Some(Duration::from_millis(500)));
    /// assert_eq!(retry_after(5), None);
    /// # Ok::<(), nyx_core::limit::QuotaError>(())
    /// ```
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Denied(denied) => Some(denied.retry_after()),
            Self::OverBurst(_) => None,
        }
    }
}
