//! Which encoding pays, by measurement: one [`Chooser`] per topic and direction.
//!
//! # What is minimised
//!
//! The time until an item is delivered that takes `cpu` to encode and `bytes` when encoded, counted from when all that was
//! unsent before it has gone:
//!
//! ```text
//! max(cpu + window / 2 - unsent / drain, 0) + bytes / drain
//! ```
//!
//! While bytes are unsent, encoding costs no time: the link is busy anyway. With nothing unsent and no batch window this is `cpu + bytes / drain`,
//! so an encoding beats sending plainly exactly when it saves more bytes per microsecond of CPU than the link drains in one. The
//! CPU spent is held to a share of one core ([`Config::cpu_share`]).
//!
//! # How
//!
//! A [`Candidate`] is a form (full or delta), a codec and a batch window. What each costs is measured, never assumed: an estimate by size of
//! item of bytes and CPU follows each [outcome](Outcome). Candidates that were never measured count with what is usual, so the first item
//! is encoded well already. A candidate that is not in use is tried on an item that has been sent (a [trial](Chooser::trial)), which delays nothing,
//! and only if its best result could win; trials take at most [`Config::trial_share`] of the time that delivery takes. The choice
//! changes when another is better by [`Config::margin`].
//!
//! Every change is in the [log](Chooser::log) with its reason and numbers. A [`Pin`] limits the choice, and [`Chooser::set_killed`] ends it.
//!
//! ```
//! use std::time::Duration;
//! use nyx_core::Instant;
//! use nyx_protocol::choose::{Candidate, Chooser, Codec, Config, Form, Link, Offer, Outcome};
//! use nyx_protocol::compress::Level;
//!
//! let plain = Candidate::PLAIN;
//! let level = Candidate { codec: Codec::Level(Level::FAST), ..plain };
//! let mut chooser = Chooser::new([plain, level], Config::default())?;
//!
//! // 20 KB that level 1 packs into 6 KB in 50 µs, over a link of 500 kB/s, then of 1 GB/s.
//! let measure = |candidate: Candidate| match candidate.codec {
//!     Codec::Raw => Outcome { bytes: 20_000, cpu: Duration::ZERO },
//!     _ => Outcome { bytes: 6_000, cpu: Duration::from_micros(50) },
//! };
//! let mut chosen = Vec::new();
//! for (n, drain) in [500_000, 500_000, 1_000_000_000, 1_000_000_000].into_iter().enumerate() {
//!     let now = Instant::ZERO + Duration::from_millis(33) * n as u32;
//!     let (offer, link) = (Offer::new(20_000), Link { drain: Some(drain), unsent: 0 });
//!     let choice = chooser.choose(now, &offer, &link);
//!     chooser.record(&choice, measure(choice.candidate()));
//!     if let Some(trial) = chooser.trial(now, &offer, &link) {
//!         chooser.record_trial(&trial, measure(trial.candidate()));
//!     }
//!     chosen.push(choice.candidate());
//! }
//! assert_eq!(chosen, [level, level, plain, plain]);
//! chooser.log().for_each(|entry| println!("{entry}"));
//! # Ok::<_, nyx_protocol::choose::ConfigError>(())
//! ```

mod bucket;
mod candidate;
mod chooser;
mod config;
mod estimate;
mod item;
mod log;
mod pin;

pub use candidate::{Candidate, Codec, Form};
pub use chooser::Chooser;
pub use config::{Config, ConfigError};
pub use item::{Choice, Link, Offer, Outcome};
pub use log::{Entry, Reason};
pub use pin::{Pin, PinError};
