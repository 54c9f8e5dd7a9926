//! The table as text: a line for each contender in a cell.

use std::io::{self, Write};

use super::{Figures, Verdict};
use crate::relay::options::Mode;
use crate::table::{aligned, grouped};

/// Writes the table of one mode; nothing if it has no rows.
pub(super) fn table<'a>(
    out: &mut impl Write,
    mode: Mode,
    rows: impl Iterator<Item = (&'a Figures, &'a Verdict)>,
) -> io::Result<()> {
    let header = match mode {
        Mode::Saturated => SATURATED,
        Mode::Paced => PACED,
    };
    let mut lines = vec![header.map(str::to_owned)];
    let mut failures = Vec::new();
    let mut cell = None;
    for (figures, verdict) in rows {
        if cell.replace(figures.cell).is_some_and(|last| last != figures.cell) {
            lines.push(Default::default());
        }
        lines.push(columns(mode, figures, verdict));
        for failure in &figures.failures {
            let cell = figures.cell;
            failures.push(format!(
                "{} {} B to {}: {failure}",
                figures.contender.as_str(),
                cell.size,
                cell.subs
            ));
        }
    }
    if cell.is_none() {
        return Ok(());
    }
    writeln!(out, "\n{}", title(mode))?;
    aligned(out, &lines, 1)?;
    failures.iter().try_for_each(|failure| writeln!(out, "failed: {failure}"))
}

const fn title(mode: Mode) -> &'static str {
    match mode {
        Mode::Saturated => "Saturated: messages received per second, all subscribers together",
        Mode::Paced => "Paced at 1,000 messages per second: age on arrival, ratios of the p99",
    }
}

fn columns(mode: Mode, figures: &Figures, verdict: &Verdict) -> [String; COLUMNS] {
    let ratio = |ratio: Option<f64>| ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"));
    let ages = figures.ages.unwrap_or_default();
    let values = match mode {
        _ if figures.failed() => ["failed", "-", "-", "-", "-"].map(str::to_owned),
        Mode::Saturated => [
            grouped(figures.msg_per_s),
            grouped(figures.mb_per_s),
            String::new(),
            format!("{:.0}", figures.spread_percent),
            format!("{:.2}", figures.loss_percent),
        ],
        Mode::Paced => [
            grouped(ages.age_p50_us),
            grouped(ages.age_p99_us),
            grouped(ages.age_max_us),
            format!("{:.0}", figures.spread_percent),
            format!("{:.2}", figures.loss_percent),
        ],
    };
    let [one, two, three, spread, loss] = values;
    [
        figures.contender.as_str().to_owned(),
        figures.cell.size.to_string(),
        figures.cell.subs.to_string(),
        one,
        two,
        three,
        spread,
        loss,
        ratio(verdict.to_best_peer),
        ratio(verdict.to_floor),
        verdict.aims.clone().unwrap_or_default(),
    ]
}

const COLUMNS: usize = 11;

const SATURATED: [&str; COLUMNS] =
    ["", "size", "subs", "msg/s", "MB/s", "", "±%", "loss %", "x best peer", "x floor", "aims"];

const PACED: [&str; COLUMNS] =
    ["", "size", "subs", "p50 µs", "p99 µs", "max µs", "±%", "loss %", "x best peer", "x floor", "aims"];
