//! Rate limiting: how much may pass, and when the next may.
//!
//! A [`Quota`] says it: a rate, and a burst that may go at once. Whoever holds it decides by the same arithmetic:
//!
//! | type | for | costs |
//! | --- | --- | --- |
//! | [`Meter`] | one owner that has `now` at hand | a multiplication |
//! | [`AtomicMeter`] | many threads that have `now` at hand | and one compare-and-swap |
//! | [`Limiter`] | many threads, with a clock, on a cache line of its own | and a clock reading |
//! | [`Local`] | one thread that asks very often | a decrement; the clock is read once in up to 64 calls |
//! | [`Keyed`] | a quota for each of millions of keys, in memory that is fixed | a hash, a short lock, two cache lines |
//!
//! ```
//! use nyx_core::Instant;
//! use nyx_core::limit::{Meter, Quota};
//! use std::time::Duration;
//!
//! let quota = Quota::per_second(10)?.with_burst(2)?;
//! let mut meter = Meter::new(&quota, Instant::ZERO);
//! assert!(meter.check_at(Instant::ZERO).is_ok());
//! assert!(meter.check_at(Instant::ZERO).is_ok());
//!
//! let denied = meter.check_at(Instant::ZERO).unwrap_err();
//! assert_eq!(denied.retry_after(), Duration::from_millis(100));
//! assert!(meter.check_at(denied.at()).is_ok());
//! # Ok::<(), nyx_core::limit::QuotaError>(())
//! ```
//!
//! # The algorithm
//!
//! It is the virtual scheduling form of the generic cell rate algorithm (ITU-T Recommendation I.371, annex A): one
//! number is the whole state, and there is nothing to refill. The usual form keeps a time, the theoretical arrival
//! time, and so has to round the interval between two tokens to its unit: 1.5 G tokens a second are 1 or 0 ns apart.
//! Here the number counts tokens instead. `level(now)` is what the rate has supplied up to `now`, one widening
//! multiplication by a 64-bit fraction; `spent` is what has been used up. `n` tokens are admitted if
//!
//! ```text
//! max(spent, level) + n <= level + burst        and then        spent = max(spent, level) + n
//! ```
//!
//! Both count in *grains*, a power of two of them to a token. The level is computed from its origin each time, so rounding never
//! adds up: after nine years it is off by less than two grains, whatever the rate.
//!
//! # What is promised
//!
//! In any window of length `w`, at most `burst + rate × w` tokens are admitted, plus a grain. A [`Meter`]'s
//! grain is what the rate supplies in 1/16 ns. For those that are adjusted while others check it is what the rate supplies
//! in 1 µs, but at least 2⁻³⁰ of a token. Bursts over 2²¹ tokens make it up to 2⁻⁵⁰ of the burst. It is never over one token. Someone who asks all the time gets the whole rate. Time that runs
//! backwards supplies nothing and takes nothing away. An account ends nine years after its origin: from
//! then on everything is denied, and nothing wraps around.
//!
//! A waiter who leaves breaks none of this. A refund while others wait may: see [`AtomicMeter::refund`].

mod atomic;
mod grain;
mod keyed;
mod local;
mod meter;
mod quota;
mod shared;
mod text;
mod verdict;
#[cfg(feature = "async")]
mod wait;

pub use atomic::AtomicMeter;
pub use grain::AdjustError;
pub use keyed::{Capacity, CapacityError, Keyed};
pub use local::Local;
pub use meter::Meter;
pub use quota::{Quota, QuotaError};
pub use shared::Limiter;
pub use text::ParseQuotaError;
pub use verdict::{CheckError, Denied, OverBurst};
#[cfg(feature = "async")]
pub use wait::WaitError;
