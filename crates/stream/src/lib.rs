//! Late binding as plain values: what to send is decided when the receiver can take it.
//!
//! A topic keeps each item once, in a [`Ring`]. A subscriber is a [`Cursor`] into it, and a [`policy`] says, for each
//! kind of item, which of those ahead of the cursor is right to send *now*. [`Flight`] says when to ask: it holds
//! what is under way to what the path can carry. [`Lanes`] says which topic is asked next. Everything that is passed
//! over is counted in [`Drops`], by [`Reason`]; how old things were when they arrived is kept in a [`Histogram`].
//! What many threads count goes into [`metrics`].
//!
//! Publishers and other sources have a [`queue`] for what waits until it can leave, a [`pacer`] for when that is, and
//! a controller of [`quality`] for how large it should be.
//!
//! Nothing here opens a socket, and nothing reads a clock but [`queue::channel`], the shell that lets threads and
//! tasks wait at a queue.
//!
//! ```
//! use std::time::Duration;
//! use bytes::Bytes;
//! use nyx_core::Instant;
//! use nyx_stream::{Cursor, Ring, ring, policy::{self, Pull, Terms}};
//!
//! let mut ring = Ring::new(ring::Limits::default());
//! let mut fast = Cursor::at_head(&ring);
//! let slow = fast;
//! let now = Instant::ZERO;
//! for text in ["one", "two", "three"] {
//!     ring.append(now, Bytes::from(text), 1, true, text.len());
//! }
//!
//! let terms = Terms { now, max_age: None, budget: 8, bytes_per_second: None };
//! let mut pull = Pull::default();
//! policy::events(&ring, &mut fast, &terms, &mut pull);
//! assert_eq!(pull.chunks, ["one", "two"]); // as many as the budget allows, in order
//!
//! let mut slow = slow;
//! pull.clear();
//! policy::frames(&ring, &mut slow, &terms, &mut pull);
//! assert_eq!(pull.chunks, ["three"]); // the freshest
//! assert_eq!(pull.drops.total(), 2); // and what that cost
//! ```
#![forbid(unsafe_code)]

pub mod drops;
pub mod flight;
pub mod lanes;
pub mod metrics;
pub mod pacer;
pub mod policy;
pub mod quality;
pub mod queue;
pub mod ring;
mod sync;

pub use drops::{Drops, Reason};
pub use flight::Flight;
pub use lanes::{Lane, Lanes};
pub use metrics::local::Histogram;
pub use ring::{Cursor, Ring};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
