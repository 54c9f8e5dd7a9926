//! A frame queue: bounded by count and by bytes, with a policy for what goes when more comes than leaves.
//!
//! [`Queue`] is the queue as a value, and holds every [`Policy`]: it takes `now` and an [`Item`], and hands back what it
//! evicted or refused, so that buffers return to where they came from. [`channel`] is a thin shell around it for threads
//! and tasks: a [`Sender`] and a [`Receiver`], both of which can be cloned, that try, block or wait by a waker.
//!
//! Use a [`Ring`](crate::Ring) instead where several read the same items, each at its own pace.
//!
//! ```
//! use bytes::Bytes;
//! use nyx_core::Instant;
//! use nyx_stream::queue::{Config, Policy, Queue};
//!
//! let mut queue = Queue::new(Config::new(2, 1 << 20, Policy::DropOldest))?;
//! for text in ["one", "two", "three"] {
//!     // A policy that knows no time takes any.
//!     for (evicted, reason) in queue.push(Instant::ZERO, Bytes::from(text))? {
//!         assert_eq!((&evicted[..], reason.name()), (&b"one"[..], "overrun"));
//!     }
//! }
//! assert_eq!(queue.pop(Instant::ZERO)?, "two");
//! assert_eq!(queue.pushed(), queue.popped() + queue.drops().total() + queue.len() as u64);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod admit;
mod block;
mod channel;
mod config;
mod drain;
mod error;
mod evicted;
mod fifo;
mod item;
mod lock;
mod receiver;
mod sender;
mod view;
mod waiters;

pub use channel::{channel, channel_with_clock};
pub use config::{Config, ConfigError, Policy};
pub use error::{Closed, PopError, PushError};
pub use evicted::Evicted;
pub use fifo::Queue;
pub use item::Item;
pub use receiver::Receiver;
pub use sender::Sender;
