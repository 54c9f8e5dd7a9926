//! `nyx sub`: files and pipes out.

mod files;
mod json;
mod recording;
mod stats;

use std::io::{BufWriter, IsTerminal as _, Stdout, Write as _};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::anyhow;
use nyx_client::{Item, Pattern, Subscription, subscribe};
use nyx_core::Instant;
use nyx_core::clock::{Clock as _, Monotonic, unix_micros};
use tokio::task::JoinSet;

use crate::connect::{self, Server};
use crate::exit::{Failure, Outcome};
use crate::serve::{Signals, block_on};
use crate::{record, stdio, stuck, tell};

use files::Directory;
use recording::Recording;
use stats::Stats;

/// Subscribe, and print or store what comes.
///
/// Each item is a line of JSON on stdout: events with their content, state with the whole document after each update, frames and
/// audio with what is known about them. What is missing is a line too, by reason. `age_ms` is the time since the
/// capture, where the publisher said when that was.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Which topics: `*` is one segment, `**` any number
    pattern: Pattern,
    #[command(flatten)]
    server: Server,
    /// Write each frame to a file in this directory; `-`: one after the other to stdout
    #[arg(long, value_name = "DIR|-")]
    frames: Option<PathBuf>,
    /// Write the first audio topic to a WAV file, with silence where something is missing; `-`: to stdout. In another format it goes on in
    /// another file, such as `radio-2.wav`; to stdout it ends
    #[arg(long, value_name = "FILE|-")]
    wav: Option<PathBuf>,
    /// Receive nothing that is older than this; a topic's own limit stays
    #[arg(long, value_name = "TIME")]
    max_age: Option<humantime::Duration>,
    /// End after so many items
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// End after this time; that fewer than --count came by then is a failure
    #[arg(long = "for", value_name = "TIME")]
    time: Option<humantime::Duration>,
    /// Tell rates, ages and what is missing on stderr, once a second and at the end
    #[arg(long)]
    stats: bool,
    /// Print statistics as JSON at the end, and nothing else
    #[arg(long)]
    json: bool,
    /// Print no items
    #[arg(long, short)]
    quiet: bool,
}

const EXAMPLES: &str = "\
Examples:
  nyx sub 'logs/**'
  nyx sub game/world | jq .value.players
  nyx sub demo/card --frames - | ffplay -loglevel error -f mjpeg -
  nyx sub demo/card --frames shots --count 10
  nyx sub demo/melody --wav melody.wav --for 10s
  nyx sub '**' --stats --quiet";

pub(crate) fn run(args: Args) -> Outcome {
    args.check()?;
    block_on(args.run())
}

impl Args {
    fn check(&self) -> Outcome {
        let to_stdout = |path: &Option<PathBuf>| path.as_deref().is_some_and(stdio::is_meant);
        let uses = [to_stdout(&self.frames), to_stdout(&self.wav), self.json];
        if uses.into_iter().filter(|uses| *uses).count() > 1 {
            return Err(Failure::usage(anyhow!(
                "stdout takes one thing: only one of `--frames -`, `--wav -` and --json, and files for the others"
            )));
        }
        Ok(())
    }

    async fn run(self) -> Outcome {
        let mut signals = Signals::new()?;
        let _guard = stuck::Guard::new()?;
        let mut sink = Sink::new(&self)?;
        let client = self.server.connect(format!("nyx sub {}", self.pattern.as_str())).await?;
        let mut background = JoinSet::new();
        background.spawn(connect::watch(client.clone()));
        let mut options = subscribe::Options::default();
        options.max_age = self.max_age.map(Duration::from);
        options.limits = record::limits();
        let subscribed = client.subscribe(self.pattern.clone(), options);
        let mut subscription = connect::answered(client.address(), subscribed).await??;
        let start = sink.clock.now();
        let received = sink.receive(&mut subscription, &self, &mut signals).await;
        // What was written is to be whole, however it ends.
        let finished = sink.flush_all();
        drop((subscription, background));
        connect::leave(client).await;
        received?;
        finished?;
        sink.summarize(&self, sink.clock.now() - start)?;
        match self.count {
            Some(count) if sink.stats.received() < count && sink.timed_out => {
                let received = sink.stats.received();
                Err(anyhow!(
                    "{received} of {count} items came in time: is anything published on `{}`?",
                    self.pattern.as_str()
                )
                .into())
            }
            _ => Ok(()),
        }
    }
}

/// Where items go.
struct Sink {
    clock: Monotonic,
    stdout: BufWriter<Stdout>,
    /// Whether a terminal would obey what publishers say.
    is_seen: bool,
    prints_items: bool,
    frames: Option<Frames>,
    recording: Option<Recording>,
    stats: Stats,
    is_dirty: bool,
    timed_out: bool,
}

enum Frames {
    Stdout,
    Files(Directory),
}

impl Sink {
    fn new(args: &Args) -> Outcome<Self> {
        let frames = match args.frames.as_deref() {
            None => None,
            Some(path) if stdio::is_meant(path) => Some(Frames::Stdout),
            Some(path) => Some(Frames::Files(Directory::new(path)?)),
        };
        let wav_to_stdout = args.wav.as_deref().is_some_and(stdio::is_meant);
        let taken = wav_to_stdout || matches!(frames, Some(Frames::Stdout));
        Ok(Self {
            clock: Monotonic::new(),
            stdout: BufWriter::with_capacity(STDOUT_BUFFER, std::io::stdout()),
            is_seen: std::io::stdout().is_terminal(),
            prints_items: !args.quiet && !args.json && !taken,
            frames,
            recording: args.wav.as_deref().map(Recording::new),
            stats: Stats::default(),
            is_dirty: false,
            timed_out: false,
        })
    }

    /// Receives until the arguments, a signal or an error says that it is enough.
    async fn receive(
        &mut self,
        subscription: &mut Subscription,
        args: &Args,
        signals: &mut Signals,
    ) -> Outcome {
        let stop = async {
            match args.time {
                Some(time) => tokio::time::sleep(time.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(stop);
        let mut ticks = tokio::time::interval(Duration::from_secs(1));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        ticks.tick().await;
        let mut last_tick = self.clock.now();
        while args.count.is_none_or(|count| self.stats.received() < count) {
            tokio::select! {
                biased;
                () = &mut stop => {
                    self.timed_out = true;
                    break;
                }
                () = signals.wait() => break,
                _ = ticks.tick() => self.tick(args, &mut last_tick)?,
                item = subscription.recv() => {
                    let item = item?;
                    if self.take(&item, subscription)?.is_break() {
                        break;
                    }
                }
                // Nothing more has come: what is there is to be seen now.
                () = async {}, if self.is_dirty => self.flush()?,
            }
        }
        Ok(())
    }

    /// Breaks when nothing more can be taken.
    fn take(&mut self, item: &Item, subscription: &Subscription) -> Outcome<ControlFlow<()>> {
        let now = unix_micros();
        match item {
            Item::State(state) => {
                self.stats.receive(&state.topic, state.encoded_len, state.unix_micros, now);
                if let Some(document) = subscription.document(&state.topic.name).filter(|_| self.prints_items)
                {
                    self.print(json::state(state, &document.value(), now))?;
                }
            }
            Item::Event(event) => {
                self.stats.receive(&event.topic, event.payload.len(), event.unix_micros, now);
                if self.prints_items {
                    self.print(json::event(event, now))?;
                }
            }
            Item::Frame(frame) => {
                self.stats.receive(&frame.topic, frame.payload.len(), frame.unix_micros, now);
                let file = self.write_frame(frame)?;
                if self.prints_items {
                    let file = file.as_deref().map(Path::to_string_lossy);
                    self.print(json::frame(frame, file.as_deref(), now))?;
                }
            }
            Item::Audio(audio) => {
                self.stats.receive(&audio.topic, audio.payload.len(), audio.unix_micros, now);
                if let Some(recording) = &mut self.recording
                    && recording.write(audio)?.is_break()
                {
                    return Ok(ControlFlow::Break(()));
                }
                if self.prints_items {
                    self.print(json::audio(audio, now))?;
                }
            }
            Item::Gap(gap) => {
                self.stats.miss(gap);
                if let Some(recording) = &mut self.recording {
                    recording.miss(gap);
                }
                if self.prints_items {
                    self.print(json::gap(gap))?;
                }
            }
            Item::Reconnected(reconnected) => {
                self.stats.reconnect();
                if self.prints_items {
                    self.print(json::reconnected(reconnected))?;
                }
            }
            Item::Refused(refusal) if self.prints_items => self.print(json::refused(refusal))?,
            _ => {}
        }
        Ok(ControlFlow::Continue(()))
    }

    fn write_frame(&mut self, frame: &subscribe::Frame) -> Outcome<Option<PathBuf>> {
        match &self.frames {
            None => Ok(None),
            Some(Frames::Files(directory)) => directory.write(frame).map(Some),
            Some(Frames::Stdout) => {
                tell::written(self.stdout.write_all(&frame.payload))?;
                self.is_dirty = true;
                Ok(None)
            }
        }
    }

    fn print(&mut self, line: serde_json::Result<String>) -> Outcome {
        let line = if self.is_seen { tell::harmless_json(line?) } else { line? };
        self.is_dirty = true;
        tell::written(writeln!(self.stdout, "{line}"))
    }

    fn tick(&mut self, args: &Args, last_tick: &mut Instant) -> Outcome {
        if let Some(recording) = &mut self.recording {
            recording.flush()?;
        }
        let now = self.clock.now();
        let since = now - std::mem::replace(last_tick, now);
        if args.stats {
            tell::show(self.stats.table(since));
        }
        Ok(())
    }

    fn flush(&mut self) -> Outcome {
        self.is_dirty = false;
        tell::written(self.stdout.flush())
    }

    fn flush_all(&mut self) -> Outcome {
        if let Some(recording) = &mut self.recording {
            recording.flush()?;
        }
        self.flush()
    }

    fn summarize(&mut self, args: &Args, time: Duration) -> Outcome {
        let summary = self.stats.summary(args.pattern.as_str(), time);
        if args.json {
            self.print(serde_json::to_string(&summary))?;
            self.flush()?;
        }
        if args.stats {
            tell::note(summary);
        }
        Ok(())
    }
}

/// A few frames.
const STDOUT_BUFFER: usize = 256 * 1024;
