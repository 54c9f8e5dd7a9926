//! What a topic counts, and how old things were when they were delivered.

use std::time::Duration;

use nyx_core::Instant;
use nyx_stream::{Drops, Histogram};

use crate::stats::Blocks;

/// What a topic counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    pub(crate) drops: Drops,
    pub(crate) blocks: Blocks,
    /// Ages at delivery in microseconds, of this period and the last.
    ages: Option<Box<[Histogram; 2]>>,
    ages_since: Instant,
}

/// How long ages count in the quantiles that are shown: one to two of these.
const AGES_PERIOD: Duration = Duration::from_secs(5);

impl Tally {
    pub(crate) fn record_age(&mut self, now: Instant, age: Duration) {
        self.turn_ages(now);
        self.ages.get_or_insert_default()[0].record(micros(age));
    }

    /// Forgets the ages of the period before the last.
    pub(crate) fn turn_ages(&mut self, now: Instant) {
        let passed = now.since(self.ages_since);
        if passed < AGES_PERIOD {
            return;
        }
        self.ages_since = now;
        let Some(ages) = &mut self.ages else { return };
        ages.swap(0, 1);
        ages[0].clear();
        if passed >= 2 * AGES_PERIOD {
            self.ages = None;
        }
    }

    /// Ages of what was delivered in the last seconds, in microseconds.
    pub(crate) fn ages(&self) -> Option<Histogram> {
        let [present, last] = self.ages.as_deref()?;
        let mut ages = present.clone();
        ages.merge(last);
        (ages.total() > 0).then_some(ages)
    }
}

/// An age as it is recorded.
pub(crate) fn micros(age: Duration) -> u64 {
    u64::try_from(age.as_micros()).unwrap_or(u64::MAX)
}
