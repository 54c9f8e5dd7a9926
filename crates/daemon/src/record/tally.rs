//! What was recorded, for people and for scripts.

use std::collections::BTreeMap;
use std::time::Duration;

use nyx_client::subscribe::Gap;
use serde::Serialize;

use super::output::Output;
use crate::tell;

/// Counts of one run.
#[derive(Debug, Default)]
pub(super) struct Tally {
    items: u64,
    bytes: u64,
    missing: BTreeMap<&'static str, u64>,
    reconnects: u64,
}

impl Tally {
    /// An item was recorded.
    pub(super) fn take(&mut self, bytes: usize) {
        self.items += 1;
        self.bytes += bytes as u64;
    }

    /// A gap was.
    pub(super) fn miss(&mut self, gap: &Gap) {
        for missing in &gap.missing {
            let count = self.missing.entry(missing.reason.name()).or_default();
            *count = count.saturating_add(missing.count);
        }
    }

    pub(super) fn reconnect(&mut self) {
        self.reconnects += 1;
    }

    pub(super) fn summary(&self, output: &Output, time: Duration) -> Summary {
        Summary {
            file: output.path().display().to_string(),
            topics: output.topics(),
            items: self.items,
            bytes: self.bytes,
            file_bytes: output.bytes(),
            missing: self.missing.clone(),
            reconnects: self.reconnects,
            seconds: (time.as_secs_f64() * 1000.0).round() / 1000.0,
        }
    }
}

/// What `--json` prints at the end.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    file: String,
    topics: usize,
    items: u64,
    /// Of payload, in this run.
    bytes: u64,
    /// Of the whole file.
    file_bytes: u64,
    missing: BTreeMap<&'static str, u64>,
    reconnects: u64,
    seconds: f64,
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { file, topics, items, file_bytes, missing, reconnects, seconds, .. } = self;
        let size = tell::bytes(*file_bytes as f64);
        write!(f, "{file}: {items} items of {topics} topics in {seconds:.1} s, {size}, missing: ")?;
        if missing.is_empty() {
            write!(f, "none")?;
        }
        for (n, (reason, count)) in missing.iter().enumerate() {
            write!(f, "{}{count} {reason}", if n > 0 { ", " } else { "" })?;
        }
        if *reconnects > 0 {
            write!(f, ", {reconnects} reconnects")?;
        }
        Ok(())
    }
}
