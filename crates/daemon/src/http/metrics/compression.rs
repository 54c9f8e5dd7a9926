//! What was compressed, by topic.

use std::collections::BTreeMap;
use std::time::Duration;

use nyx_hub::stats::Topic;
use nyx_protocol::choose::Reason;
use nyx_stream::metrics::Unit;

use super::super::openmetrics::{Kind, Page};
use super::Row;

/// What was compressed of a topic, or of several together.
#[derive(Default)]
pub(super) struct Totals {
    before: u64,
    after: u64,
    cpu: Duration,
    over_budget: u64,
    choices: BTreeMap<String, u64>,
    changes: [u64; Reason::NAMES.len()],
    blocks_before: u64,
    blocks_after: u64,
}

impl Totals {
    pub(super) fn add(&mut self, topic: &Topic) {
        self.blocks_before += topic.blocks.before_bytes;
        self.blocks_after += topic.blocks.after_bytes;
        let Some(compression) = &topic.compression else { return };
        self.before += compression.before_bytes;
        self.after += compression.after_bytes;
        self.cpu += compression.cpu;
        self.over_budget += compression.over_budget;
        for (codec, count) in &compression.choices {
            *self.choices.entry(codec.to_string()).or_default() += count;
        }
        self.changes.iter_mut().zip(compression.changes).for_each(|(all, these)| *all += these);
    }
}

/// Topics of which nothing was compressed have no series.
pub(super) fn put(page: &mut Page, rows: &[(&str, Row)], allowed: bool) {
    let help = "Whether anything may be compressed: 0 while the kill switch is on";
    page.family(Kind::Gauge, "compression_allowed", Unit::None, help)
        .gauge(&[], f64::from(u8::from(allowed)));
    let mut counters = |name, unit, help, value: fn(&Totals) -> u64| {
        let mut family = page.family(Kind::Counter, name, unit, help);
        for (topic, row) in rows.iter().filter(|(_, row)| row.compression.is_in_use()) {
            family.counter(&[("topic", topic)], value(&row.compression));
        }
    };
    let help = "Bytes of messages to subscribers that take blocks, as they would have been sent plainly";
    counters("compression_before", Unit::Bytes, help, |totals| totals.before);
    counters("compression_after", Unit::Bytes, "The same as they were sent", |totals| totals.after);
    let help = "CPU that encoding took, trials included";
    counters("compression_cpu", Unit::Micros, help, |totals| micros(totals.cpu));
    let help = "Messages that went more plainly than they should have, for want of CPU";
    counters("compression_over_budget", Unit::None, help, |totals| totals.over_budget);
    let help = "Bytes that publishers sent as blocks, unpacked";
    counters("blocks_before", Unit::Bytes, help, |totals| totals.blocks_before);
    let help = "Bytes of publishers' messages with blocks, as they came";
    counters("blocks_after", Unit::Bytes, help, |totals| totals.blocks_after);

    let help = "Messages by how they were to be encoded";
    let mut family = page.family(Kind::Counter, "compression_choices", Unit::None, help);
    for (topic, row) in rows {
        for (codec, count) in &row.compression.choices {
            family.counter(&[("topic", topic), ("codec", codec)], *count);
        }
    }
    let help = "How often the choice changed, by reason";
    let mut family = page.family(Kind::Counter, "compression_decisions", Unit::None, help);
    for (topic, row) in rows {
        for (reason, count) in Reason::NAMES.into_iter().zip(row.compression.changes) {
            if count > 0 {
                family.counter(&[("topic", topic), ("reason", reason)], count);
            }
        }
    }
}

impl Totals {
    const fn is_in_use(&self) -> bool {
        self.before > 0 || self.blocks_before > 0
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
