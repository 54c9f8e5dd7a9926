//! How many instructions each hot operation takes: a figure that a busy machine doesn't move.
//!
//! Every operation of `ops` runs alone under callgrind, once n times and once 2n times. What the second run took more,
//! over n, is the cost of one: process start and set-up cancel out. The counts are held against those in
//! `benches/counts.toml`. They depend on the compiler, so they are judged only where it is the one that made the file;
//! elsewhere they are shown. Valgrind shows every program the same plain processor, so the processor doesn't matter much.
//!
//! Reading order: `ops`, `callgrind`, `book` (the file), `verdict`.

mod book;
mod callgrind;
mod ops;
mod verdict;

use std::io::{self, Write};

use clap::Parser;
use thiserror::Error;

use crate::table::rustc;
use book::Book;
use ops::{OPS, Op};

/// Count the instructions of hot operations, and compare with `benches/counts.toml`.
#[derive(Clone, Debug, Parser)]
#[command(name = "counted")]
pub struct Args {
    /// Only these operations; all when absent.
    pub names: Vec<String>,
    /// Write what was counted to `benches/counts.toml`, as what is expected from now on.
    #[arg(long, conflicts_with = "names")]
    pub bless: bool,
    /// Print the operations' names.
    #[arg(long, conflicts_with_all = ["bless", "names"])]
    pub list: bool,
    /// Just do the one named operation so many times; what runs under valgrind.
    #[arg(long, hide = true, requires = "names")]
    pub calls: Option<u64>,
}

/// Why nothing could be compared.
#[derive(Debug, Error)]
#[error(transparent)]
pub struct Error(Cause);

#[derive(Debug, Error)]
enum Cause {
    #[error("there is no operation `{0}`; `--list` names them all")]
    NoSuchOp(String),
    #[error(transparent)]
    Callgrind(#[from] callgrind::Error),
    #[error(transparent)]
    Book(#[from] book::Error),
    #[error("there is no `rustc` to be asked for its version, on which counts depend")]
    NoCompiler,
    #[error("can't print: {0}")]
    Print(#[from] io::Error),
}

/// Does what the arguments say. Says whether no operation takes noticeably more instructions than it is known to.
///
/// # Errors
/// When valgrind is not installed, an operation is not known, or the file can't be read or written.
pub fn run(args: &Args) -> Result<bool, Error> {
    dispatch(args).map_err(Error)
}

fn dispatch(args: &Args) -> Result<bool, Cause> {
    let selected = select(&args.names)?;
    let mut out = io::stdout().lock();
    if let Some(calls) = args.calls {
        selected.iter().for_each(|op| (op.run)(calls));
        return Ok(true);
    }
    if args.list {
        selected.iter().try_for_each(|op| writeln!(out, "{}", op.name))?;
        return Ok(true);
    }
    let mut now = Book::new(rustc().ok_or(Cause::NoCompiler)?);
    for op in selected {
        now.insert(op.name, callgrind::instructions(op)?);
    }
    let before = Book::load()?;
    let passed = verdict::print(&mut out, before.as_ref(), &now, args.names.is_empty())?;
    if args.bless {
        now.store()?;
        return Ok(true);
    }
    Ok(passed)
}

fn select(names: &[String]) -> Result<Vec<&'static Op>, Cause> {
    if names.is_empty() {
        return Ok(OPS.iter().collect());
    }
    let op =
        |name: &String| OPS.iter().find(|op| op.name == name).ok_or_else(|| Cause::NoSuchOp(name.clone()));
    names.iter().map(op).collect()
}
