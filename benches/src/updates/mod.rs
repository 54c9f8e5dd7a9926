//! Bytes and time per update of a state document, ours and others' on the same traces.
//!
//! Each contender is told the document before and after each tick, and says in how many bytes it tells a subscriber that has
//! the one of the other. The time is its own work alone, from a value to bytes: making JSON is charged to those that send
//! JSON, and comparing values to those that compare them. Framing is left out; it is the same for all.

mod contender;

use std::io::{self, Write};
use std::time::Duration;

use clap::Parser;
use nyx_core::clock::{Clock as _, Monotonic};

use crate::table::{aligned, grouped};
use crate::traces::{self, Trace};
use contender::{Contender, Update};

/// Print bytes and microseconds per update of a state document, by trace and contender.
#[derive(Debug, Parser)]
#[command(name = "protocol")]
pub struct Args {
    /// Ticks of each trace
    #[arg(long, default_value_t = 300)]
    ticks: usize,
    /// What the traces are made from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print JSON, one object for each contender and trace
    #[arg(long)]
    json: bool,
}

/// What one contender took for one trace, on average.
#[derive(Debug, serde::Serialize)]
struct Row {
    trace: &'static str,
    contender: &'static str,
    bytes: f64,
    /// Of the whole document as JSON.
    percent: f64,
    microseconds: f64,
}

/// Runs all contenders on all traces and prints what they took.
///
/// # Errors
/// When stdout can't be written.
pub fn run(args: &Args) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for trace in traces::all(args.seed) {
        let rows = measure(trace, args.ticks);
        if args.json {
            for row in &rows {
                writeln!(out, "{}", serde_json::to_string(row)?)?;
            }
        } else {
            print(&mut out, &rows)?;
        }
    }
    Ok(())
}

fn measure(mut trace: Box<dyn Trace>, ticks: usize) -> Vec<Row> {
    let clock = Monotonic::new();
    let mut contenders = contender::all(&trace.value());
    let mut taken = vec![(0, Duration::ZERO); contenders.len()];
    let mut before = trace.value();
    for _ in 0..ticks {
        trace.tick();
        let update = Update::new(before, trace.value());
        for (contender, (bytes, time)) in contenders.iter_mut().zip(&mut taken) {
            let start = clock.now();
            *bytes += contender.update(&update);
            *time += clock.now() - start;
        }
        before = update.after;
    }
    let per_tick = |sum: f64| sum / ticks.max(1) as f64;
    let full = per_tick(taken[0].0 as f64);
    let row = |(contender, (bytes, time)): (&Contender, (usize, Duration))| Row {
        trace: trace.name(),
        contender: contender.name,
        bytes: per_tick(bytes as f64),
        percent: 100.0 * per_tick(bytes as f64) / full,
        microseconds: per_tick(time.as_secs_f64() * 1e6),
    };
    contenders.iter().zip(taken).map(row).collect()
}

fn print(out: &mut impl Write, rows: &[Row]) -> io::Result<()> {
    let head = [rows[0].trace, "bytes", "% of JSON", "µs", ""].map(str::to_owned);
    let line = |row: &Row| {
        let share = format!("{:.2}", row.percent);
        [
            row.contender.to_owned(),
            grouped(row.bytes),
            share,
            format!("{:.1}", row.microseconds),
            String::new(),
        ]
    };
    let lines: Vec<_> = std::iter::once(head).chain(rows.iter().map(line)).collect();
    aligned(out, &lines, 1)?;
    writeln!(out)
}
