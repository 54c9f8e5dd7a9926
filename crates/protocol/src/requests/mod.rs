//! How many requests are under way, and which is next.
//!
//! - [`Queue`]: requests that wait, by lane, without starvation.
//! - [`Cap`]: how many may be under way: a fixed number, or one that follows what the other side takes.
//! - [`Gate`]: both together, what stands in front of a service.
//!
//! None of them sends anything or reads a clock.

mod cap;
mod gate;
mod queue;

pub use cap::Cap;
pub use gate::{Gate, Outcome, Ticket};
pub use queue::Queue;

/// Requests and answers that are handled together: with one lock and one wake-up for all of them. What they cause is sent before more are
/// handled. Otherwise all that are under way would travel in one heap, which one stage after the other works off while those before and
/// behind it have nothing to do.
pub const ROUND: usize = 64;

/// The most that a request or an answer may have: what a control message holds, less what stands around it.
pub const BODY_MAX: usize = 60 * 1024;
