//! `nyx capture`: what a device hears or an application plays, into a file, a topic or a level meter.

mod follow;
mod level;
mod list;
mod outputs;
mod target;
mod topic;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::anyhow;
use clap::ValueEnum;
use nyx_audio_capture::capture::StartError;
use nyx_audio_capture::format::{CHANNELS_MAX, SAMPLE_RATE_MAX};
use nyx_audio_capture::queue::Reader;
use nyx_audio_capture::{Capture, Encoding, capture};
use nyx_client::Name;
use nyx_core::Bitrate;
use tokio::time::sleep;

use crate::connect::Server;
use crate::exit::{Failure, Outcome};
use crate::serve::{Signals, block_on};
use crate::{stdio, stuck, tell};

use outputs::Outputs;
use target::Target;

/// Capture what a device hears or an application plays.
///
/// Without `--app`, `--pid`, `--stream`, `--device` or `--tone` the default device is captured. It goes into a WAV or FLAC file, a topic, or both; otherwise
/// its level is shown. Ctrl-C ends it, and everything up to that moment is kept.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// List devices, and the applications that play or record
    #[arg(long, conflicts_with_all = ["app", "pid", "stream", "device", "tone", "wav", "flac", "topic", "level"])]
    list: bool,
    /// Go on after the list, with a line for each application that begins to play or record, changes or ends
    #[arg(long, requires = "list")]
    follow: bool,
    #[command(flatten)]
    target: Target,
    /// Record into this WAV file, or to stdout if it is `-`; what is missing becomes silence
    #[arg(long, value_name = "FILE")]
    wav: Option<PathBuf>,
    /// Record into this FLAC file: without loss, in about half the space; 16 or 24 bits
    #[arg(long, value_name = "FILE", conflicts_with = "wav")]
    flac: Option<PathBuf>,
    /// Go on with the WAV file, which is repaired first if it was cut
    #[arg(long, requires = "wav")]
    append: bool,
    /// Publish as this topic, such as `mic/main`
    #[arg(long, value_name = "TOPIC")]
    topic: Option<Name>,
    /// Publish it as Opus of so many bits per second, for thin links; needs a build with the feature `opus`
    #[arg(long, value_name = "BITRATE", num_args = 0..=1, default_missing_value = "96kbit/s", requires = "topic")]
    opus: Option<Bitrate>,
    #[command(flatten)]
    server: Server,
    /// Show the level on stderr
    #[arg(long)]
    level: bool,
    /// End after so much sound
    #[arg(long = "for", value_name = "TIME")]
    duration: Option<humantime::Duration>,
    /// How samples are written; a topic has no 24-bit samples, and gets floats then
    #[arg(long, value_enum, default_value_t = Samples::S16)]
    samples: Samples,
    /// Frames a second [default: as the device has it]
    #[arg(long, value_name = "HZ", value_parser = clap::value_parser!(u32).range(1..=i64::from(SAMPLE_RATE_MAX)))]
    rate: Option<u32>,
    /// Channels [default: as the device has it]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=i64::from(CHANNELS_MAX)))]
    channels: Option<u16>,
    /// Frames in a chunk: shorter is fresher
    #[arg(long, value_name = "FRAMES", default_value_t = 480, value_parser = clap::value_parser!(u32).range(16..=65_536))]
    chunk: u32,
    /// Leave silence out of the topic; file, level and `--for` keep it
    #[arg(long, requires = "topic")]
    skip_silence: bool,
    /// How long to wait for a device or a sound server that is gone to come back
    #[arg(long, value_name = "TIME", default_value = "1m")]
    reconnect: humantime::Duration,
    /// Print the list, or a summary at the end, as JSON
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  nyx capture --list
  nyx capture --list --follow
  nyx capture --level
  nyx capture --app mpv --wav song.wav
  nyx capture --app mpv --wav - | ffmpeg -i - song.mp3
  nyx capture --app mpv --flac song.flac --samples s24
  nyx capture --device alsa_input.usb --topic mic/main
  nyx capture --pid 4711 --topic game/sound --wav game.wav --for 10m";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Samples {
    /// 16-bit integers
    S16,
    /// 24-bit integers
    S24,
    /// 32-bit floats
    F32,
}

impl Samples {
    const fn encoding(self) -> Encoding {
        match self {
            Self::S16 => Encoding::S16Le,
            Self::S24 => Encoding::S24Le,
            Self::F32 => Encoding::F32Le,
        }
    }
}

pub(crate) fn run(args: Args) -> Outcome {
    if args.follow {
        return follow::run(args.json);
    }
    if args.list {
        return list::run(args.json);
    }
    block_on(args.run())
}

impl Args {
    async fn run(self) -> Outcome {
        self.check()?;
        let mut signals = Signals::new()?;
        // What a hub has to confirm is waited for longer.
        let to_stdout_alone = self.topic.is_none() && self.wav.as_deref().is_some_and(stdio::is_meant);
        let _guard = to_stdout_alone.then(stuck::Guard::new).transpose()?;
        let input = self.target.input()?;
        let started = Capture::start(input, self.config());
        let (capture, mut reader) = started.map_err(|error| match error {
            error @ StartError::Request(_) => Failure::usage(error),
            error => error.into(),
        })?;
        let mut outputs = Outputs::open(&self, capture.format()).await?;
        tell::note(format_args!(
            "capturing {}, {} Hz, {} channels",
            self.target,
            capture.format().sample_rate(),
            capture.format().channels()
        ));
        let frames = self.duration.map(|duration| capture.format().frames_in(duration.into()));
        let passed = tokio::select! {
            passed = pass(&mut reader, &mut outputs, frames) => passed,
            () = signals.wait() => Ok(Passed::All),
            () = self.gave_up() => Ok(Passed::All),
        };
        let ended = tokio::task::spawn_blocking(|| capture.stop()).await?;
        // Everything up to now, if nobody said how much: also what comes while the device delivers its last.
        let rest = match passed {
            Ok(Passed::All) => pass(&mut reader, &mut outputs, frames).await.map(drop),
            _ => Ok(()),
        };
        let summary = outputs.close(&reader.metrics()).await;
        tell::end_progress();
        passed?;
        rest?;
        let summary = summary?;
        if self.json {
            tell::print(serde_json::to_string(&summary)? + "\n")?;
        } else {
            tell::note(summary);
        }
        Ok(ended?)
    }

    /// What goes to stdout is a stream of WAV and nothing else, and nothing but a WAV file is gone on with.
    fn check(&self) -> Outcome {
        let is_stdout = |path: &Option<PathBuf>| path.as_deref().is_some_and(stdio::is_meant);
        let wrong = if is_stdout(&self.flac) {
            "FLAC needs a file, whose header is written at the end: `--wav -` writes a stream to stdout"
        } else if self.flac.is_some() && self.append {
            "only a WAV file can be gone on with: leave --append out, or record with --wav"
        } else if is_stdout(&self.wav) && self.append {
            "what was written to stdout can't be gone on with: --append needs a file"
        } else if is_stdout(&self.wav) && self.json {
            "stdout takes one thing: either `--wav -` or --json"
        } else {
            return Ok(());
        };
        Err(Failure::usage(anyhow!(wrong)))
    }

    /// A device that delivers less than it should is not waited for without end.
    async fn gave_up(&self) {
        match self.duration {
            Some(duration) => sleep(Duration::from(duration) + GRACE).await,
            None => std::future::pending().await,
        }
    }

    fn config(&self) -> capture::Config {
        let mut config = capture::Config::default();
        config.chunk_frames = self.chunk as usize;
        config.sample_rate = self.rate.or(self.opus.map(|_| OPUS_RATE));
        config.channels = self.channels;
        let sound = QUEUE_SECONDS * config.sample_rate.unwrap_or(USUAL_RATE) as usize;
        config.capacity = (sound / config.chunk_frames).max(QUEUE_CHUNKS_MIN);
        config.queue_bytes_max = Some(QUEUE_BYTES_MAX);
        config.reconnect = Duration::from(self.reconnect);
        config
    }
}

/// How far chunks have been handed on.
enum Passed {
    /// As many as there were.
    All,
    /// As many as were asked for.
    Enough,
}

/// Hands on every chunk until the capture ends, or so many frames of time have been captured.
async fn pass(reader: &mut Reader, outputs: &mut Outputs, frames: Option<u64>) -> Outcome<Passed> {
    while let Some(chunk) = reader.next().await {
        outputs.take(&chunk).await?;
        if frames.is_some_and(|frames| chunk.end_frame() >= frames) {
            return Ok(Passed::Enough);
        }
    }
    Ok(Passed::All)
}

/// How much longer than it should a device may take: an output that has played ahead is heard only when it has caught up.
const GRACE: Duration = Duration::from_secs(5);

/// How much sound may wait for a file or a hub that is held up.
const QUEUE_SECONDS: usize = 10;

/// However long the chunks are.
const QUEUE_CHUNKS_MIN: usize = 8;

/// 10 s of 32 channels at the usual rate, and little enough for any machine.
const QUEUE_BYTES_MAX: usize = 64 << 20;

/// By which the queue is measured where nobody says a rate: the device's is known only when it is open.
const USUAL_RATE: u32 = 48_000;

/// What Opus is made for; devices of 44,100 Hz are converted.
const OPUS_RATE: u32 = 48_000;

/// What can't be captured on this system.
#[cfg(not(any(feature = "cpal", target_os = "linux", windows)))]
fn no_backend() -> Failure {
    Failure::usage(anyhow!(
        "this build captures nothing but --tone on this system: it has PulseAudio on Linux, WASAPI on Windows, and others with the feature `cpal`"
    ))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn capacity(args: &[&str]) -> (usize, Option<usize>) {
        let config = Line::parse_from([&["capture"], args].concat()).args.config();
        (config.capacity, config.queue_bytes_max)
    }

    #[test]
    fn the_queue_holds_ten_seconds_whatever_the_chunks_are() {
        let bound = Some(64 << 20);
        assert_eq!(capacity(&[]), (1_000, bound));
        assert_eq!(capacity(&["--chunk", "16"]), (30_000, bound));
        assert_eq!(capacity(&["--chunk", "4800", "--rate", "96000"]), (200, bound));
        assert_eq!(capacity(&["--chunk", "65536"]), (8, bound));
    }
}
