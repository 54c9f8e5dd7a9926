//! Bytes and CPU per update, ours and others' on the same traces, with what each should reach.
//!
//! Sections, in the order of the table:
//!
//! - documents: each *way* is told the document before and after each tick, says in bytes what a receiver of the one needs for the
//!   other, and applies them at the receiver's end; then both ends are compared. Its times are its own work alone, from a value to
//!   bytes and back: making JSON is charged to those that send JSON, and comparing values to those that compare them.
//!   Framing is left out; it is the same for all.
//! - `steps`: what each step from JSON to ours saves.
//! - `opaque`: payloads that nothing can be done about.
//! - `document`: one delta of a document of 20 KB, for the first receiver and for others.
//! - `control`: headers and control messages beside protobuf.
//! - `links`: links that fail, in virtual time.
//!
//! Reading order: `source` says what is measured on, `ways` has the contenders, `measure` runs them, `report` lays the figures
//! beside `benches/aims.toml`.

mod control;
mod document;
mod links;
mod measure;
mod opaque;
mod report;
mod source;
mod steps;
mod typed;
mod update;
mod ways;

use std::io;
use std::path::PathBuf;

use clap::Parser;

use report::Report;

/// Print bytes and CPU per update by trace and contender, with what should be reached.
#[derive(Debug, Parser)]
#[command(name = "protocol")]
pub struct Args {
    /// Ticks of each trace that are measured, after as many to train dictionaries on
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..))]
    ticks: u32,
    /// What the traces are made from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Measure the topics of a recording (`nyx record`) instead of what is made by seed; none of the other sections
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Print JSON, one object for each line of the table
    #[arg(long)]
    json: bool,
    /// Measure no longer than it takes to see that all works
    #[arg(long)]
    brief: bool,
}

/// Runs all contenders and prints what they took.
///
/// # Errors
/// When the recording can't be read, when a contender's receiver does not end up with what was sent, or when stdout has been closed.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let ticks = args.ticks as usize;
    let mut report = Report::default();
    if let Some(path) = &args.trace {
        let recorded = source::recorded(path)?;
        for subject in recorded.documents {
            measure::documents(subject, ticks, &mut report)?;
        }
        for payloads in recorded.payloads {
            opaque::measure(&payloads, &mut report)?;
        }
    } else {
        for subject in source::seeded(args.seed) {
            measure::documents(subject, ticks, &mut report)?;
        }
        steps::measure(args.seed, ticks, &mut report)?;
        for payloads in opaque::seeded(args.seed) {
            opaque::measure(&payloads, &mut report)?;
        }
        document::measure(args.brief, &mut report);
        control::measure(args.brief, &mut report);
        links::measure(args.seed, args.brief, &mut report);
    }
    report.print(&mut io::stdout().lock(), args.json, args.trace.is_none())?;
    Ok(())
}
