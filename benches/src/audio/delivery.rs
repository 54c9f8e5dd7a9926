//! How often a reader wakes up, and what that costs in time.

use std::fs;
use std::time::Duration;

use anyhow::Context;
use nyx_audio_capture::poller::{self, Poller};
use nyx_audio_capture::{Capture, capture};
use nyx_core::clock::{Clock as _, Monotonic};

use super::pause;
use super::row::Row;
use super::sound::{On, Stage};

/// A reader that looks now and then.
pub(super) fn polling(stage: &Stage, on: On) -> anyhow::Result<Vec<Row>> {
    let (capture, mut reader) = Capture::start(stage.input(on), capture::Config::default())?;
    let clock = Monotonic::new();
    let mut poller = Poller::new(poller::Config::default());
    let (settle, end) =
        (Duration::from_secs(2), Duration::from_secs(2) + stage.seconds(10.0).max(Duration::from_secs(1)));
    let (start, mut polls, mut found) = (clock.now(), 0_u32, 0_u32);
    loop {
        let passed = clock.now().since(start);
        if passed >= end {
            break;
        }
        let has = std::iter::from_fn(|| reader.try_recv()).count() > 0;
        if passed >= settle {
            polls += 1;
            found += u32::from(has);
        }
        pause(poller.next(has));
    }
    capture.stop()?;
    let share = f64::from(found) / f64::from(polls.max(1));
    let measured = format!("{:.1}%, every {:.1?}", share * 100.0, poller.interval());
    Ok(vec![Row::new("polls that find data", measured, "70%", share >= 0.7)])
}

/// Readers of one, ten and fifty chunks at a time.
pub(super) fn batches(stage: &Stage, on: On) -> anyhow::Result<Vec<Row>> {
    [(1, 110.0, "110 a second"), (10, 12.0, "12 a second"), (50, 3.0, "3 a second")]
        .into_iter()
        .map(|(chunks, aim, text)| batch(stage, on, chunks, aim, text))
        .collect()
}

fn batch(stage: &Stage, on: On, chunks: usize, aim: f64, text: &'static str) -> anyhow::Result<Row> {
    let (capture, mut reader) = Capture::start(stage.input(on), capture::Config::default())?;
    let clock = Monotonic::new();
    let mut batch = Vec::with_capacity(chunks);
    // The first chunks come when they like.
    reader.recv_batch(chunks, &mut batch);
    let (start, before) = (clock.now(), switches()?);
    let time = stage.seconds(10.0).max(Duration::from_secs(1));
    while clock.now().since(start) < time {
        batch.clear();
        reader.recv_batch(chunks, &mut batch);
    }
    let rate = (switches()? - before) as f64 / clock.now().since(start).as_secs_f64();
    capture.stop()?;
    let latency = reader.metrics().latency;
    let [p50, p99] = [0.5, 0.99].map(|share| latency.quantile(share).unwrap_or_default());
    let measured = format!("{rate:.1} a second, waits p50 {p50:.1?}, p99 {p99:.1?}");
    Ok(Row::new(format!("voluntary switches, batches of {chunks}"), measured, text, rate <= aim))
}

/// How often this thread has gone to sleep.
fn switches() -> anyhow::Result<u64> {
    let status = fs::read_to_string("/proc/thread-self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    line.context("the kernel does not count switches")?.trim().parse().context("a number")
}
