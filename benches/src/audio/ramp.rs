//! A counting ramp: whether every frame arrives, once and in order.

use std::time::Duration;

use nyx_audio_capture::synth::{RAMP_PERIOD, Ramp};
use nyx_audio_capture::{Capture, Chunk, capture, queue};

use super::row::Row;
use super::sound::{On, Stage};
use super::{pause, stereo};

pub(super) fn one(stage: &Stage, on: On) -> anyhow::Result<Vec<Row>> {
    let time = stage.seconds(5.0);
    let (input, _player) = stage.play(on, "ramp.wav", Ramp::new(stereo()), time * 2 + SPARE)?;
    let heard = hear(input, time)?;
    let reached = heard.seconds >= 0.99 * time.as_secs_f64() && heard.gaps == 0 && heard.dropped == 0;
    let what = format!("{:.1} s of a counting ramp", time.as_secs_f64());
    Ok(vec![Row::new(what, heard.to_string(), "99% of the time, no gap, no drop", reached)])
}

pub(super) fn five(stage: &Stage, on: On) -> anyhow::Result<Vec<Row>> {
    let time = stage.seconds(10.0);
    let (_, _player) = stage.play(on, "five.wav", Ramp::new(stereo()), time * 2 + SPARE)?;
    let heard: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..5).map(|_| scope.spawn(|| hear(stage.input(on), time))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().map_err(|_| anyhow::anyhow!("a reader panicked"))?)
            .collect::<anyhow::Result<_>>()
    })?;
    let least = heard.iter().map(|heard| heard.seconds).fold(f64::INFINITY, f64::min);
    let dropped: u64 = heard.iter().map(|heard| heard.dropped).sum();
    let gaps: u64 = heard.iter().map(|heard| heard.gaps).sum();
    let what = format!("five streams at once, {:.1} s", time.as_secs_f64());
    let measured = format!("{least:.3} s at least, {gaps} gaps, {dropped} dropped");
    let reached = least >= 0.99 * time.as_secs_f64() && gaps == 0 && dropped == 0;
    Ok(vec![Row::new(what, measured, "each 99% of the time, no gap, no drop", reached)])
}

struct Heard {
    seconds: f64,
    gaps: u64,
    dropped: u64,
}

impl std::fmt::Display for Heard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.3} s, {} gaps, {} dropped", self.seconds, self.gaps, self.dropped)
    }
}

fn hear(input: Box<dyn nyx_audio_capture::Input>, time: Duration) -> anyhow::Result<Heard> {
    let (capture, reader) = Capture::start(input, capture::Config::default())?;
    let counting = std::thread::spawn(|| count(reader));
    while capture.metrics().pushed == 0 {
        pause(Duration::from_millis(1));
    }
    pause(time);
    capture.stop()?;
    let (frames, gaps, dropped) = counting.join().map_err(|_| anyhow::anyhow!("the reader panicked"))?;
    Ok(Heard { seconds: stereo().duration_of(frames).as_secs_f64(), gaps, dropped })
}

fn count(mut reader: queue::Reader) -> (u64, u64, u64) {
    let mut numbers = Numbers::default();
    let mut frames = 0;
    while let Some(chunk) = reader.recv() {
        frames += chunk.frames() as u64;
        numbers.take(&chunk);
    }
    (frames, numbers.gaps, reader.metrics().dropped)
}

/// Follows the ramp from where it is first heard.
#[derive(Default)]
pub(super) struct Numbers {
    next: Option<u64>,
    next_frame: Option<u64>,
    pub(super) gaps: u64,
}

impl Numbers {
    pub(super) fn take(&mut self, chunk: &Chunk) {
        let joins = self.next_frame.is_none_or(|next| next == chunk.first_frame);
        self.gaps += u64::from(!joins);
        self.next_frame = Some(chunk.end_frame());
        for sample in chunk.samples().iter().step_by(2) {
            // Before it begins there is silence, which is the number in the middle and does not count up.
            if self.next.is_none() && *sample == 0.0 {
                continue;
            }
            let number = Ramp::number(*sample);
            self.gaps += u64::from(self.next.is_some_and(|next| next != number));
            self.next = Some((number + 1) % RAMP_PERIOD);
        }
    }
}

/// How much longer it plays than it is listened to.
const SPARE: Duration = Duration::from_secs(5);
