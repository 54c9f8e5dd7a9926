//! Counts beside those that were known.

use std::io::{self, Write};

use super::book::Book;
use crate::table::aligned;

/// Prints each operation before and now, and where all are there now those that are not any more. Says whether none got worse, as far as that
/// can be judged, and none is gone.
pub(super) fn print(out: &mut impl Write, before: Option<&Book>, now: &Book, all: bool) -> io::Result<bool> {
    let judged = before.is_some_and(|before| before.rustc == now.rustc);
    let mut lines = vec![["operation", "before", "now", "%", ""].map(str::to_owned)];
    let mut worse = 0;
    for (op, &count) in &now.instructions {
        let known = before.and_then(|before| before.instructions.get(op)).copied();
        let change = Change::of(known, count);
        worse += usize::from(judged && change == Change::Worse);
        let percent = known.filter(|known| *known > 0.0).map(|known| 100.0 * (count / known - 1.0));
        lines.push([
            op.clone(),
            known.map_or_else(|| "-".to_owned(), |known| format!("{known:.1}")),
            format!("{count:.1}"),
            percent.map_or_else(String::new, |percent| format!("{percent:+.0}")),
            change.as_str(judged).to_owned(),
        ]);
    }
    let gone = |op: &&String| all && !now.instructions.contains_key(*op);
    let known = before.map(|before| &before.instructions);
    let gone: Vec<_> = known.into_iter().flat_map(|known| known.keys()).filter(gone).collect();
    for op in &gone {
        let before =
            known.and_then(|known| known.get(*op)).map_or_else(String::new, |known| format!("{known:.1}"));
        let what = "GONE: if it should be, forget it with --bless".to_owned();
        lines.push([(*op).clone(), before, "-".to_owned(), String::new(), what]);
    }
    writeln!(out, "instructions per operation, {}\n", now.rustc)?;
    aligned(out, &lines, 1)?;
    match before {
        Some(before) if !judged => {
            writeln!(out, "\nnot judged: benches/counts.toml is by {}", before.rustc)?;
        }
        _ => writeln!(out, "\n{worse} worse")?,
    }
    Ok(worse == 0 && gone.is_empty())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    New,
    Same,
    Better,
    Worse,
}

impl Change {
    /// A difference under a twentieth and one instruction is the code around it, laid out another way.
    fn of(before: Option<f64>, now: f64) -> Self {
        let Some(before) = before else { return Self::New };
        let tolerance = before * 0.05 + 1.0;
        match now - before {
            change if change > tolerance => Self::Worse,
            change if change < -tolerance => Self::Better,
            _ => Self::Same,
        }
    }

    const fn as_str(self, judged: bool) -> &'static str {
        match self {
            Self::New => "new",
            _ if !judged => "",
            Self::Same => "same",
            Self::Better => "better: keep it with --bless",
            Self::Worse => "WORSE",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book(rustc: &str, count: f64) -> Book {
        let mut book = Book::new(rustc.to_owned());
        book.insert("wire/scan", count);
        book
    }

    fn printed(before: Option<&Book>, now: &Book) -> (bool, String) {
        let mut out = Vec::new();
        let passed = print(&mut out, before, now, true).expect("a vector takes everything");
        (passed, String::from_utf8(out).expect("it is UTF-8"))
    }

    #[test]
    fn a_twentieth_and_one_more_is_worse() {
        assert_eq!(Change::of(Some(100.0), 106.0), Change::Same);
        assert_eq!(Change::of(Some(100.0), 106.1), Change::Worse);
        assert_eq!(Change::of(Some(100.0), 93.9), Change::Better);
        assert_eq!(Change::of(Some(0.0), 1.0), Change::Same);
        assert_eq!(Change::of(None, 1.0), Change::New);
    }

    #[test]
    fn a_regression_fails_and_is_named() {
        let (passed, text) = printed(Some(&book("a", 20.0)), &book("a", 30.0));
        assert!(!passed);
        assert!(text.contains("wire/scan    20.0  30.0  +50  WORSE\n"), "{text}");
    }

    #[test]
    fn another_compiler_is_shown_and_not_judged() {
        let (passed, text) = printed(Some(&book("a", 20.0)), &book("b", 30.0));
        assert!(passed);
        assert!(text.ends_with("\nnot judged: benches/counts.toml is by a\n"), "{text}");
    }

    #[test]
    fn what_is_not_counted_any_more_fails_where_all_are_counted() {
        let mut before = book("a", 20.0);
        before.insert("wire/patch", 3.0);
        let (passed, text) = printed(Some(&before), &book("a", 20.0));
        let gone = text.lines().find(|line| line.starts_with("wire/patch"));
        assert!(!passed && gone.is_some_and(|line| line.contains("GONE")), "{text}");
        let one = print(&mut Vec::new(), Some(&before), &book("a", 20.0), false);
        assert!(one.expect("a vector takes everything"));
    }

    #[test]
    fn what_was_not_known_is_new() {
        let (passed, text) = printed(None, &book("a", 20.0));
        assert!(passed && text.contains("new\n"), "{text}");
    }
}
