//! What has happened between two snapshots.

use std::time::Duration;

use super::metric::Metric;
use super::snapshot::{Snapshot, Value};

/// What has happened between two snapshots, and how fast. From [`Snapshot::since`].
///
/// ```
/// use std::time::Duration;
/// use nyx_core::Instant;
/// use nyx_stream::metrics::{Metric, RegisterError, Registry};
///
/// let registry = Registry::new();
/// let frames = registry.counter(Metric::new("frames", "Frames sent"))?;
/// let before = registry.snapshot(Instant::ZERO);
/// frames.add(60);
/// let recent = registry.snapshot(Instant::ZERO + Duration::from_secs(2)).since(&before);
/// assert_eq!(recent.over(), Duration::from_secs(2));
/// assert_eq!(recent.changes().counter("frames", &[]).map(|frames| recent.per_second(frames)), Some(30.0));
/// assert_eq!(recent.rates().map(|(metric, rate)| (metric.name(), rate)).next(), Some(("frames", 30.0)));
/// # Ok::<(), RegisterError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Since {
    changes: Snapshot,
    over: Duration,
}

impl Since {
    pub(super) const fn new(changes: Snapshot, over: Duration) -> Self {
        Self { changes, over }
    }

    /// The time between the two.
    pub const fn over(&self) -> Duration {
        self.over
    }

    /// What was counted and recorded between the two; gauges as they were at the later one.
    pub const fn changes(&self) -> &Snapshot {
        &self.changes
    }

    /// How many a second it is when there were `count` in this time; zero if no time has passed.
    pub fn per_second(&self, count: u64) -> f64 {
        if self.over.is_zero() { 0.0 } else { count as f64 / self.over.as_secs_f64() }
    }

    /// Of each counter how many a second there were, and of each histogram how many values a second. O(series).
    pub fn rates(&self) -> impl Iterator<Item = (&Metric, f64)> {
        self.changes.iter().filter_map(|sample| match sample.value {
            Value::Counter(count) => Some((sample.metric, self.per_second(count))),
            Value::Histogram(distribution) => Some((sample.metric, self.per_second(distribution.count()))),
            Value::Gauge(_) => None,
        })
    }
}
