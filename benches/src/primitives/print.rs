//! The table as text, as Markdown, or as JSON.

use std::io::{self, Write};

use super::Format;
use super::verdict::{Line, Outcome, Verdict};
use crate::table::{Machine, aligned};

/// Writes the machine, the table and how many aims were reached; or one JSON object per line, the machine first.
pub(super) fn print(
    out: &mut impl Write,
    suite: &str,
    runs: usize,
    format: Format,
    lines: &[Line],
) -> io::Result<()> {
    if format == Format::Json {
        writeln!(out, "{}", serde_json::to_string(&Machine::here())?)?;
        return lines.iter().try_for_each(|line| writeln!(out, "{}", serde_json::to_string(line)?));
    }
    if format == Format::Markdown {
        writeln!(out, "## {suite}\n")?;
    }
    writeln!(out, "{}\n", Machine::here())?;
    writeln!(out, "{}\n", caption(suite, runs))?;
    match format {
        Format::Markdown => markdown(out, lines)?,
        _ => {
            let spread = if lines.iter().any(|line| line.spread_percent.is_some()) { "±%" } else { "" };
            aligned(out, &cells(lines, &["row", "", "ns", spread, "ratio", "aim"]), 2)?;
        }
    }
    writeln!(out, "\n{}", tally(lines))
}

fn caption(suite: &str, runs: usize) -> String {
    let over = if runs > 1 { format!(", median of {runs} runs") } else { String::new() };
    format!(
        "{suite}: nanoseconds per operation{over}; the ratio is our time to the peer's, below 1 is faster"
    )
}

/// How many aims were reached.
fn tally(lines: &[Line]) -> String {
    let count = |outcome| {
        lines.iter().flat_map(|line| &line.verdicts).filter(|verdict| verdict.outcome == outcome).count()
    };
    let (pass, short, unknown) = (count(Outcome::Pass), count(Outcome::Short), count(Outcome::Unknown));
    format!("{pass} PASS, {short} SHORT, {unknown} without a verdict")
}

/// The heads and a line for each contender, whose row is named once.
fn cells(lines: &[Line], heads: &[&str; COLUMNS]) -> Vec<[String; COLUMNS]> {
    let mut cells = vec![heads.map(str::to_owned)];
    let mut last = "";
    for line in lines {
        let row = if line.row == last { "" } else { &line.row };
        last = &line.row;
        let number = |value: Option<f64>, text: fn(f64) -> String| value.map_or_else(|| "-".to_owned(), text);
        let verdicts: Vec<_> = line.verdicts.iter().map(words).collect();
        cells.push([
            row.to_owned(),
            line.contender.clone().unwrap_or_else(|| "-".to_owned()),
            number(line.nanos, nanos),
            line.spread_percent.map_or_else(String::new, |percent| format!("{percent:.0}")),
            line.ratio.map_or_else(String::new, ratio),
            verdicts.join("; "),
        ]);
    }
    cells
}

fn markdown(out: &mut impl Write, lines: &[Line]) -> io::Result<()> {
    let mut cells = cells(lines, &["row", "contender", "ns", "±%", "ratio", "aim"]).into_iter();
    let mut write = |line: [String; COLUMNS]| writeln!(out, "| {} |", line.join(" | "));
    cells.next().into_iter().try_for_each(&mut write)?;
    write(["---", "---", "---:", "---:", "---:", "---"].map(str::to_owned))?;
    cells.try_for_each(write)
}

fn words(Verdict { outcome, aim }: &Verdict) -> String {
    match outcome {
        Outcome::Pass => format!("PASS: {aim}"),
        Outcome::Short => format!("SHORT: {aim}"),
        Outcome::Unknown => aim.clone(),
    }
}

/// Three digits or so: a tenth of a nanosecond matters in three, and in a thousand it is noise.
fn nanos(nanos: f64) -> String {
    match nanos {
        ..10.0 => format!("{nanos:.2}"),
        ..100.0 => format!("{nanos:.1}"),
        _ => crate::table::grouped(nanos),
    }
}

fn ratio(ratio: f64) -> String {
    if ratio < 0.1 { format!("{ratio:.3}") } else { format!("{ratio:.2}") }
}

const COLUMNS: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;

    fn line(row: &str, contender: &str, nanos: f64, verdicts: Vec<Verdict>) -> Line {
        let is_ours = contender == "nyx";
        Line {
            row: row.to_owned(),
            contender: Some(contender.to_owned()),
            nanos: Some(nanos),
            spread_percent: None,
            ratio: (!is_ours).then_some(9.0 / nanos),
            verdicts,
        }
    }

    fn lines() -> Vec<Line> {
        let short = Verdict { outcome: Outcome::Short, aim: "at most 1 of the best".to_owned() };
        vec![line("pool/get", "nyx", 9.0, Vec::new()), line("pool/get", "opool", 6.0, vec![short])]
    }

    fn printed(format: Format) -> String {
        let mut out = Vec::new();
        print(&mut out, "core", 1, format, &lines()).expect("a vector takes everything");
        String::from_utf8(out).expect("it is UTF-8")
    }

    #[test]
    fn a_loss_is_printed_like_a_win() {
        let text = printed(Format::Text);
        assert!(text.contains("\nrow                ns  ratio  aim\n"), "{text}");
        assert!(text.contains("\npool/get  nyx    9.00\n"), "{text}");
        assert!(text.contains("\n          opool  6.00   1.50  SHORT: at most 1 of the best\n"), "{text}");
        assert!(text.ends_with("\n0 PASS, 1 SHORT, 0 without a verdict\n"), "{text}");
    }

    #[test]
    fn markdown_has_the_same_cells() {
        let text = printed(Format::Markdown);
        assert!(text.starts_with("## core\n"), "{text}");
        assert!(text.contains("\n| pool/get | nyx | 9.00 |  |  |  |\n"), "{text}");
        assert!(text.contains("\n|  | opool | 6.00 |  | 1.50 | SHORT: at most 1 of the best |\n"), "{text}");
    }

    #[test]
    fn json_has_a_line_each_after_the_machine() {
        let text = printed(Format::Json);
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).expect("it is JSON")).collect();
        assert!(lines[0]["processor"].is_string());
        assert_eq!(lines[2]["verdicts"][0]["outcome"], "short");
    }
}
