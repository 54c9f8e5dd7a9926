//! The table of single primitives: what criterion measured, beside the peers and the aims.
//!
//! A *row* is a criterion group, a *contender* a function in it: ours is called `nyx`, or `nyx` and the name of a
//! variant. `cargo xtask bench core` runs the benches of the suite, each run with a folder of its own for
//! what criterion writes, so that nothing stale can get in; then it has the folders read here.
//!
//! Reading order: `measured` reads the figures, `aims` what they should be, `verdict` lays one beside the other,
//! [`print`] shows it.

pub(crate) mod aims;
pub(crate) mod measured;
mod print;
pub(crate) mod verdict;

use std::io;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use thiserror::Error;

/// Print the table of a suite of primitives from what criterion wrote.
#[derive(Clone, Debug, Parser)]
#[command(name = "primitives")]
pub struct Args {
    /// The suite, whose aims count.
    pub suite: String,
    /// Criterion's output of each run (what `CRITERION_HOME` was).
    #[arg(required = true)]
    pub runs: Vec<PathBuf>,
    /// What to print.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// What to print.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Aligned columns.
    #[default]
    Text,
    /// A section for `docs/benchmarks.md`.
    Markdown,
    /// One object per line, the machine first.
    Json,
}

/// Why there is no table.
#[derive(Debug, Error)]
#[error(transparent)]
pub struct Error(Cause);

#[derive(Debug, Error)]
pub(crate) enum Cause {
    #[error("can't read benches/aims.toml: {0}")]
    Read(io::Error),
    #[error("benches/aims.toml: {0}")]
    Aims(#[from] aims::Error),
    #[error(transparent)]
    Measured(#[from] measured::Error),
    #[error("can't print: {0}")]
    Print(io::Error),
}

/// Prints the table.
///
/// # Errors
/// When the aims or criterion's files can't be read, or stdout has been closed.
pub fn run(args: &Args) -> Result<(), Error> {
    table(args).map_err(Error)
}

fn table(args: &Args) -> Result<(), Cause> {
    let aims = aims()?;
    let rows = measured::read(&args.runs)?;
    let lines = verdict::judge(&rows, aims.of_suite(&args.suite));
    print::print(&mut io::stdout().lock(), &args.suite, args.runs.len(), args.format, &lines)
        .map_err(Cause::Print)
}

/// What is aimed at, of all suites.
pub(crate) fn aims() -> Result<aims::Aims, Cause> {
    let text = std::fs::read_to_string(AIMS).map_err(Cause::Read)?;
    Ok(aims::Aims::parse(&text)?)
}

const AIMS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/aims.toml");

#[cfg(test)]
mod tests {
    #[test]
    fn the_aims_of_all_suites_can_be_read() {
        let aims = super::aims().expect("benches/aims.toml is there and right");
        for suite in ["core", "stream", "protocol"] {
            assert!(!aims.of_suite(suite).is_empty(), "{suite}");
        }
    }
}
