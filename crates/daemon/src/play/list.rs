//! `nyx play --list`: what is in a recording.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use nyx_client::Pattern;
use nyx_protocol::record::{Outage, Record};
use serde::Serialize;

use super::source::{self, Ending};
use crate::exit::Outcome;
use crate::tell;

/// Prints the list on stdout. A recording that is damaged is listed up to there, and is a failure.
pub(super) fn run(path: &Path, patterns: &[Pattern], json: bool) -> Outcome {
    let mut list = List::default();
    let ending = source::each(path, |record| {
        list.take(&record, patterns);
        ControlFlow::Continue(())
    })?;
    let ending = ending.unwrap_or(Ending::Open);
    list.ending = ending.name();
    let text = if json { serde_json::to_string(&list)? + "\n" } else { list.table(path) };
    tell::print(text)?;
    ending.report(path)
}

/// What is in a recording.
#[derive(Debug, Default, Serialize)]
struct List {
    /// When the first session began.
    started: Option<String>,
    sessions: u64,
    seconds: f64,
    items: u64,
    /// Of payload.
    bytes: u64,
    missing: u64,
    outages: u64,
    ending: &'static str,
    topics: BTreeMap<String, Topic>,
}

#[derive(Debug, Default, Serialize)]
struct Topic {
    kind: &'static str,
    content_type: String,
    items: u64,
    bytes: u64,
    missing: u64,
    first_seconds: f64,
    last_seconds: f64,
}

impl List {
    fn take(&mut self, record: &Record<'_>, patterns: &[Pattern]) {
        match record {
            Record::Session(session) => {
                self.sessions += 1;
                self.reach(session.at);
                if self.started.is_none() {
                    let start = UNIX_EPOCH.checked_add(Duration::from_micros(session.unix_micros));
                    self.started = start.map(|start| humantime::format_rfc3339_seconds(start).to_string());
                }
            }
            Record::Topic { topic, .. } if selects(patterns, topic) => {
                let known = self.topics.entry(topic.name.to_string()).or_default();
                known.kind = topic.kind.name();
                known.content_type.clone_from(&topic.content_type);
            }
            Record::Data { topic, data } => {
                self.reach(data.at);
                let Some(known) = self.topics.get_mut(topic.name.as_str()) else { return };
                let at = seconds(data.at);
                if known.items == 0 {
                    known.first_seconds = at;
                }
                known.last_seconds = at;
                known.items += 1;
                known.bytes += data.payload.len() as u64;
                self.items += 1;
                self.bytes += data.payload.len() as u64;
            }
            Record::Gap { topic, gap } => {
                self.reach(gap.at);
                let Some(known) = self.topics.get_mut(topic.name.as_str()) else { return };
                known.missing = known.missing.saturating_add(gap.total());
                self.missing = self.missing.saturating_add(gap.total());
            }
            Record::Outage(Outage { at, .. }) => {
                self.reach(*at);
                self.outages += 1;
            }
            Record::End(at) => self.reach(*at),
            _ => {}
        }
    }

    fn reach(&mut self, at: Duration) {
        self.seconds = seconds(at);
    }

    fn table(&self, path: &Path) -> String {
        let mut table = format!("{HEADINGS}\n");
        for (name, topic) in &self.topics {
            let Topic { kind, items, bytes, missing, first_seconds, last_seconds, .. } = topic;
            let (name, bytes) = (tell::plain(name), tell::bytes(*bytes as f64));
            // Writing to a string can't fail.
            let _ = writeln!(
                table,
                "{name:<32} {kind:<6} {items:>10} {bytes:>9} {missing:>9} {first_seconds:>9.1} {last_seconds:>9.1}"
            );
        }
        let Self { sessions, seconds, items, bytes, ending, .. } = self;
        let (bytes, started) = (tell::bytes(*bytes as f64), self.started.as_deref().unwrap_or("never"));
        let ending = match *ending {
            "clean" => "ended as it should",
            "cut" => "cut off",
            "damaged" => "damaged",
            _ => "not ended",
        };
        let sessions = if *sessions > 1 { format!(" in {sessions} sessions") } else { String::new() };
        let _ = writeln!(
            table,
            "{}: {items} items, {bytes} in {seconds:.1} s{sessions} from {started}, {ending}",
            path.display()
        );
        table
    }
}

fn selects(patterns: &[Pattern], topic: &nyx_protocol::record::Topic) -> bool {
    patterns.is_empty() || patterns.iter().any(|pattern| pattern.matches(&topic.name))
}

fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1000.0).round() / 1000.0
}

const HEADINGS: &str =
    "topic                            kind        items     bytes   missing   first s    last s";
