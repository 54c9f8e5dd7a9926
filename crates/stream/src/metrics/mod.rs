//! Counting without waiting: counters, gauges and histograms that cost a few instructions to write and little to read.
//!
//! Handles count: a [`Counter`], a [`Gauge`] or a [`Histogram`] is cloned to where things happen, and nothing is looked up there.
//! A [`Registry`] knows what they are called, a [`Family`] makes series of what is only known at run time, within a bound. A [`Snapshot`] is what all of them were at
//! one moment: it is merged with others, compared with an earlier one for rates, and asked for quantiles.
//!
//! Each thread writes to a shard of its own, so that counting needs no locked instruction and no thread waits for another's cache line.
//! A histogram cuts each power of two into 16 buckets (the layout of HdrHistogram): its quantiles are off by at most 1/32.
//!
//! Nothing panics: counters and sums of values stop at the largest value, what is no number is ignored, and rates over no time are zero.
//! How often a histogram recorded is not checked while it records, since 2⁶⁴ single events take centuries.
//!
//! ```
//! use std::time::Duration;
//! use nyx_core::Instant;
//! use nyx_stream::metrics::{Metric, Registry, Unit};
//!
//! let registry = Registry::new();
//! let frames = registry.counter(Metric::new("frames", "Frames sent"))?;
//! let ages = registry.histogram(Metric::new("age", "Age at delivery").with_unit(Unit::Micros))?;
//! let start = registry.snapshot(Instant::ZERO);
//!
//! std::thread::scope(|scope| {
//!     for thread in 0..4 {
//!         let (frames, ages) = (&frames, &ages);
//!         scope.spawn(move || {
//!             frames.inc();
//!             ages.record(100 * thread);
//!         });
//!     }
//! });
//!
//! let recent = registry.snapshot(Instant::ZERO + Duration::from_secs(2)).since(&start);
//! assert_eq!(recent.rates().map(|(_, rate)| rate).collect::<Vec<_>>(), [2.0, 2.0]);
//! let ages = recent.changes().histogram("age", &[]).unwrap();
//! assert_eq!((ages.count(), ages.sum()), (4, 600));
//! # Ok::<(), nyx_stream::metrics::RegisterError>(())
//! ```

mod counter;
mod distribution;
mod family;
mod gauge;
mod histogram;
mod layout;
pub mod local;
mod metric;
mod registry;
mod since;
mod slot;
mod snapshot;

pub use counter::Counter;
pub use distribution::Distribution;
pub use family::{Family, OTHERS};
pub use gauge::Gauge;
pub use histogram::Histogram;
pub use metric::{Metric, RegisterError, Unit};
pub use registry::{Instrument, Registry};
pub use since::Since;
pub use snapshot::{Sample, Snapshot, Value};
