//! A recorder that is killed.

use std::fs::File;
use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use nyx_audio_capture::wav;
use nyx_core::clock::{Clock as _, Monotonic};

use super::cycles::resident_kb_of;
use super::pause;
use super::row::Row;
use super::sound::{On, Running, Stage};

pub(super) fn measure(stage: &Stage, on: On) -> anyhow::Result<Vec<Row>> {
    let time = stage.seconds(600.0).max(Duration::from_secs(3));
    let path = stage.file("killed.wav");
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--record").arg(&path);
    if on == On::Pulse {
        command.arg("--socket").arg(stage.socket());
    }
    let clock = Monotonic::new();
    let recorder = Running(command.spawn().context("the recorder does not start")?);
    while !std::fs::metadata(&path).is_ok_and(|data| data.len() > 80) {
        pause(Duration::from_millis(5));
    }
    // When something is in the file, half a second of sound has been captured.
    let begun = clock.now() - Duration::from_millis(500);
    pause(time / 10);
    let process = recorder.0.id().to_string();
    let before = resident_kb_of(&process)?;
    pause(time - time / 10);
    let grown = resident_kb_of(&process)? - before;
    let captured = clock.now().since(begun);
    // `kill -9`.
    drop(recorder);
    let read = wav::Reader::open(File::open(&path)?)?;
    let frames = read.frames_left().context("the header says nothing")?;
    let kept = Duration::from_secs_f64(frames as f64 / 48_000.0);
    let lost = captured.saturating_sub(kept);
    let measured = format!("{:.1} s kept, {lost:.2?} lost, {grown:+} kB", kept.as_secs_f64());
    let what = format!("{} s of recording, kill -9", time.as_secs());
    Ok(vec![Row::new(
        what,
        measured,
        "1 s lost at most, under 5 MB more",
        lost <= Duration::from_secs(1) && grown < 5_000,
    )])
}
