//! Starting and stopping, again and again.

use std::fs;
use std::time::Duration;

use anyhow::Context;
use nyx_audio_capture::{Capture, capture};
use nyx_core::clock::{Clock as _, Monotonic};

use super::row::Row;
use super::sound::{On, Stage};
use super::{pause, stereo};

pub(super) fn measure(stage: &Stage, on: On) -> anyhow::Result<Vec<Row>> {
    let count = stage.times(100);
    cycle(stage, on)?;
    let (files, memory) = (open_files()?, resident_kb()?);
    let mut missing = 0.0_f64;
    for _ in 0..count {
        missing = missing.max(cycle(stage, on)?);
    }
    let (more_files, more_kb) = (open_files()? as i64 - files as i64, resident_kb()? - memory);
    let measured = format!("{more_files:+} files, {more_kb:+} kB, {missing:.1} chunks missing at most");
    let reached = more_files == 0 && more_kb < 2_000 && missing <= 1.0;
    Ok(vec![Row::new(
        format!("{count} start/stop cycles"),
        measured,
        "flat, the tail complete to a chunk",
        reached,
    )])
}

/// Captures a tenth of a second, and says how many chunks less came than the time had that it ran since the first one.
fn cycle(stage: &Stage, on: On) -> anyhow::Result<f64> {
    let clock = Monotonic::new();
    let (capture, mut reader) = Capture::start(stage.input(on), capture::Config::default())?;
    let first = reader.recv().context("nothing came")?;
    let begun = clock.now();
    pause(Duration::from_millis(100));
    let stopped = clock.now();
    capture.stop()?;
    let frames: u64 = std::iter::from_fn(|| reader.recv()).map(|chunk| chunk.frames() as u64).sum();
    drop(first);
    let due = stereo().frames_in(stopped.since(begun));
    Ok(due.saturating_sub(frames) as f64 / 480.0)
}

fn open_files() -> anyhow::Result<usize> {
    Ok(fs::read_dir("/proc/self/fd")?.count())
}

pub(super) fn resident_kb() -> anyhow::Result<i64> {
    resident_kb_of("self")
}

pub(super) fn resident_kb_of(process: &str) -> anyhow::Result<i64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    line.trim().trim_end_matches(" kB").parse().context("a number of kB")
}
