//! Files stay small and say what is, not what was or what will be.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};

use super::Finding;
use crate::workspace::root;

/// One concept, one file: beyond this there are usually two.
const LINES_MAX: usize = 450;

/// Files that are longer, each with the reason why it reads better whole.
const LONG: &[(&str, &str)] = &[];

/// Languages whose files are held to [`LINES_MAX`].
const SOURCES: &[&str] = &["rs", "js", "css", "html", "proto", "sh"];

/// Languages in which a hash and digits can only be the number of an issue; elsewhere they may be a colour.
const WITHOUT_COLOURS: &[&str] = &["rs", "md", "toml", "proto"];

/// Notes to oneself, assembled so that this file does not hold them.
const NOTES: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("X", "XX")];

pub(super) fn check() -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for path in files()? {
        let text = match fs::read(root().join(&path)) {
            Ok(bytes) => String::from_utf8(bytes).ok(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error).with_context(|| format!("can't read {path}")),
        };
        let Some(text) = text else { continue };
        findings.extend(length(&path, &text));
        findings.extend(marks(&path, &text));
    }
    Ok(findings)
}

/// The files that are in the repository or would be added to it.
fn files() -> anyhow::Result<Vec<String>> {
    let output = Command::new("git")
        .current_dir(root())
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .output()
        .context("can't start git, which knows the files of the project")?;
    ensure!(output.status.success(), "git ls-files failed: {}", String::from_utf8_lossy(&output.stderr));
    let names = String::from_utf8(output.stdout).context("a file's name is not UTF-8")?;
    Ok(names.split_terminator('\0').map(str::to_owned).collect())
}

fn length(path: &str, text: &str) -> Option<Finding> {
    let lines = text.lines().count();
    let exempt = LONG.iter().any(|(long, _)| *long == path);
    (has_extension(path, SOURCES) && lines > LINES_MAX && !exempt).then(|| {
        let remedy = "give its second concept a file, or list it with a reason in xtask/src/check/sources.rs";
        Finding::new(
            path,
            LINES_MAX + 1,
            format!("the file has {lines} lines, more than {LINES_MAX}"),
            remedy,
        )
    })
}

fn marks(path: &str, text: &str) -> Vec<Finding> {
    if path.ends_with(".lock") {
        return Vec::new();
    }
    let numbered = has_extension(path, WITHOUT_COLOURS);
    let mut findings = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if let Some(note) = NOTES.iter().find(|note| has_word(line, note)) {
            findings.push(Finding::new(
                path,
                index + 1,
                format!("`{note}` is left here"),
                "do it, or open an issue",
            ));
        }
        if numbered && has_issue_number(line) {
            findings.push(Finding::new(
                path,
                index + 1,
                "an issue is named by its number",
                "say what it says",
            ));
        }
    }
    findings
}

fn has_extension(path: &str, extensions: &[&str]) -> bool {
    Path::new(path).extension().and_then(|e| e.to_str()).is_some_and(|e| extensions.contains(&e))
}

fn has_word(line: &str, word: &str) -> bool {
    line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|token| token == word)
}

/// Whether the line has a hash and digits as a word of their own, unlike an anchor such as `(#1-the-idea)`.
fn has_issue_number(line: &str) -> bool {
    let words = line.split(|c: char| c.is_whitespace() || "()[],;:.!?\"'`".contains(c));
    words
        .filter_map(|word| word.strip_prefix('#'))
        .any(|number| (1..=5).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issue_number_is_found() {
        let hash = '#';
        assert!(has_issue_number(&format!("see {hash}12 for more")));
        assert!(has_issue_number(&format!("fixed ({hash}7).")));
    }

    #[test]
    fn anchors_colours_attributes_and_headings_are_not_issue_numbers() {
        let harmless = [
            "[the idea](#1-the-idea)",
            "#1a2b3c",
            "r#\"text\"#",
            "#[test]",
            "#![forbid(unsafe_code)]",
            "## 1. Message",
        ];
        assert!(harmless.iter().all(|line| !has_issue_number(line)));
    }

    #[test]
    fn a_note_is_found_as_a_word() {
        let note = NOTES[0];
        assert!(has_word(&format!("// {note}: later"), note));
        assert!(!has_word(&format!("let {note}_LIST = 1;"), note));
    }

    #[test]
    fn only_long_sources_are_too_long() {
        let text = "line\n".repeat(LINES_MAX + 1);
        assert!(length("crates/core/src/lib.rs", &text).is_some());
        assert!(length("docs/WIRE.md", &text).is_none());
        assert!(length("crates/core/src/lib.rs", "line\n").is_none());
    }
}
