//! Aligned columns.

use std::io::{self, Write};

use super::{Figures, Verdict};
use crate::relay::options::Mode;

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
    aligned(out, &lines)?;
    failures.iter().try_for_each(|failure| writeln!(out, "failed: {failure}"))
}

/// A number with its thousands set apart.
pub(super) fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
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

fn aligned(out: &mut impl Write, lines: &[[String; COLUMNS]]) -> io::Result<()> {
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<_> = (0..COLUMNS).map(width).collect();
    for line in lines {
        let mut text = String::new();
        for (index, (value, width)) in line.iter().zip(&widths).enumerate() {
            match index {
                0 => text.push_str(&format!("{value:<width$}")),
                _ if *width == 0 => {}
                _ if index == COLUMNS - 1 => text.push_str(&format!("  {value}")),
                _ => text.push_str(&format!("  {value:>width$}")),
            }
        }
        writeln!(out, "{}", text.trim_end())?;
    }
    Ok(())
}

const COLUMNS: usize = 11;

const SATURATED: [&str; COLUMNS] =
    ["", "size", "subs", "msg/s", "MB/s", "", "±%", "loss %", "x best peer", "x floor", "aims"];

const PACED: [&str; COLUMNS] =
    ["", "size", "subs", "p50 µs", "p99 µs", "max µs", "±%", "loss %", "x best peer", "x floor", "aims"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!(grouped(999.4), "999");
        assert_eq!(grouped(1_000.0), "1,000");
        assert_eq!(grouped(11_300_000.0), "11,300,000");
    }
}
