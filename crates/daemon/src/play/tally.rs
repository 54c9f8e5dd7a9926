//! What was played, for people and for scripts.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nyx_core::clock::{Clock as _, Monotonic};
use serde::Serialize;

use super::source::Ending;
use crate::tell;

/// Counters of one run.
#[derive(Debug, Default)]
pub(super) struct Tally {
    topics: AtomicU64,
    items: AtomicU64,
    bytes: AtomicU64,
    missing: AtomicU64,
}

impl Tally {
    /// A topic was found.
    pub(super) fn topic(&self) {
        self.topics.fetch_add(1, Ordering::Relaxed);
    }

    /// An item was published.
    pub(super) fn send(&self, bytes: usize) {
        self.items.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Some are not in the recording.
    pub(super) fn miss(&self, count: u64) {
        self.missing.fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn summary(
        &self,
        file: &Path,
        time: Duration,
        delay: Duration,
        ending: Option<&Ending>,
    ) -> Summary {
        Summary {
            file: file.display().to_string(),
            topics: self.topics.load(Ordering::Relaxed),
            items: self.items.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            missing: self.missing.load(Ordering::Relaxed),
            seconds: round(time),
            delayed_seconds: round(delay),
            ending: ending.map_or("stopped", Ending::name),
        }
    }
}

fn round(time: Duration) -> f64 {
    (time.as_secs_f64() * 1000.0).round() / 1000.0
}

/// What `--json` prints at the end.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Summary {
    file: String,
    topics: u64,
    items: u64,
    bytes: u64,
    /// Items that the recorder did not get.
    missing: u64,
    seconds: f64,
    /// How much longer it took than it should, by stalls.
    delayed_seconds: f64,
    /// How the recording ends: `clean`, `open`, `cut` or `damaged`; `stopped` if it was not played to its end.
    ending: &'static str,
}

/// Tells how far it is once a second. Runs until dropped.
pub(super) async fn report(tally: Arc<Tally>, file: PathBuf) {
    let clock = Monotonic::new();
    let start = clock.now();
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        tell::progress(tally.summary(&file, clock.now() - start, Duration::ZERO, None));
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { file, topics, items, bytes, missing, seconds, delayed_seconds, .. } = self;
        let bytes = tell::bytes(*bytes as f64);
        write!(f, "{file}: {items} items of {topics} topics, {bytes} in {seconds:.1} s")?;
        if *missing > 0 {
            write!(f, ", {missing} are missing in the recording")?;
        }
        if *delayed_seconds > 0.0 {
            write!(f, ", delayed by {delayed_seconds:.1} s")?;
        }
        Ok(())
    }
}
