//! All ways on one document, side by side.

use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use nyx_core::clock::{Clock as _, Monotonic};

use super::report::{Line, Report};
use super::source::Subject;
use super::update::{Form, Update};
use super::ways::{self, Way};

/// The clock of all measurements here.
pub(super) fn now() -> nyx_core::Instant {
    static CLOCK: std::sync::OnceLock<Monotonic> = std::sync::OnceLock::new();
    CLOCK.get_or_init(Monotonic::new).now()
}

/// Nanoseconds of one call: the median over samples of so many calls each that the clock does not count. In brief, one call is made.
pub(super) fn nanos_of(brief: bool, mut call: impl FnMut()) -> f64 {
    let mut sample = |calls: u32| {
        let start = now();
        (0..calls).for_each(|_| call());
        (now() - start).as_nanos() as f64 / f64::from(calls)
    };
    let once = sample(1);
    if brief {
        return once;
    }
    // Warm, and a better guess.
    let about = sample(20).min(once).max(1.0);
    let calls = (SAMPLE_NANOS / about).clamp(1.0, 1e6) as u32;
    let mut samples: Vec<_> = (0..SAMPLES).map(|_| sample(calls)).collect();
    samples.sort_by(f64::total_cmp);
    samples[SAMPLES / 2]
}

const SAMPLES: usize = 101;

/// A thousand times what reading the clock takes.
const SAMPLE_NANOS: f64 = 100_000.0;

/// A way, and what it took so far.
struct Tally {
    name: &'static str,
    way: Box<dyn Way>,
    bytes: usize,
    encode: Duration,
    apply: Duration,
}

/// Trains on the first `ticks` updates and measures the next as many, or what there is: of a short trace the second half.
pub(super) fn documents(subject: Subject, ticks: usize, report: &mut Report) -> anyhow::Result<()> {
    let Subject { name, schema, values } = subject;
    let mut forms = Vec::new();
    for value in values.take(2 * ticks + 1) {
        forms.push(Rc::new(Form::new(value, schema)?));
    }
    if forms.len() < 3 {
        eprintln!("protocol: {name} changes too seldom to measure");
        return Ok(());
    }
    let updates: Vec<_> = forms
        .windows(2)
        .map(|pair| Update { before: pair[0].clone(), after: pair[1].clone() })
        .filter(|update| update.before.value != update.after.value)
        .collect();
    let (before, measured) = updates.split_at(updates.len() / 2);
    let ways = ways::all(before, measured).with_context(|| name.clone())?;
    let mut tallies: Vec<_> = ways
        .into_iter()
        .map(|(name, way)| Tally { name, way, bytes: 0, encode: Duration::ZERO, apply: Duration::ZERO })
        .collect();
    let mut out = Vec::new();
    for update in measured {
        for tally in &mut tallies {
            tally.run(update, &mut out).with_context(|| format!("{} of {name}", tally.name))?;
        }
    }
    let count = measured.len().max(1) as f64;
    let full = tallies.first().map_or(1.0, |json| json.bytes as f64 / count);
    for tally in tallies {
        let bytes = tally.bytes as f64 / count;
        report.push(Line {
            row: name.clone(),
            contender: tally.name.to_owned(),
            bytes: Some(bytes),
            percent: Some(100.0 * bytes / full),
            encode_ns: Some(tally.encode.as_nanos() as f64 / count),
            apply_ns: Some(tally.apply.as_nanos() as f64 / count),
            ..Line::default()
        });
    }
    Ok(())
}

impl Tally {
    fn run(&mut self, update: &Update, out: &mut Vec<u8>) -> anyhow::Result<()> {
        out.clear();
        let start = now();
        self.way.encode(update, out)?;
        let encoded = now();
        self.way.apply(out)?;
        self.apply += now() - encoded;
        self.encode += encoded - start;
        self.bytes += out.len();
        ensure!(self.way.holds(update), "the receiver does not hold what was sent");
        Ok(())
    }
}
