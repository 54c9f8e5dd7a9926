//! What was published, for people and for scripts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use nyx_client::{Kind, Name};
use nyx_core::clock::{Clock as _, Monotonic};
use serde::Serialize;

use crate::tell;

/// Counters of one run.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    items: AtomicU64,
    bytes: AtomicU64,
    skipped: AtomicU64,
    rejected: AtomicU64,
    /// Whether the hub says what becomes of each.
    acknowledged: AtomicBool,
    accepted: AtomicU64,
    refused: AtomicU64,
    in_doubt: AtomicU64,
}

impl Tally {
    /// The hub says what becomes of each.
    pub(crate) fn acknowledge(&self) {
        self.acknowledged.store(true, Ordering::Relaxed);
    }

    /// The hub has accepted one.
    pub(crate) fn accept(&self) {
        add(&self.accepted, 1);
    }

    /// The hub has refused one, or it could not be sent.
    pub(crate) fn refuse(&self) {
        add(&self.refused, 1);
    }

    /// The connection was lost before the hub had answered.
    pub(crate) fn doubt(&self) {
        add(&self.in_doubt, 1);
    }

    /// Those that the hub is not known to have accepted.
    pub(crate) fn unaccepted(&self) -> u64 {
        self.refused.load(Ordering::Relaxed) + self.in_doubt.load(Ordering::Relaxed)
    }

    /// One was sent.
    pub(crate) fn send(&self, bytes: usize) {
        add(&self.items, 1);
        add(&self.bytes, bytes as u64);
    }

    /// One that was counted could not be sent.
    pub(crate) fn unsend(&self, bytes: usize) {
        self.items.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes as u64, Ordering::Relaxed);
    }

    /// One was passed over because its time was gone.
    pub(crate) fn skip(&self) {
        add(&self.skipped, 1);
    }

    /// So many have been passed over by now.
    pub(crate) fn skipped(&self, total: u64) {
        self.skipped.fetch_max(total, Ordering::Relaxed);
    }

    /// Some are no good.
    pub(crate) fn reject(&self, count: u64) {
        add(&self.rejected, count);
    }

    pub(crate) fn items(&self) -> u64 {
        self.items.load(Ordering::Relaxed)
    }

    pub(crate) fn rejected(&self) -> u64 {
        self.rejected.load(Ordering::Relaxed)
    }

    pub(crate) fn summary(&self, topic: &Name, kind: Kind, time: Duration) -> Summary {
        Summary {
            topic: topic.to_string(),
            kind: kind.name(),
            items: self.items(),
            bytes: self.bytes.load(Ordering::Relaxed),
            skipped: self.skipped.load(Ordering::Relaxed),
            rejected: self.rejected(),
            results: self.acknowledged.load(Ordering::Relaxed).then(|| Results {
                accepted: self.accepted.load(Ordering::Relaxed),
                refused: self.refused.load(Ordering::Relaxed),
                in_doubt: self.in_doubt.load(Ordering::Relaxed),
            }),
            seconds: (time.as_secs_f64() * 1000.0).round() / 1000.0,
        }
    }
}

fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

/// What `--json` prints at the end.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Summary {
    topic: String,
    kind: &'static str,
    items: u64,
    bytes: u64,
    /// Passed over because a fresher one was there, or their time was gone, before the connection could take them.
    skipped: u64,
    /// Lines or images that are no good.
    rejected: u64,
    #[serde(flatten)]
    results: Option<Results>,
    seconds: f64,
}

/// What the hub said.
#[derive(Clone, Debug, Serialize)]
struct Results {
    accepted: u64,
    refused: u64,
    in_doubt: u64,
}

/// Tells the rates on stderr once a second. Runs until dropped.
pub(crate) async fn report(tally: Arc<Tally>, topic: Name, kind: Kind) {
    let clock = Monotonic::new();
    let start = clock.now();
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    ticks.tick().await;
    let mut last = (start, tally.summary(&topic, kind, Duration::ZERO));
    loop {
        ticks.tick().await;
        let now = clock.now();
        let summary = tally.summary(&topic, kind, now - start);
        let (before, earlier) = std::mem::replace(&mut last, (now, summary.clone()));
        let seconds = (now - before).as_secs_f64().max(1e-9);
        let rate = (summary.items - earlier.items) as f64 / seconds;
        let byte_rate = (summary.bytes - earlier.bytes) as f64 / seconds;
        tell::progress(format_args!("{summary}, now {rate:.1}/s, {}/s", tell::bytes(byte_rate)));
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { topic, kind, items, bytes, skipped, rejected, results, seconds } = self;
        write!(f, "{topic} ({kind}): {items} sent, {} in {seconds:.1} s", tell::bytes(*bytes as f64))?;
        if *skipped > 0 {
            write!(f, ", {skipped} skipped")?;
        }
        if *rejected > 0 {
            write!(f, ", {rejected} rejected")?;
        }
        if let Some(Results { accepted, refused, in_doubt }) = results {
            write!(f, ", {accepted} accepted")?;
            if refused + in_doubt > 0 {
                write!(f, ", {refused} refused, {in_doubt} in doubt")?;
            }
        }
        Ok(())
    }
}
