//! Capture, measured: what is lost, what it costs, how old it gets.
//!
//! Every row that can runs twice: on a synthetic source, and through a PulseAudio of its own with a null sink, which is started in a temporary folder
//! and killed at the end. So what the server loses or delays is told from what we do. A row says what it should reach, and PASS or SHORT; SHORT makes
//! no failure, since a machine may be busy. Where PulseAudio is not installed, it says so and runs the synthetic half.

mod control;
mod cost;
mod cycles;
mod delivery;
mod isolation;
mod killed;
mod ramp;
mod relay;
mod row;
mod silence;
mod sound;
mod stall;

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use nyx_audio_capture::record::{self, Recorder};
use nyx_audio_capture::{Capture, Format, capture};

use crate::table::{Machine, aligned};
use row::Row;
use sound::{On, Stage};

/// Measures `nyx-audio-capture`.
#[derive(clap::Parser)]
pub struct Args {
    /// Half a minute in all, to see that it works.
    #[arg(long, conflicts_with = "scale")]
    brief: bool,
    /// Multiplies how long each row takes; 1 is as the table says, a quarter of an hour in all.
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// Only the rows whose name has this.
    #[arg(long, default_value = "")]
    only: String,
    /// Be the recorder that is killed.
    #[arg(long, hide = true)]
    record: Option<PathBuf>,
    /// What the recorder captures: the PulseAudio there, or a synthetic source.
    #[arg(long, hide = true)]
    socket: Option<PathBuf>,
}

type Measure = fn(&Stage, On) -> anyhow::Result<Vec<Row>>;

/// All rows, and where they run.
const ROWS: &[(&str, Measure, bool)] = &[
    ("ramp", ramp::one, true),
    ("five streams", ramp::five, true),
    ("cost", cost::measure, true),
    ("polling", delivery::polling, true),
    ("batches", delivery::batches, true),
    ("stall", stall::measure, true),
    ("silence", silence::measure, true),
    ("isolation", isolation::measure, false),
    ("cycles", cycles::measure, true),
    ("killed", killed::measure, true),
    ("control", control::measure, false),
    ("relay", relay::measure, true),
];

/// Measures, and prints the table.
///
/// # Errors
/// When something could not be measured.
pub fn run(args: &Args) -> anyhow::Result<()> {
    if let Some(file) = &args.record {
        return record(file, args.socket.clone());
    }
    let rows: Vec<_> = ROWS.iter().filter(|(name, ..)| name.contains(&args.only)).collect();
    if rows.is_empty() {
        let names: Vec<_> = ROWS.iter().map(|(name, ..)| *name).collect();
        anyhow::bail!("no row has `{}` in its name; there are {}", args.only, names.join(", "));
    }
    let stage = Stage::set(if args.brief { BRIEF } else { args.scale })?;
    let mut lines = vec![["what", "on", "measured", "aim", ""].map(str::to_owned)];
    let mut short = 0;
    for (name, measure, is_for_both) in rows {
        for on in stage.sides(*is_for_both) {
            eprintln!("audio: {name}, {}", on.name());
            for row in measure(&stage, on)? {
                short += usize::from(row.is_short());
                lines.push(row.cells(on));
            }
        }
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}\n", Machine::here())?;
    aligned(&mut out, &lines, 4)?;
    writeln!(out, "\n{short} SHORT")?;
    Ok(())
}

/// Records until it is killed.
fn record(file: &std::path::Path, socket: Option<PathBuf>) -> anyhow::Result<()> {
    let input = sound::input(socket.map(nyx_audio_capture::pulse::Address::Unix));
    let (capture, mut reader) = Capture::start(input, capture::Config::default())?;
    let mut recorder = Recorder::create(file, capture.format(), record::Config::default())?;
    while let Some(chunk) = reader.recv() {
        recorder.write(&chunk)?;
    }
    Ok(capture.stop()?)
}

/// Rate and channels of all that is synthetic, and of the null sink.
fn stereo() -> Format {
    Format::new(48_000, 2).unwrap_or_else(|_| unreachable!("it is a usual format"))
}

/// Waits in real time.
#[expect(clippy::disallowed_methods, reason = "sound takes its time, and a bench measures it")]
fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// Of the full length, in continuous integration: half a minute in all.
const BRIEF: f64 = 0.005;
