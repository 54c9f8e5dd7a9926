//! The counts that are known: `benches/counts.toml`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::io;

use serde::Deserialize;
use thiserror::Error;

/// Instructions by operation, and the compiler that made them.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
pub(super) struct Book {
    pub(super) rustc: String,
    pub(super) instructions: BTreeMap<String, f64>,
}

/// Why the file could not be used.
#[derive(Debug, Error)]
pub(super) enum Error {
    /// It can't be read or written.
    #[error("{PATH}: {0}")]
    Io(#[from] io::Error),
    /// It is not as `--bless` writes it: mend it, or remove it and bless anew.
    #[error("{PATH}: {0}")]
    Toml(#[from] toml::de::Error),
}

impl Book {
    pub(super) const fn new(rustc: String) -> Self {
        Self { rustc, instructions: BTreeMap::new() }
    }

    pub(super) fn insert(&mut self, op: &str, instructions: f64) {
        self.instructions.insert(op.to_owned(), instructions);
    }

    /// Reads the file; `None` if it is not there.
    pub(super) fn load() -> Result<Option<Self>, Error> {
        match fs::read_to_string(PATH) {
            Ok(text) => Ok(Some(toml::from_str(&text)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn store(&self) -> Result<(), Error> {
        Ok(fs::write(PATH, self.to_toml())?)
    }

    /// A tenth of an instruction is what is left of set-up that differs between runs.
    fn to_toml(&self) -> String {
        let mut text = format!("{HEAD}rustc = {:?}\n\n[instructions]\n", self.rustc);
        for (op, instructions) in &self.instructions {
            let _ = writeln!(text, "{op:?} = {instructions:.1}");
        }
        text
    }
}

const HEAD: &str = "# Instructions per operation under callgrind: `cargo xtask bench counts -- --bless` writes this file.\n\n";

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/counts.toml");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_can_be_read() {
        let mut book = Book::new("rustc 1.95.0 (59807616e 2026-04-14)".to_owned());
        book.insert("wire/scan", 21.5);
        assert_eq!(toml::from_str::<Book>(&book.to_toml()).ok(), Some(book));
    }
}
