//! `cargo xtask check`: what the compiler and clippy can't hold, as one finding per line.

mod commands;
mod crates;
mod fuzz;
mod layers;
mod sources;
mod suites;

use std::fmt;
use std::path::{Path, PathBuf};

use crate::workspace;

/// Prints every finding as `path:line: what, what to do`, and says whether there was none.
pub(crate) fn run() -> anyhow::Result<bool> {
    let metadata = workspace::metadata()?;
    let mut findings = layers::check(&metadata)?;
    findings.extend(crates::check(&metadata)?);
    findings.extend(suites::check(&metadata)?);
    findings.extend(sources::check()?);
    findings.extend(fuzz::check()?);
    findings.extend(commands::check());

    findings.sort_by(|a, b| (&a.path, a.line).cmp(&(&b.path, b.line)));
    findings.iter().for_each(|finding| println!("{finding}"));
    println!("{} findings", findings.len());
    Ok(findings.is_empty())
}

/// Something that breaks a rule, and what to do about it.
struct Finding {
    path: PathBuf,
    line: usize,
    what: String,
    remedy: String,
}

impl Finding {
    /// A finding in a file, whose path may be absolute. Lines count from 1.
    fn new(path: impl AsRef<Path>, line: usize, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        let path = path.as_ref();
        let path = path.strip_prefix(workspace::root()).unwrap_or(path).to_owned();
        Self { path, line, what: what.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}, {}", self.path.display(), self.line, self.what, self.remedy)
    }
}
