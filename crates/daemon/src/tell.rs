//! What was asked for on stdout; notes and progress on stderr, which nobody has to read: that it can't be written is no failure.

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;

use crate::exit::Outcome;

/// Whether the cursor stands behind a progress line. Changed only while stderr is locked.
static IN_PROGRESS: AtomicBool = AtomicBool::new(false);

/// Prints what was asked for, all of it at once: what stays in a buffer fails unseen when the process ends.
pub(crate) fn print(text: impl AsRef<[u8]>) -> Outcome {
    let mut stdout = io::stdout().lock();
    written(stdout.write_all(text.as_ref()).and_then(|()| stdout.flush()))
}

/// Says of an error of stdout that it is one.
pub(crate) fn written(result: io::Result<()>) -> Outcome {
    Ok(result.context("can't write to stdout")?)
}

/// Somebody else's text within a line of a table: what would move the cursor, colour what follows or turn its direction stands there as an escape.
pub(crate) fn plain(text: &str) -> String {
    // Quotes do no harm, and people have them in names.
    text.escape_debug().to_string().replace("\\'", "'").replace("\\\"", "\"")
}

/// Our own words, and in them those of hubs, of services and of who named a topic. Lines stay lines; what else would move the cursor, colour what
/// follows or turn its direction stands there as an escape.
fn harmless(words: impl Display) -> String {
    let words = words.to_string();
    let keeps = |c: char| c == '\n' || c == '\t' || is_printable(c);
    if words.chars().all(keeps) {
        return words;
    }
    words.chars().map(|c| if keeps(c) { c.to_string() } else { c.escape_debug().to_string() }).collect()
}

/// The same of a line of JSON, which says the same afterwards. What of it is ASCII is in order.
pub(crate) fn harmless_json(line: String) -> String {
    if line.is_ascii() {
        return line;
    }
    let shown = |c: char| match c {
        c if c.is_ascii() || is_printable(c) => c.to_string(),
        c => c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect(),
    };
    line.chars().map(shown).collect()
}

/// Whether it is seen as itself, and moves nothing. Behind a letter, what combines with it is.
fn is_printable(c: char) -> bool {
    c.is_ascii_graphic() || !(c.is_control() || format!("x{c}").escape_debug().any(|c| c == '{'))
}

/// Tells something once.
pub(crate) fn note(message: impl Display) {
    let message = harmless(message);
    let mut stderr = io::stderr().lock();
    let start = if IN_PROGRESS.swap(false, Ordering::Relaxed) { CLEAR_LINE } else { "" };
    let _ = writeln!(stderr, "{start}nyx: {message}");
}

/// Tells how far things are. On a terminal it takes the place of what was told before.
pub(crate) fn progress(line: impl Display) {
    let line = harmless(line);
    let mut stderr = io::stderr().lock();
    let _ = if rewrites() {
        IN_PROGRESS.store(true, Ordering::Relaxed);
        stderr.write_all(in_place(&line).as_bytes()).and_then(|()| stderr.flush())
    } else {
        writeln!(stderr, "{line}")
    };
}

/// Shows lines as they are.
pub(crate) fn show(lines: impl Display) {
    let _ = write!(io::stderr().lock(), "{}", harmless(lines));
}

/// Leaves the last progress to be read.
pub(crate) fn end_progress() {
    let mut stderr = io::stderr().lock();
    if IN_PROGRESS.swap(false, Ordering::Relaxed) {
        let _ = writeln!(stderr);
    }
}

/// Whether to tell progress that nobody asked for.
pub(crate) fn is_watched() -> bool {
    rewrites()
}

/// Whether stderr is a terminal on which a line can take the place of another.
fn rewrites() -> bool {
    io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// A line that takes the place of the one where the cursor is. What does not fit beside it is not seen: in a second row it would stay.
fn in_place(line: &str) -> String {
    format!("{CLEAR_LINE}{NO_WRAP}{line}{WRAP}")
}

/// A number of bytes, or of bytes a second, as people read it: three digits, powers of 1000.
pub(crate) fn bytes(count: f64) -> String {
    let mut scaled = count;
    let mut units = ["B", "kB", "MB", "GB", "TB"].into_iter();
    let mut unit = units.next().unwrap_or_default();
    for next in units {
        if scaled < 999.5 {
            break;
        }
        scaled /= 1000.0;
        unit = next;
    }
    let decimals = if unit == "B" || scaled >= 99.95 {
        0
    } else if scaled >= 9.995 {
        1
    } else {
        2
    };
    format!("{scaled:.decimals$} {unit}")
}

const CLEAR_LINE: &str = "\r\x1b[K";

/// Whether what goes over the right margin goes on in the next row (DECAWM).
const NO_WRAP: &str = "\x1b[?7l";
const WRAP: &str = "\x1b[?7h";

#[cfg(test)]
mod tests {
    use super::{bytes, harmless, harmless_json, plain};

    #[test]
    fn what_would_change_how_a_line_is_read_is_escaped() {
        for (text, shown) in [
            ("camera 3, \"O'Brien\" Žižek 東京 🎥", "camera 3, \"O'Brien\" Žižek 東京 🎥"),
            ("a\u{1b}[2Jb\nc\r\t", "a\\u{1b}[2Jb\\nc\\r\\t"),
            (
                "eman\u{202e}x\u{2066}\u{200b}\u{feff}\u{2028}",
                "eman\\u{202e}x\\u{2066}\\u{200b}\\u{feff}\\u{2028}",
            ),
            ("\u{85}\u{9b}31m", "\\u{85}\\u{9b}31m"),
        ] {
            assert_eq!(plain(text), shown);
        }
    }

    #[test]
    fn words_of_others_keep_their_lines_and_move_nothing_else() {
        let whole = "can't read C:\\a \"b\":\n\tline 2: {นี้ é e\u{301} 東京 🎥}\n";
        assert_eq!(harmless(whole), whole);
        let turned = "no\u{1b}[2J\u{1b}]0;x\u{7}\r\u{202e}\u{9b}31m\u{200b}\u{2028}\0";
        assert_eq!(
            harmless(turned),
            "no\\u{1b}[2J\\u{1b}]0;x\\u{7}\\r\\u{202e}\\u{9b}31m\\u{200b}\\u{2028}\\0"
        );
    }

    #[test]
    fn json_says_the_same_without_moving_anything() {
        let line = "{\"a\":\"é\\n東京 🎥\u{9b}2J\u{202e}\u{e0001}\",\t\"b\":1}";
        let shown = "{\"a\":\"é\\n東京 🎥\\u009b2J\\u202e\\udb40\\udc01\",\t\"b\":1}";
        assert_eq!(harmless_json(line.to_owned()), shown);
        let values = [line, shown].map(|text| serde_json::from_str::<serde_json::Value>(text).unwrap());
        assert_eq!(values[0], values[1]);
    }

    #[test]
    fn bytes_have_three_digits() {
        let cases = [
            (0.0, "0 B"),
            (999.0, "999 B"),
            (1000.0, "1.00 kB"),
            (46_080.0, "46.1 kB"),
            (123_456.0, "123 kB"),
            (999_999.0, "1.00 MB"),
            (5e15, "5000 TB"),
        ];
        for (count, text) in cases {
            assert_eq!(bytes(count), text);
        }
    }
}
