//! What arrived, how old, and what did not.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use nyx_client::subscribe::Gap;
use nyx_client::{Name, Topic};
use nyx_stream::Histogram;
use serde::Serialize;

use crate::tell;

/// Counts of one subscription: in all, and since the last table.
#[derive(Default)]
pub(crate) struct Stats {
    total: Counts,
    topics: BTreeMap<Name, (Counts, Counts)>,
    reconnects: u64,
}

#[derive(Clone, Default)]
struct Counts {
    received: u64,
    bytes: u64,
    /// Microseconds.
    ages: Histogram,
    oldest: u64,
    gaps: BTreeMap<&'static str, u64>,
}

/// Ages in milliseconds, from capture to here.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Ages {
    p50: f64,
    p99: f64,
    max: f64,
}

/// What `--stats --json` prints.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    pattern: String,
    seconds: f64,
    received: u64,
    bytes: u64,
    age_ms: Option<Ages>,
    gaps: BTreeMap<&'static str, u64>,
    reconnects: u64,
    topics: BTreeMap<String, TopicSummary>,
}

#[derive(Debug, Serialize)]
struct TopicSummary {
    received: u64,
    bytes: u64,
    age_ms: Option<Ages>,
    gaps: BTreeMap<&'static str, u64>,
}

impl Stats {
    /// An item came. Its age is taken from its capture time, if it has one.
    pub(crate) fn receive(&mut self, topic: &Topic, bytes: usize, unix_micros: Option<u64>, now_micros: u64) {
        let age = unix_micros.map(|captured| now_micros.saturating_sub(captured));
        self.each(&topic.name, |counts| counts.receive(bytes, age));
    }

    pub(crate) fn miss(&mut self, gap: &Gap) {
        for missing in &gap.missing {
            self.each(&gap.topic.name, |counts| {
                let count = counts.gaps.entry(missing.reason.name()).or_default();
                *count = count.saturating_add(missing.count);
            });
        }
    }

    pub(crate) fn reconnect(&mut self) {
        self.reconnects += 1;
    }

    /// How many items came.
    pub(crate) fn received(&self) -> u64 {
        self.total.received
    }

    fn each(&mut self, topic: &Name, count: impl Fn(&mut Counts)) {
        count(&mut self.total);
        if !self.topics.contains_key(topic) {
            self.topics.insert(topic.clone(), Default::default());
        }
        if let Some((all, recent)) = self.topics.get_mut(topic) {
            count(all);
            count(recent);
        }
    }

    /// The busiest topics since the last table, which `time` ago was.
    pub(crate) fn table(&mut self, time: Duration) -> String {
        let mut rows: Vec<(&Name, &mut Counts)> = self
            .topics
            .iter_mut()
            .map(|(name, (_, recent))| (name, recent))
            .filter(|(_, recent)| recent.is_any())
            .collect();
        rows.sort_by_key(|(_, recent)| std::cmp::Reverse(recent.bytes));
        if rows.is_empty() {
            return "nothing came\n".to_owned();
        }
        let more = rows.len().saturating_sub(ROWS_MAX);
        let mut table = format!("{HEADINGS}\n");
        for (name, recent) in rows {
            if table.lines().count() <= ROWS_MAX {
                recent.put_row(&mut table, name.as_str(), time);
            }
            *recent = Counts::default();
        }
        if more > 0 {
            // Writing to a string can't fail.
            let _ = writeln!(table, "and {more} more topics");
        }
        table
    }

    pub(crate) fn summary(&self, pattern: &str, time: Duration) -> Summary {
        let topics = self.topics.iter().map(|(name, (all, _))| {
            let Counts { received, bytes, ref gaps, .. } = *all;
            (name.to_string(), TopicSummary { received, bytes, age_ms: all.age_ms(), gaps: gaps.clone() })
        });
        Summary {
            pattern: pattern.to_owned(),
            seconds: round(time.as_secs_f64()),
            received: self.total.received,
            bytes: self.total.bytes,
            age_ms: self.total.age_ms(),
            gaps: self.total.gaps.clone(),
            reconnects: self.reconnects,
            topics: topics.collect(),
        }
    }
}

impl Counts {
    fn receive(&mut self, bytes: usize, age_micros: Option<u64>) {
        self.received += 1;
        self.bytes += bytes as u64;
        if let Some(age) = age_micros {
            self.ages.record(age);
            self.oldest = self.oldest.max(age);
        }
    }

    fn is_any(&self) -> bool {
        self.received > 0 || !self.gaps.is_empty()
    }

    fn age_ms(&self) -> Option<Ages> {
        let quantile = |share| Some(round(self.ages.quantile(share)?.min(self.oldest) as f64 / 1000.0));
        Some(Ages { p50: quantile(0.5)?, p99: quantile(0.99)?, max: round(self.oldest as f64 / 1000.0) })
    }

    fn put_row(&self, table: &mut String, name: &str, time: Duration) {
        let seconds = time.as_secs_f64().max(1e-9);
        let rate = self.received as f64 / seconds;
        let bytes = tell::bytes(self.bytes as f64 / seconds);
        let _ = write!(table, "{name:<24} {rate:>9.1} {bytes:>9}/s");
        let _ = match self.age_ms() {
            Some(Ages { p50, p99, max }) => write!(table, " {p50:>8.1} {p99:>8.1} {max:>8.1}"),
            None => write!(table, " {:>8} {:>8} {:>8}", "-", "-", "-"),
        };
        let _ = writeln!(table, "  {}", gaps(&self.gaps));
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { pattern, seconds, received, bytes, age_ms, gaps: missing, reconnects, .. } = self;
        write!(f, "{pattern}: {received} received, {} in {seconds:.1} s", tell::bytes(*bytes as f64))?;
        if let Some(Ages { p50, p99, max }) = age_ms {
            write!(f, ", age p50 {p50:.1} p99 {p99:.1} max {max:.1} ms")?;
        }
        write!(f, ", missing: {}", gaps(missing))?;
        if *reconnects > 0 {
            write!(f, ", {reconnects} reconnects")?;
        }
        Ok(())
    }
}

fn gaps(gaps: &BTreeMap<&'static str, u64>) -> String {
    if gaps.is_empty() {
        return "none".to_owned();
    }
    let reasons: Vec<String> = gaps.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    reasons.join(", ")
}

fn round(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}

const HEADINGS: &str = "topic                         rate       bytes  age p50      p99   max ms  missing";

/// Topics in a table: a screen of them.
const ROWS_MAX: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_in_milliseconds_and_no_quantile_exceeds_the_oldest() {
        let mut counts = Counts::default();
        assert_eq!(counts.age_ms(), None);
        counts.receive(10, None);
        assert_eq!(counts.age_ms(), None);
        counts.receive(10, Some(1001));
        let ages = counts.age_ms().unwrap();
        assert_eq!(ages.max, 1.001);
        assert!(ages.p50 <= ages.max && ages.p99 <= ages.max, "{ages:?}");
        assert_eq!((counts.received, counts.bytes), (2, 20));
    }
}
