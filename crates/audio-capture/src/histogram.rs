//! Times, counted by size, from any thread and without a lock.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counts durations in classes that are an eighth of their octave wide, so what it tells is at most 12% too high.
///
/// From 1 µs to 67 s; what is beyond counts in the last class.
pub(crate) struct Histogram {
    counts: [AtomicU64; CLASSES],
}

impl Histogram {
    pub(crate) const fn new() -> Self {
        Self { counts: [const { AtomicU64::new(0) }; CLASSES] }
    }

    pub(crate) fn record(&self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.counts[class_of(micros)].fetch_add(1, Ordering::Relaxed);
    }

    /// The counts as they are now.
    pub(crate) fn read(&self) -> Latency {
        Latency { counts: std::array::from_fn(|class| self.counts[class].load(Ordering::Relaxed)) }
    }
}

/// How long chunks waited in the queue.
///
/// ```
/// let latency = nyx_audio_capture::queue::Latency::default();
/// assert_eq!((latency.count(), latency.quantile(0.99)), (0, None));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Latency {
    counts: [u64; CLASSES],
}

impl Latency {
    /// How many chunks were counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The wait that this share of the chunks (0.0 to 1.0) did not exceed, at most 12% too high; `None` where none were counted.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let count = self.count();
        let rank = ((count as f64 * share.clamp(0.0, 1.0)).ceil() as u64).max(1);
        let mut seen = 0;
        let class = self.counts.iter().position(|count| {
            seen += count;
            seen >= rank
        })?;
        Some(Duration::from_micros(end_of(class)))
    }
}

impl Default for Latency {
    fn default() -> Self {
        Self { counts: [0; CLASSES] }
    }
}

impl fmt::Debug for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Latency")
            .field("count", &self.count())
            .field("p50", &self.quantile(0.5))
            .field("p99", &self.quantile(0.99))
            .finish()
    }
}

fn class_of(micros: u64) -> usize {
    if micros < PARTS {
        return micros as usize;
    }
    let octave = micros.ilog2() - PARTS.ilog2();
    let part = (micros >> octave) - PARTS;
    ((u64::from(octave) + 1) * PARTS + part).min(CLASSES as u64 - 1) as usize
}

/// The first time that is beyond a class, in microseconds.
fn end_of(class: usize) -> u64 {
    let class = class as u64 + 1;
    if class < PARTS { class } else { (PARTS + class % PARTS) << (class / PARTS - 1) }
}

/// Classes of an octave.
const PARTS: u64 = 8;

/// Up to 2^26 µs.
const CLASSES: usize = 8 * (26 - 3 + 1);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_class_ends_just_beyond_what_it_counts(micros in 0_u64..1 << 26) {
            let end = end_of(class_of(micros));
            prop_assert!(end > micros && end as f64 <= micros as f64 * 1.125 + 1.0, "{micros} {end}");
        }
    }

    #[test]
    fn quantiles_are_those_of_what_was_counted() {
        let histogram = Histogram::new();
        (1..=100).for_each(|millis| histogram.record(Duration::from_millis(millis)));
        histogram.record(Duration::MAX);
        let latency = histogram.read();
        assert_eq!(latency.count(), 101);
        let p50 = latency.quantile(0.5).unwrap();
        assert!((Duration::from_millis(51)..Duration::from_millis(58)).contains(&p50), "{p50:?}");
        assert!(latency.quantile(1.0).unwrap() > Duration::from_secs(60));
        assert!(latency.quantile(0.0).unwrap() < Duration::from_millis(2));
    }
}
