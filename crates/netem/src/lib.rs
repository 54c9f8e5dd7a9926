//! A network that is as bad as you say, the same way each time.
//!
//! - [`link`]: one direction of a link as a value: rate, delay, jitter and a bounded queue, driven by a `now` that the
//!   caller passes in. It opens no socket and reads no clock, so it runs in virtual time.
//! - [`proxy`]: a TCP relay that puts one [`Link`] into each direction of each connection, with socket buffers small
//!   enough that the kernel does not hide the queue. A [`Handle`] changes, stalls and cuts it while it runs.
//! - [`path`]: one direction of a path that carries datagrams: the same, and loss, bursts of it, reordering, doubling and an MTU.
//! - [`udp`]: a UDP relay with a [`path::Path`] in each direction of each client.
//! - [`schedule`]: what changes when, from a text.
//!
//! TCP hides loss and reordering from its users as delay, so those are no knobs of [`Link`]: [`Impairment::jitter`] and
//! [`Handle::stall`] are what they look like from above.
#![forbid(unsafe_code)]

pub mod link;
pub mod path;
pub mod proxy;
pub mod schedule;
pub mod udp;

mod alarm;
mod counters;
mod handle;
mod relay;

pub use counters::{Counters, Flow};
pub use handle::Handle;
pub use link::{Impairment, Link};
pub use path::{Conditions, Path};
pub use proxy::Proxy;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
