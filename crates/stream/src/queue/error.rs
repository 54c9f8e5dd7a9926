//! Why nothing was pushed or popped.

use thiserror::Error;

use crate::drops::Reason;

/// Why an item was not queued. It is in there.
///
/// ```
/// use nyx_core::Instant;
/// use nyx_stream::queue::{Config, Policy, PushError, Queue};
///
/// let mut queue = Queue::new(Config::new(8, 4, Policy::DropNewest))?;
/// let error = queue.push(Instant::ZERO, b"large".to_vec()).unwrap_err();
/// assert_eq!(error, PushError::TooLarge(b"large".to_vec()));
/// assert_eq!(error.into_item(), b"large");
/// # Ok::<(), nyx_stream::queue::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PushError<T> {
    /// There is no room, or others have waited for it longer, and the policy is to wait for some. Not counted: push
    /// it again later.
    #[error("the queue is full")]
    Full(T),
    /// The policy prefers what is there, or foresees that the item would be late. Counted by the reason.
    #[error("not queued: {reason}")]
    Refused {
        /// What was not queued.
        item: T,
        /// Why.
        reason: Reason,
    },
    /// It has more bytes than the queue may hold, so it will never fit. Counted as overrun: raise the limit.
    #[error("the item alone has more bytes than the queue may hold")]
    TooLarge(T),
    /// The queue takes no more. Not counted.
    #[error("the queue is closed")]
    Closed(T),
}

impl<T> PushError<T> {
    /// The item that was not queued.
    pub fn into_item(self) -> T {
        match self {
            Self::Full(item) | Self::Refused { item, .. } | Self::TooLarge(item) | Self::Closed(item) => item,
        }
    }
}

/// Why nothing was popped.
///
/// ```
/// use nyx_core::Instant;
/// use nyx_stream::queue::{Config, PopError, Queue};
///
/// let mut queue = Queue::<Vec<u8>>::new(Config::default())?;
/// assert_eq!(queue.pop(Instant::ZERO), Err(PopError::Empty));
/// queue.close();
/// assert_eq!(queue.pop(Instant::ZERO), Err(PopError::Closed));
/// # Ok::<(), nyx_stream::queue::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PopError {
    /// There is nothing now: pop again later.
    #[error("the queue is empty")]
    Empty,
    /// There is nothing and nothing will come.
    #[error("the queue is closed")]
    Closed,
}

/// The queue is closed, and what was in it has been popped. What [`Receiver::recv`](super::Receiver::recv) ends with.
///
/// ```
/// use nyx_stream::queue::Closed;
///
/// assert_eq!(Closed.to_string(), "the queue is closed");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the queue is closed")]
pub struct Closed;
