//! Where the chunks go, and what is said of them at the end.

use std::fmt;
use std::time::Duration;

use nyx_audio_capture::queue::Metrics;
use nyx_audio_capture::record::{self, Container, CreateError, Recorder};
use nyx_audio_capture::{Chunk, Format};
use nyx_core::Instant;
use nyx_core::clock::{Clock as _, Monotonic};
use serde::Serialize;

use super::Args;
use super::level::Level;
use super::topic::Topic;
use crate::exit::{Failure, Outcome};
use crate::opus;
use crate::stdio;
use crate::tell;

/// File, topic and meter, each where it was asked for.
pub(super) struct Outputs {
    format: Format,
    recorder: Option<Recorder>,
    topic: Option<Topic>,
    /// Chunks that were sent and passed over.
    published: (u64, u64),
    /// Why the topic has ended before the recording.
    lost_topic: Option<Failure>,
    /// Not sent to the topic; everything else needs it.
    skip_silence: bool,
    meter: Option<Meter>,
    frames: u64,
    silent_frames: u64,
    discontinuities: u64,
}

struct Meter {
    level: Level,
    clock: Monotonic,
    next: Instant,
    every: Duration,
}

impl Outputs {
    pub(super) async fn open(args: &Args, format: Format) -> Outcome<Self> {
        let mut config = record::Config::default();
        config.encoding = args.samples.encoding();
        if args.flac.is_some() {
            config.container = Container::Flac;
        }
        let topic = match &args.topic {
            Some(name) => {
                let encoder = args.opus.map(|rate| opus::Encoder::new(format, args.chunk as usize, rate));
                let (encoding, encoder) = (config.encoding, encoder.transpose().map_err(Failure::usage)?);
                Some(Topic::open(name, &args.server, format, encoding, encoder, args.chunk.into()).await?)
            }
            None => None,
        };
        // Last, because it empties a file that is there: what fails before leaves it as it was.
        let recorder = match recorder(args, format, config) {
            Ok(recorder) => recorder,
            Err(error) => {
                if let Some(topic) = topic {
                    // The hub is told that it was nothing; the file is what is in the way.
                    let _ = topic.close().await;
                }
                return Err(error);
            }
        };
        let meter = (args.level || (recorder.is_none() && topic.is_none())).then(Meter::new);
        Ok(Self {
            format,
            recorder,
            topic,
            published: (0, 0),
            lost_topic: None,
            skip_silence: args.skip_silence,
            meter,
            frames: 0,
            silent_frames: 0,
            discontinuities: 0,
        })
    }

    /// Nothing is lost by dropping the future but this chunk.
    pub(super) async fn take(&mut self, chunk: &Chunk) -> Outcome {
        let frames = chunk.frames() as u64;
        self.frames += frames;
        self.silent_frames += if chunk.silent { frames } else { 0 };
        if chunk.discontinuity {
            self.discontinuities += 1;
            tell::note(format_args!(
                "the sound was interrupted before {:.2} s",
                self.format.duration_of(chunk.first_frame).as_secs_f64()
            ));
        }
        self.publish(chunk).await?;
        if let Some(meter) = &mut self.meter {
            meter.take(chunk);
        }
        if let Some(recorder) = &mut self.recorder {
            recorder.write(chunk)?;
        }
        Ok(())
    }

    async fn publish(&mut self, chunk: &Chunk) -> Outcome {
        let Some(topic) = &mut self.topic else { return Ok(()) };
        if topic.has_ended() {
            let failure = topic.failure().await;
            self.topic = None;
            if self.recorder.is_none() {
                return Err(failure);
            }
            tell::note(format_args!("nothing more is published, and the recording goes on: {failure}"));
            self.lost_topic = Some(failure);
        } else if !(self.skip_silence && chunk.silent) {
            topic.take(chunk)?;
            self.published = topic.counts();
        }
        Ok(())
    }

    /// Ends file and topic.
    pub(super) async fn close(self, metrics: &Metrics) -> Outcome<Summary> {
        // The file first: it is there whatever the hub does.
        let recorded = self.recorder.map(Recorder::finish).transpose()?;
        if let Some(topic) = self.topic {
            topic.close().await?;
        }
        if let Some(failure) = self.lost_topic {
            return Err(failure);
        }
        let (sent, skipped) = self.published;
        Ok(Summary {
            frames: self.frames,
            seconds: self.format.duration_of(self.frames).as_secs_f64(),
            silent_seconds: self.format.duration_of(self.silent_frames).as_secs_f64(),
            discontinuities: self.discontinuities,
            dropped_chunks: metrics.dropped,
            device_errors: metrics.device_errors,
            recorded_frames: recorded,
            sent_chunks: sent,
            skipped_chunks: skipped,
        })
    }
}

/// What is recorded into: a file, or stdout.
fn recorder(args: &Args, format: Format, config: record::Config) -> Outcome<Option<Recorder>> {
    let Some(path) = args.wav.as_ref().or(args.flac.as_ref()) else { return Ok(None) };
    let recorder = if stdio::is_meant(path) {
        Recorder::to_pipe(stdio::stdout()?, format, config)
    } else if args.append {
        Recorder::append(path, format, config)
    } else {
        Recorder::create(path, format, config)
    };
    recorder.map(Some).map_err(|error| match error {
        error @ CreateError::Flac { .. } => Failure::usage(error),
        error => error.into(),
    })
}

impl Meter {
    fn new() -> Self {
        let clock = Monotonic::new();
        let next = clock.now();
        let every = if tell::is_watched() { ON_A_TERMINAL } else { IN_A_LOG };
        Self { level: Level::default(), clock, next, every }
    }

    fn take(&mut self, chunk: &Chunk) {
        self.level.take(chunk.samples());
        let now = self.clock.now();
        if now >= self.next {
            self.next = now + self.every;
            tell::progress(self.level.show());
        }
    }
}

const ON_A_TERMINAL: Duration = Duration::from_millis(100);
const IN_A_LOG: Duration = Duration::from_secs(1);

/// What was captured.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    frames: u64,
    seconds: f64,
    silent_seconds: f64,
    discontinuities: u64,
    dropped_chunks: u64,
    device_errors: u64,
    /// In the file, with what was there before.
    recorded_frames: Option<u64>,
    sent_chunks: u64,
    /// Passed over, because the connection had stalled.
    skipped_chunks: u64,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "captured {:.2} s, {:.2} s of it silent", self.seconds, self.silent_seconds)?;
        let counts = [
            (self.discontinuities, "interruptions"),
            (self.dropped_chunks, "chunks dropped"),
            (self.skipped_chunks, "chunks passed over"),
        ];
        counts
            .iter()
            .filter(|(count, _)| *count > 0)
            .try_for_each(|(count, what)| write!(f, ", {count} {what}"))
    }
}
