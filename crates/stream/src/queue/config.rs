//! What a queue may hold, and what goes when that is not enough.

use std::time::Duration;

use thiserror::Error;

/// What goes when more comes than leaves.
///
/// ```
/// use std::time::Duration;
/// use nyx_stream::queue::{Config, Policy};
///
/// let images = Config::default();
/// assert_eq!(images.policy, Policy::DropOldest);
/// let calls = Config::new(64, 1 << 20, Policy::Predictive { max_age: Duration::from_millis(150) });
/// assert!(calls.policy.is_timed() && !images.policy.is_timed());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Policy {
    /// The oldest items make room for the new one. For what is replaced by something fresher, such as images.
    DropOldest,
    /// The new item is refused. For what should arrive from its beginning, such as a log.
    DropNewest,
    /// Nothing goes: the new item waits outside, for as long as its sender likes. For what must be whole, such as a file.
    Block,
    /// The oldest groups make room, whole: a keyframe goes together with all that depends on it, and a frame whose
    /// keyframe is not there is refused. So every frame that is popped can be decoded. For video.
    ///
    /// A frame that does not fit although only its own group is left is refused, and with it the rest of the group.
    Keyframes,
    /// What can't leave before it is older than `max_age` goes, be it new or the oldest, by the rate at which the
    /// queue has been drained of late. What fits in time but not into the limits makes the oldest go.
    Predictive {
        /// How old an item may be when it is popped. Above zero.
        max_age: Duration,
    },
}

impl Policy {
    /// Whether the policy looks at the time.
    pub const fn is_timed(self) -> bool {
        matches!(self, Self::Predictive { .. })
    }
}

/// What a queue may hold.
///
/// ```
/// use nyx_stream::queue::{Config, ConfigError, Policy, Queue};
///
/// let config = Config::new(0, 1 << 20, Policy::Block);
/// assert_eq!(Queue::<Vec<u8>>::new(config).err(), Some(ConfigError::NoItems));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// Items, at least one and at most 2³² - 1. Default 64. Memory for them is taken as they come and kept.
    pub items: usize,
    /// Bytes of all items together, at least one. Default 8 MiB. An item that alone has more is never taken.
    pub bytes: usize,
    /// What goes when that is not enough. Default [`Policy::DropOldest`].
    pub policy: Policy,
}

impl Config {
    /// At most so many items, and so many bytes.
    pub const fn new(items: usize, bytes: usize, policy: Policy) -> Self {
        Self { items, bytes, policy }
    }

    pub(super) const fn check(self) -> Result<Self, ConfigError> {
        match self {
            Self { items: 0, .. } => Err(ConfigError::NoItems),
            Self { items, .. } if items as u64 > u32::MAX as u64 => Err(ConfigError::TooManyItems),
            Self { bytes: 0, .. } => Err(ConfigError::NoBytes),
            Self { policy: Policy::Predictive { max_age: Duration::ZERO }, .. } => Err(ConfigError::NoAge),
            config => Ok(config),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::new(64, 8 << 20, Policy::DropOldest)
    }
}

/// Why there can be no such queue.
///
/// ```
/// use nyx_stream::queue::{Config, ConfigError, Policy, Queue};
///
/// let config = Config::new(64, 0, Policy::DropOldest);
/// assert_eq!(Queue::<Vec<u8>>::new(config).err(), Some(ConfigError::NoBytes));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// It could hold no item: allow at least one.
    #[error("a queue of no items: allow at least one")]
    NoItems,
    /// More items than it can count: allow 2³² - 1 at most.
    #[error("a queue of more than 4294967295 items: allow that many at most")]
    TooManyItems,
    /// It could hold no byte: allow as many as the largest item has.
    #[error("a queue of no bytes: allow as many as the largest item has")]
    NoBytes,
    /// Everything would be late: allow some age.
    #[error("a max_age of zero: nothing could ever leave in time")]
    NoAge,
}
