//! What one stream costs, and how old its chunks are when they are read.

use std::fs;
use std::time::Duration;

use anyhow::Context;
use nyx_audio_capture::{Capture, capture};
use nyx_core::clock::{Clock as _, Monotonic, unix_micros};

use super::row::Row;
use super::sound::{On, Stage};
use super::stereo;
use nyx_audio_capture::synth::Ramp;

pub(super) fn measure(stage: &Stage, on: On) -> anyhow::Result<Vec<Row>> {
    let time = stage.seconds(60.0);
    let (input, _player) = stage.play(on, "cost.wav", Ramp::new(stereo()), time + Duration::from_secs(5))?;
    let clock = Monotonic::new();
    let (capture, mut reader) = Capture::start(input, capture::Config::default())?;
    let (start, before) = (clock.now(), cpu()?);
    let mut ages = Vec::new();
    while clock.now().since(start) < time {
        let Some(chunk) = reader.recv() else { break };
        // The last frame of a chunk is the youngest.
        let end = chunk.unix_micros + stereo().duration_of(chunk.frames() as u64).as_micros() as u64;
        ages.push(unix_micros().saturating_sub(end));
    }
    let used = cpu()?.saturating_sub(before).as_secs_f64() / clock.now().since(start).as_secs_f64();
    capture.stop()?;
    let metrics = reader.metrics();
    let p99 = metrics.latency.quantile(0.99).unwrap_or_default();
    ages.sort_unstable();
    anyhow::ensure!(!ages.is_empty(), "no sound came");
    let age = |share: f64| Duration::from_micros(ages[((ages.len() - 1) as f64 * share) as usize]);
    let found = 1.0 - metrics.empty_wakeups as f64 / metrics.wakeups.max(1) as f64;
    let late = format!("{} of {} callbacks", metrics.late_callbacks, metrics.callbacks);
    Ok(vec![
        Row::new(
            format!("CPU of one stream, {} s", time.as_secs()),
            format!("{:.2}% of a core", used * 100.0),
            "under 1%",
            used < 0.01,
        ),
        Row::new(
            "push to pop, blocking reader",
            format!("p99 {p99:.0?}"),
            "p99 under 1 ms",
            p99 < Duration::from_millis(1),
        ),
        Row::beside(
            "  end of chunk captured to popped",
            format!("p50 {:.1?}, p99 {:.1?}", age(0.5), age(0.99)),
        ),
        Row::beside("  over a chunk later than the quickest", late),
        Row::new("wake-ups that find data, blocking", format!("{:.1}%", found * 100.0), "99%", found >= 0.99),
    ])
}

/// What this process has used.
fn cpu() -> anyhow::Result<Duration> {
    let nanos: u64 = fs::read_dir("/proc/self/task")?
        .flatten()
        .filter_map(|task| fs::read_to_string(task.path().join("schedstat")).ok())
        .filter_map(|text| text.split_whitespace().next()?.parse::<u64>().ok())
        .sum();
    (nanos > 0).then_some(Duration::from_nanos(nanos)).context("the kernel does not say what threads use")
}
