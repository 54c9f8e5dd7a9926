//! The rows beside the aims.

use std::cmp::Ordering;
use std::fmt;

use serde::Serialize;

use super::aims::{Aim, Bound, Peers};
use super::measured::{Figure, Row, Rows};

/// One contender in one row, or a row that nothing was measured of.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Line {
    pub(crate) row: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) contender: Option<String>,
    /// Per operation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) nanos: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) spread_percent: Option<f64>,
    /// Our time in this row over this peer's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ratio: Option<f64>,
    /// On the peer that it is about, or else on our own line.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) verdicts: Vec<Verdict>,
}

/// An aim, and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Verdict {
    pub(crate) outcome: Outcome,
    /// In words.
    pub(crate) aim: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    Pass,
    Short,
    /// We were not measured, or nobody was to be compared with.
    Unknown,
}

/// All rows that were measured or aimed at, in the order of the aims. Rows without an aim follow those of the same
/// primitive, the part of the name before the first slash. In a row `nyx` comes first, then its variants, then the peers by speed.
pub(crate) fn judge(rows: &Rows, aims: &[Aim]) -> Vec<Line> {
    let mut names: Vec<_> = rows.keys().chain(aims.iter().map(|aim| &aim.row)).collect();
    names.sort_by_key(|name| {
        (place(aims, |row| primitive(row) == primitive(name)), place(aims, |row| row == *name), *name)
    });
    names.dedup();
    names.into_iter().flat_map(|name| lines(name, rows, aims)).collect()
}

fn place(aims: &[Aim], is: impl Fn(&str) -> bool) -> usize {
    aims.iter().position(|aim| is(&aim.row)).unwrap_or(usize::MAX)
}

fn primitive(row: &str) -> &str {
    row.split('/').next().unwrap_or(row)
}

fn lines(name: &str, rows: &Rows, aims: &[Aim]) -> Vec<Line> {
    let of_row: Vec<_> = aims.iter().filter(|aim| aim.row == name).collect();
    let empty = Row::new();
    let row = rows.get(name).unwrap_or(&empty);
    // Which of ours the ratios are of.
    let compared = of_row.first().map_or(OURS, |aim| &aim.ours);
    let ours =
        row.get(compared).or_else(|| row.iter().find(|(name, _)| is_ours(name)).map(|(_, figure)| figure));
    let mut lines: Vec<_> = row
        .iter()
        .map(|(contender, figure)| Line {
            row: name.to_owned(),
            contender: Some(contender.clone()),
            nanos: Some(figure.nanos()),
            spread_percent: figure.spread_percent(),
            ratio: ours.filter(|_| !is_ours(contender)).and_then(|ours| ours.over(figure)),
            verdicts: Vec::new(),
        })
        .collect();
    lines.sort_by(by_speed);
    if lines.is_empty() {
        lines.push(Line::unmeasured(name));
    }
    for aim in of_row {
        let (verdict, about) = aim.verdict(row, rows, compared);
        let about = about.unwrap_or(&aim.ours);
        let at = lines.iter().position(|line| line.contender.as_deref() == Some(about)).unwrap_or(0);
        lines[at].verdicts.push(verdict);
    }
    lines
}

impl Line {
    fn unmeasured(row: &str) -> Self {
        Self {
            row: row.to_owned(),
            contender: None,
            nanos: None,
            spread_percent: None,
            ratio: None,
            verdicts: Vec::new(),
        }
    }
}

fn by_speed(a: &Line, b: &Line) -> Ordering {
    let is_peer = |line: &Line| !line.contender.as_deref().is_some_and(is_ours);
    let nanos = |line: &Line| line.nanos.unwrap_or(f64::INFINITY);
    let is_variant = |line: &Line| line.contender.as_deref() != Some(OURS);
    let ours_first = is_peer(a).cmp(&is_peer(b)).then_with(|| match is_peer(a) {
        true => Ordering::Equal,
        false => is_variant(a).cmp(&is_variant(b)),
    });
    ours_first.then(nanos(a).total_cmp(&nanos(b)))
}

/// Whether the contender is Nyx or a variant of it, such as `nyx value` or `nyx, kernel`.
fn is_ours(contender: &str) -> bool {
    contender.strip_prefix(OURS).is_some_and(|variant| variant.is_empty() || variant.starts_with([' ', ',']))
}

const OURS: &str = "nyx";

impl Aim {
    /// The verdict, and the peer that it is about. It says its ratio where the row's ratios are of another one of ours than it is about.
    fn verdict<'a>(&self, row: &'a Row, rows: &Rows, compared: &str) -> (Verdict, Option<&'a str>) {
        let unknown =
            |what: &str| (Verdict { outcome: Outcome::Unknown, aim: format!("{what} ({self})") }, None);
        let Some(ours) = row.get(&self.ours) else { return unknown("not measured") };
        match &self.bound {
            Bound::Nanos(at_most) | Bound::Bytes(at_most) => {
                (self.reached(ours.nanos() <= *at_most, ""), None)
            }
            Bound::Row { row, at_most } => {
                match rows.get(row).and_then(|row| row.get(&self.ours)).and_then(|other| ours.over(other)) {
                    Some(ratio) => (self.reached(ratio <= *at_most, &format!("{ratio:.2}: ")), None),
                    None => unknown("nothing to compare with"),
                }
            }
            Bound::Peers { peers, at_most } => match peers.best(row) {
                Some((best, figure)) => {
                    let ratio = ours.over(figure);
                    let detail = ratio.filter(|_| self.ours != compared).map(|ratio| format!("{ratio:.2}: "));
                    let reached = ratio.is_some_and(|ratio| ratio <= *at_most);
                    let mut verdict = self.reached(reached, &detail.unwrap_or_default());
                    verdict.aim.push_str(&peers.missing(row));
                    (verdict, Some(best))
                }
                None => unknown("no peer"),
            },
        }
    }

    fn reached(&self, reached: bool, detail: &str) -> Verdict {
        let outcome = if reached { Outcome::Pass } else { Outcome::Short };
        Verdict { outcome, aim: format!("{detail}{self}") }
    }
}

impl fmt::Display for Aim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Which of ours it is about, where that is not plain.
        if is_ours(&self.ours) && self.ours != OURS {
            write!(f, "{} ", self.ours)?;
        }
        match &self.bound {
            Bound::Nanos(nanos) => write!(f, "at most {nanos} ns"),
            Bound::Bytes(bytes) => write!(f, "at most {bytes} bytes"),
            Bound::Row { row, at_most } => write!(f, "at most {at_most} of {row}"),
            Bound::Peers { peers: Peers::AllBut(_), at_most } => write!(f, "at most {at_most} of the best"),
            Bound::Peers { peers: Peers::Named(names), at_most } => match &names[..] {
                [one] => write!(f, "at most {at_most} of {one}"),
                _ => write!(f, "at most {at_most} of each: {}", names.join(", ")),
            },
        }
    }
}

impl Peers {
    fn best<'a>(&self, row: &'a Row) -> Option<(&'a str, &'a Figure)> {
        row.iter()
            .map(|(name, figure)| (name.as_str(), figure))
            .filter(|(name, _)| !is_ours(name) && self.has(name))
            .min_by(|a, b| a.1.nanos().total_cmp(&b.1.nanos()))
    }

    fn has(&self, peer: &str) -> bool {
        match self {
            Self::AllBut(except) => !except.iter().any(|name| name == peer),
            Self::Named(names) => names.iter().any(|name| name == peer),
        }
    }

    /// The named ones that the row does not have, as a remark.
    fn missing(&self, row: &Row) -> String {
        let Self::Named(names) = self else { return String::new() };
        let missing: Vec<_> =
            names.iter().filter(|name| !row.contains_key(*name)).map(String::as_str).collect();
        if missing.is_empty() { String::new() } else { format!("; without {}", missing.join(", ")) }
    }
}

#[cfg(test)]
mod tests;
