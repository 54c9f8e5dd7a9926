//! How old things were when they came.

use std::time::Duration;

use nyx_core::clock::unix_micros;

/// Ages of the items that a subscriber received.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ages(Vec<u64>);

impl Ages {
    /// Adds an item that was captured at `captured`, in microseconds since the Unix epoch, and is consumed now.
    pub(crate) fn add(&mut self, captured: u64) {
        self.0.push(unix_micros().saturating_sub(captured));
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// The age that `share` of the items did not exceed (nearest rank); 1.0 is the maximum.
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = (share * sorted.len() as f64).ceil() as usize;
        Duration::from_micros(sorted.get(rank.max(1) - 1).copied().expect("something was received"))
    }

    /// For people.
    pub(crate) fn summary(&self) -> String {
        let [p50, p99, max] = [0.5, 0.99, 1.0].map(|share| self.quantile(share));
        format!("{} items, age p50 {p50:.1?}, p99 {p99:.1?}, max {max:.1?}", self.count())
    }
}
