//! A reader that does not read.

use nyx_audio_capture::{Capture, capture};

use super::pause;
use super::row::Row;
use super::sound::{On, Stage};

pub(super) fn measure(stage: &Stage, on: On) -> anyhow::Result<Vec<Row>> {
    let time = stage.seconds(12.0);
    let mut config = capture::Config::default();
    // As much of the time as 1,000 chunks are of twelve seconds.
    config.capacity = (time.as_secs_f64() / 12.0 * 1_000.0) as usize;
    let capacity = config.capacity;
    let (capture, mut reader) = Capture::start(stage.input(on), config)?;
    pause(time);
    capture.stop()?;
    let before = reader.metrics();
    let adds_up = before.pushed == before.popped + before.dropped + before.depth as u64;
    let first = reader.recv();
    let gap = first.as_ref().map_or(0, |chunk| chunk.missed());
    // The numbers and the times of what is left tell the same.
    let is_visible = first.is_some_and(|chunk| chunk.sequence == gap && chunk.first_frame == gap * 480);
    let measured = format!(
        "{} = {} + {} + {}, the first is number {gap}",
        before.pushed, before.popped, before.dropped, before.depth
    );
    let reached = adds_up && is_visible && before.dropped > 0 && before.depth == capacity;
    let what = format!("reader stalled {:.1} s, capacity {capacity}", time.as_secs_f64());
    Ok(vec![Row::new(what, measured, "pushed = popped + dropped + queued, the oldest gone", reached)])
}
