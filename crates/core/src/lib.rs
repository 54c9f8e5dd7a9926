//! What every Nyx crate stands on, without a runtime or a socket.
//!
//! - [`clock`]: instants that are plain values, a fast monotonic clock, a manual one.
//! - [`units`]: [`ByteSize`] and [`Bitrate`], parsed and printed.
//! - [`pool`]: read buffers that are carved into [`bytes::Bytes`] and come back by themselves.
#![forbid(unsafe_code)]

pub mod clock;
pub mod pool;
pub mod units;

pub use clock::{Clock, Instant};
pub use units::{Bitrate, ByteSize};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
