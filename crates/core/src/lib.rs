//! What every Nyx crate stands on, without a runtime or a socket.
//!
//! - [`clock`]: instants that are plain values, a fast monotonic clock, a manual one.
//! - [`Lane`]: how urgent things are that share a connection.
//! - [`handoff`]: a place where one thread leaves a thing for the next, without a lock.
//! - [`limit`]: quotas, and limiters for one owner, for many threads, for millions of keys.
//! - [`units`]: [`ByteSize`] and [`Bitrate`], parsed and printed.
//! - [`pool`]: buffers in size classes for any thread, frozen into [`bytes::Bytes`], and read buffers that are carved up;
//!   both come back by themselves.
#![deny(unsafe_code)]

pub mod clock;
pub mod handoff;
mod lane;
pub mod limit;
pub mod pool;
mod sync;
pub mod units;

pub use clock::{Clock, Instant};
pub use handoff::Handoff;
pub use lane::Lane;
pub use units::{Bitrate, ByteSize};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
