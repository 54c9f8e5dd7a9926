//! The figures beside the aims, as one table.

use std::io::Write;

use serde::Serialize;

use crate::primitives::aims::Aim;
use crate::primitives::measured::{Figure, Rows};
use crate::primitives::verdict::{Line as Unmeasured, Outcome, Verdict, judge};
use crate::table::{Machine, aligned, grouped};

/// What was measured so far.
#[derive(Default)]
pub(super) struct Report {
    lines: Vec<Line>,
}

/// One contender in one row; what was not measured is left out.
#[derive(Debug, Default, Serialize)]
pub(super) struct Line {
    pub(super) row: String,
    pub(super) contender: String,
    /// Per update.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) bytes: Option<f64>,
    /// Of what the row begins with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) percent: Option<f64>,
    /// At the sender.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) encode_ns: Option<f64>,
    /// At the receiver.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) apply_ns: Option<f64>,
    /// From the recovery of a link until the receiver has what there is, on average.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) converges_ms: Option<f64>,
    /// The longest of these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) converges_ms_max: Option<f64>,
}

/// A line, and what is said of it.
#[derive(Serialize)]
struct Judged<'a> {
    #[serde(flatten)]
    line: &'a Line,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    verdicts: Vec<Verdict>,
}

/// What an aim's row may be about, by the end of its name, and where that stands.
type Metric = (&'static str, fn(&Line) -> Option<f64>);

const METRICS: [Metric; 4] = [
    ("bytes", |line| line.bytes),
    ("encode", |line| line.encode_ns),
    ("apply", |line| line.apply_ns),
    ("converges", |line| line.converges_ms_max),
];

impl Report {
    pub(super) fn push(&mut self, line: Line) {
        self.lines.push(line);
    }

    /// Prints the table, the aims for rows that were measured beside their figures, and of all rows those that were not; or one
    /// JSON object for each line.
    pub(super) fn print(&self, out: &mut impl Write, json: bool, all: bool) -> anyhow::Result<()> {
        let aims = crate::primitives::aims()?;
        let judged = self.judged(aims.of_suite("protocol"));
        let missing = if all { self.missing(aims.of_suite("protocol")) } else { Vec::new() };
        if json {
            writeln!(out, "{}", serde_json::to_string(&Machine::here())?)?;
            for line in &judged {
                writeln!(out, "{}", serde_json::to_string(line)?)?;
            }
            for line in &missing {
                writeln!(out, "{}", serde_json::to_string(line)?)?;
            }
            return Ok(());
        }
        writeln!(out, "{}\n", Machine::here())?;
        for section in judged.chunk_by(|a, b| a.line.row == b.line.row) {
            aligned(out, &cells(section), 1)?;
            writeln!(out)?;
        }
        for line in &missing {
            let verdicts: Vec<_> = line.verdicts.iter().map(words).collect();
            writeln!(out, "{}: {}\n", line.row, verdicts.join("; "))?;
        }
        let verdicts = || {
            let missing = missing.iter().flat_map(|line| &line.verdicts);
            judged.iter().flat_map(|line| &line.verdicts).chain(missing)
        };
        let count = |outcome| verdicts().filter(|verdict| verdict.outcome == outcome).count();
        let (pass, short, unknown) = (count(Outcome::Pass), count(Outcome::Short), count(Outcome::Unknown));
        Ok(writeln!(out, "{pass} PASS, {short} SHORT, {unknown} without a verdict")?)
    }

    /// What is aimed at and was not measured: the row has another name now, or its section did not run.
    fn missing(&self, aims: &[Aim]) -> Vec<Unmeasured> {
        let is_measured = |aim: &Aim| {
            METRICS.iter().any(|(metric, figure)| {
                self.lines
                    .iter()
                    .any(|line| figure(line).is_some() && aim.row == format!("{}/{metric}", line.row))
            })
        };
        let of_rows: Vec<_> = aims.iter().filter(|aim| !is_measured(aim)).cloned().collect();
        judge(&Rows::new(), &of_rows)
    }

    fn judged(&self, aims: &[Aim]) -> Vec<Judged<'_>> {
        let mut judged: Vec<_> =
            self.lines.iter().map(|line| Judged { line, verdicts: Vec::new() }).collect();
        for (metric, figure) in METRICS {
            let mut rows = Rows::new();
            for line in &self.lines {
                if let Some(value) = figure(line) {
                    let row = rows.entry(format!("{}/{metric}", line.row)).or_default();
                    row.insert(line.contender.clone(), Figure::of_runs([value]));
                }
            }
            let of_rows: Vec<_> = aims.iter().filter(|aim| rows.contains_key(&aim.row)).cloned().collect();
            for verdict in judge(&rows, &of_rows) {
                let is_it = |judged: &&mut Judged<'_>| {
                    verdict.row.strip_suffix(metric) == Some(&format!("{}/", judged.line.row))
                        && verdict.contender.as_deref() == Some(&judged.line.contender)
                };
                if let Some(line) = judged.iter_mut().find(is_it) {
                    line.verdicts.extend(verdict.verdicts.into_iter().map(|verdict| said(metric, verdict)));
                }
            }
        }
        judged
    }
}

/// The verdict with what it is about, where a line has several figures.
fn said(metric: &str, mut verdict: Verdict) -> Verdict {
    verdict.aim = format!("{metric} {}", verdict.aim);
    verdict
}

fn cells(section: &[Judged<'_>]) -> Vec<[String; COLUMNS]> {
    let has = |figure: fn(&Line) -> Option<f64>| section.iter().any(|judged| figure(judged.line).is_some());
    let head = |text: &str, figure| if has(figure) { text.to_owned() } else { String::new() };
    let heads = [
        section.first().map_or_else(String::new, |judged| judged.line.row.clone()),
        head("bytes", |line| line.bytes),
        head("%", |line| line.percent),
        head("encode µs", |line| line.encode_ns),
        head("apply µs", |line| line.apply_ns),
        head("converges ms", |line| line.converges_ms),
        head("at most ms", |line| line.converges_ms_max),
        String::new(),
    ];
    let line = |judged: &Judged<'_>| {
        let Judged { line, verdicts } = judged;
        let text = |value: Option<f64>, text: fn(f64) -> String| value.map_or_else(String::new, text);
        let verdicts: Vec<_> = verdicts.iter().map(words).collect();
        [
            line.contender.clone(),
            text(line.bytes, grouped),
            text(line.percent, |percent| format!("{percent:.2}")),
            text(line.encode_ns, micros),
            text(line.apply_ns, micros),
            text(line.converges_ms, |ms| format!("{ms:.1}")),
            text(line.converges_ms_max, |ms| format!("{ms:.1}")),
            verdicts.join("; "),
        ]
    };
    std::iter::once(heads).chain(section.iter().map(line)).collect()
}

fn words(Verdict { outcome, aim }: &Verdict) -> String {
    match outcome {
        Outcome::Pass => format!("PASS: {aim}"),
        Outcome::Short => format!("SHORT: {aim}"),
        Outcome::Unknown => aim.clone(),
    }
}

fn micros(nanos: f64) -> String {
    match nanos {
        ..10_000.0 => format!("{:.3}", nanos / 1000.0),
        ..100_000.0 => format!("{:.1}", nanos / 1000.0),
        _ => grouped(nanos / 1000.0),
    }
}

const COLUMNS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::primitives::aims::Aims;

    #[test]
    fn an_aim_is_judged_on_the_line_that_it_is_about() {
        let mut report = Report::default();
        for (contender, bytes, encode) in [("JSON", 1000.0, 9.0), ("nyx", 40.0, 12.0)] {
            let (row, contender) = ("world".to_owned(), contender.to_owned());
            let (bytes, encode_ns) = (Some(bytes), Some(encode));
            report.push(Line { row, contender, bytes, encode_ns, ..Line::default() });
        }
        let aims = Aims::parse(
            "[[protocol]]\nrow = \"world/bytes\"\nof = [\"JSON\"]\nat_most = 0.03\n\
             [[protocol]]\nrow = \"world/encode\"\nnanos_at_most = 20\n\
             [[protocol]]\nrow = \"elsewhere/bytes\"\nbytes_at_most = 1\n",
        )
        .expect("they are right");
        let judged = report.judged(aims.of_suite("protocol"));
        let missing: Vec<_> = report.missing(aims.of_suite("protocol"));
        assert_eq!(missing.len(), 1);
        assert_eq!((&*missing[0].row, missing[0].verdicts[0].outcome), ("elsewhere/bytes", Outcome::Unknown));
        let said = |at: usize| judged[at].verdicts.iter().map(words).collect::<Vec<_>>();
        assert_eq!(said(0), ["SHORT: bytes at most 0.03 of JSON"]);
        assert_eq!(said(1), ["PASS: encode at most 20 ns"]);
    }
}
