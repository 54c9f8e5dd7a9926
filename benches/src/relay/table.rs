//! What is printed.

use std::io::{self, Write};

use serde::Serialize;

use super::contender::Name;
use super::measure::{Cell, Row, Sample};
use super::options::Mode;
use crate::table::{Machine, grouped, median, sorted, spread};

mod text;
mod verdict;

use verdict::Verdict;

/// Prints all rows: one table per mode, or one JSON object per line.
///
/// # Errors
/// When stdout has been closed.
pub fn print(rows: &[Row], json: bool) -> io::Result<()> {
    let figures: Vec<_> = rows.iter().map(Figures::of).collect();
    let verdicts: Vec<_> = figures.iter().map(|one| Verdict::of(one, &figures)).collect();
    let mut out = io::stdout().lock();
    if json {
        writeln!(out, "{}", serde_json::to_string(&Machine::here())?)?;
        for (figures, verdict) in figures.iter().zip(&verdicts) {
            writeln!(out, "{}", serde_json::to_string(&Line { figures, verdict })?)?;
        }
        return Ok(());
    }
    writeln!(out, "{}", Machine::here())?;
    for mode in [Mode::Saturated, Mode::Paced] {
        let of_mode = figures.iter().zip(&verdicts).filter(|(figures, _)| figures.cell.mode == mode);
        text::table(&mut out, mode, of_mode)?;
    }
    Ok(())
}

/// One run, while the bench goes on.
pub fn progress(name: Name, cell: Cell, sample: &Sample) -> String {
    let window = &sample.window;
    let what = match cell.mode {
        Mode::Saturated => format!("{} msg/s", grouped(rate(sample))),
        Mode::Paced => {
            format!("age p50 {} p99 {} µs", window.age_p50_nanos / 1_000, window.age_p99_nanos / 1_000)
        }
    };
    format!("{} {} B to {}: {what}, lost {}", name.as_str(), cell.size, cell.subs, sample.missing)
}

#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    figures: &'a Figures,
    #[serde(flatten)]
    verdict: &'a Verdict,
}

/// A row summed up: medians over its runs.
#[derive(Clone, Debug, Serialize)]
struct Figures {
    contender: Name,
    #[serde(flatten)]
    cell: Cell,
    runs: usize,
    /// Received by all subscribers together.
    msg_per_s: f64,
    mb_per_s: f64,
    /// Of paced runs.
    #[serde(flatten)]
    ages: Option<Ages>,
    /// Half the distance between the best and the worst run, in percent of the median: of the rate when saturated,
    /// of the 99th percentile when paced.
    spread_percent: f64,
    loss_percent: f64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failures: Vec<String>,
}

/// How old messages were on arrival, in microseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Ages {
    age_p50_us: f64,
    age_p99_us: f64,
    age_max_us: f64,
}

impl Figures {
    fn of(row: &Row) -> Self {
        let of = |figure: fn(&Sample) -> f64| sorted(row.samples.iter().map(figure));
        let rates = of(rate);
        let p99s = of(|sample| sample.window.age_p99_nanos as f64 / 1e3);
        let missing: u64 = row.samples.iter().map(|sample| sample.missing).sum();
        let received: u64 = row.samples.iter().map(|sample| sample.received).sum();
        Self {
            contender: row.name,
            cell: row.cell,
            runs: row.samples.len(),
            msg_per_s: median(&rates),
            mb_per_s: median(&rates) * f64::from(row.cell.size) / 1e6,
            ages: (row.cell.mode == Mode::Paced).then(|| Ages {
                age_p50_us: median(&of(|sample| sample.window.age_p50_nanos as f64 / 1e3)),
                age_p99_us: median(&p99s),
                age_max_us: of(|sample| sample.window.age_max_nanos as f64 / 1e3)
                    .last()
                    .copied()
                    .unwrap_or(0.0),
            }),
            spread_percent: spread(if row.cell.mode == Mode::Saturated { &rates } else { &p99s }),
            loss_percent: 100.0 * missing as f64 / ((missing + received) as f64).max(1.0),
            failures: row.failures.clone(),
        }
    }

    /// What the contenders are compared by: messages per second, or the 99th percentile of the age.
    fn score(&self) -> f64 {
        self.ages.map_or(self.msg_per_s, |ages| ages.age_p99_us)
    }

    const fn failed(&self) -> bool {
        self.runs == 0
    }
}

fn rate(sample: &Sample) -> f64 {
    sample.window.received as f64 * 1e9 / sample.window.nanos.max(1) as f64
}
