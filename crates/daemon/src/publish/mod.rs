//! `nyx pub`: files and pipes in.

mod acknowledged;
mod audio;
mod frames;
mod guess;
mod input;
mod jpeg;
mod lines;
mod notes;
mod rules;
mod tally;
mod throttle;
pub(crate) mod window;

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use nyx_client::batch::Policy;
use nyx_client::{Client, Compression, EventCodec, Kind, Name, publish};
use nyx_core::Bitrate;
use nyx_core::clock::{Clock as _, Monotonic};
use tokio::task::JoinSet;

use crate::connect::{self, Server};
use crate::exit::{Failure, Outcome};
use crate::pace::Rate;
use crate::serve::{Signals, block_on};
use crate::tell;

use guess::Format;
use input::{Input, Place};
use tally::Tally;
use throttle::Throttle;

/// Publish from stdin or files.
///
/// What is published follows from the input, unless --kind says it: JPEG, PNG and WebP are frames, WAV is audio, lines that
/// begin with `{` are state, all other lines are events.
///
/// Lines that are no text or no JSON, and images that are not whole, are told and left out; what follows is published, and the exit code
/// is 1. What the hub does not take, such as a line that is too long for it, ends this command, but with --acknowledged. When it exits
/// with 0 the hub has taken in everything.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Where to publish, such as `camera/1`
    topic: Name,
    /// What to publish, one after the other; `-` or nothing: stdin
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    server: Server,
    /// What kind of topic it is: state, frame, audio or event
    #[arg(long, value_parser = PossibleValuesParser::new(Kind::ALL.map(Kind::name)).try_map(|kind| kind.parse::<Kind>()))]
    kind: Option<Kind>,
    /// State: each line changes the document (JSON merge patch, RFC 7386) instead of being the document
    #[arg(long, conflicts_with_all = ["quantise", "ignore", "limit"])]
    patch: bool,
    #[command(flatten)]
    rules: rules::Options,
    /// Events: each line is JSON; check it, and tell subscribers so
    #[arg(long)]
    json_lines: bool,
    /// Lines: publish this many a second, such as 100/s
    #[arg(long, value_name = "RATE")]
    rate: Option<Rate>,
    /// Events: wait until the hub has said of each line what became of it; tell those that were refused, and exit with 1 if any was
    #[arg(long)]
    acknowledged: bool,
    /// Events: hold lines back until --batch of them are there, but no longer than this, such as 100ms [default: send at once]
    #[arg(long, value_name = "TIME")]
    linger: Option<humantime::Duration>,
    /// Events: send when so many have gathered [default: 10 with --linger]; alone it lingers for up to 100ms
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    batch: Option<u64>,
    /// Frames: publish this many a second [default: as they come from a pipe, 30 from files]
    #[arg(long, value_name = "RATE")]
    fps: Option<Rate>,
    /// State, events and frames: publish at most so many bytes of payload a second, such as 2MB/s
    #[arg(long, value_name = "RATE")]
    bitrate: Option<Bitrate>,
    /// What to compress on the way to the hub: auto (where the connection is slow), off, or a level such as level-1 (-5 to 9)
    #[arg(long, value_name = "HOW", default_value = "auto", value_parser = compression)]
    compression: Compression,
    /// Audio: publish as it comes, for a source that is live already
    #[arg(long)]
    no_pace: bool,
    /// Begin again after the last file
    #[arg(long = "loop")]
    looped: bool,
    /// How old an item may become before it is dropped instead of delivered, if this creates the topic; frames: and before
    /// they are sent [default: only the newest frame waits for the connection]
    #[arg(long, value_name = "TIME")]
    max_age: Option<humantime::Duration>,
    /// Tell rates on stderr once a second, even if that is no terminal
    #[arg(long)]
    progress: bool,
    /// Print a summary as JSON at the end
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  echo '{\"players\": 3}' | nyx pub lobby/state
  tail -f app.log | nyx pub logs/app
  ffmpeg -re -i film.mp4 -f mjpeg - | nyx pub camera/1
  nyx pub slides --fps 1 --loop *.png
  nyx pub orders --acknowledged --json-lines orders.jsonl
  nyx pub logs/old --bitrate 2MB/s app.log.1
  nyx pub radio song.wav";

pub(crate) fn run(args: Args) -> Outcome {
    block_on(args.run())
}

impl Args {
    async fn run(self) -> Outcome {
        let places = self.places()?;
        let mut signals = Signals::new()?;
        let client = self.server.connect_batching(format!("nyx pub {}", self.topic), self.policy()).await?;
        let mut background = JoinSet::new();
        background.spawn(connect::watch(client.clone()));
        let tally = Arc::new(Tally::default());
        let clock = Monotonic::new();
        let start = clock.now();
        let mut kind = None;
        let published = tokio::select! {
            published = self.publish(&client, places, &tally, &mut kind, &mut background) => published.map(|()| false),
            () = signals.wait() => Ok(true),
        };
        // What a signal stopped is whole up to there; the connection may be what it is waiting for.
        let closed = match published {
            Err(_) => Ok(()),
            Ok(true) => {
                tokio::time::timeout(GRACE, close(client)).await.unwrap_or_else(|_| Err(unconfirmed()))
            }
            Ok(false) => tokio::select! {
                closed = close(client) => closed,
                () = signals.wait() => Err(unconfirmed()),
            },
        };
        drop(background);
        tell::end_progress();
        if let Some(kind) = kind {
            let summary = tally.summary(&self.topic, kind, clock.now() - start);
            if self.json {
                tell::print(serde_json::to_string(&summary)? + "\n")?;
            } else if self.tells_progress() {
                tell::note(summary);
            }
        }
        let interrupted = published?;
        closed?;
        if tally.unaccepted() > 0 {
            let (unaccepted, sent) = (tally.unaccepted(), tally.items());
            return Err(anyhow!("{unaccepted} of {sent} lines were refused or are in doubt").into());
        }
        // An image that the signal cut off is nobody's mistake.
        if tally.rejected() > 0 && !interrupted {
            let (rejected, sent) = (tally.rejected(), tally.items());
            return Err(anyhow!("{rejected} lines or images were no good, {sent} were published").into());
        }
        Ok(())
    }

    async fn publish(
        &self,
        client: &Client,
        places: Vec<Place>,
        tally: &Arc<Tally>,
        chosen: &mut Option<Kind>,
        background: &mut JoinSet<()>,
    ) -> Outcome {
        let source = Source::open(places, self.looped).await?;
        let kind = self.choose_kind(&source)?;
        *chosen = Some(kind);
        if self.tells_progress() {
            background.spawn(tally::report(tally.clone(), self.topic.clone(), kind));
        }
        self.publish_as(kind, client, source, tally).await
    }

    async fn publish_as(&self, kind: Kind, client: &Client, source: Source, tally: &Arc<Tally>) -> Outcome {
        let mut options = publish::Options::default();
        let max_age = self.max_age.map(Duration::from);
        options.max_age = max_age;
        options.compression = self.compression;
        let name = self.topic.clone();
        let throttle = Throttle::new(self.bitrate).map_err(Failure::usage)?;
        match kind {
            Kind::State => {
                options.rules = self.rules.rules()?;
                let state = client.state(name, options).await?;
                lines::Lines::read(source, self.rate, throttle)?
                    .publish_state(&state, self.patch, tally)
                    .await
            }
            Kind::Event => {
                options.codec = if self.json_lines { EventCodec::Json } else { EventCodec::Text };
                if self.acknowledged {
                    tally.acknowledge();
                    let records = client.acknowledged(name, options).await?;
                    let lines = lines::Lines::read(source, self.rate, throttle)?;
                    return acknowledged::publish(lines, &records, self.json_lines, tally).await;
                }
                let events = client.events(name, options).await?;
                lines::Lines::read(source, self.rate, throttle)?
                    .publish_events(&events, self.json_lines, tally)
                    .await
            }
            Kind::Frame => {
                options.content_type = source.format().media_type().to_owned();
                let frames = client.frames(name, options).await?;
                let pace = frames::Pace { fps: self.fps, max_age, throttle };
                frames::publish(source, pace, client, &frames, tally).await
            }
            Kind::Audio => audio::publish(source, !self.no_pace, client, &name, options, tally).await,
        }
    }

    fn policy(&self) -> Policy {
        if self.linger.is_none() && self.batch.is_none() {
            return Policy::NATURAL;
        }
        let mut policy = Policy::LINGERING;
        policy.linger = self.linger.map_or(policy.linger, Duration::from);
        policy.count = self.batch.unwrap_or(policy.count);
        policy
    }

    fn places(&self) -> Outcome<Vec<Place>> {
        let mut places: Vec<Place> = self.files.iter().cloned().map(Place::from).collect();
        if places.is_empty() {
            places.push(Place::Stdin);
        }
        if self.looped && places.contains(&Place::Stdin) {
            return Err(Failure::usage(anyhow!("stdin can't be read twice: --loop takes files")));
        }
        places.iter().try_for_each(Place::check)?;
        Ok(places)
    }

    /// What --kind says, what an option implies, or what the input looks like.
    fn choose_kind(&self, source: &Source) -> Outcome<Kind> {
        let kind = self.kind.or_else(|| self.implied_kind()).unwrap_or_else(|| {
            let kind = source.format().kind();
            let (place, format) = (&source.first_place, source.format().name());
            tell::note(format_args!("{place} looks like {format}: publishing `{}` as {kind}", self.topic));
            kind
        });
        let lines = matches!(kind, Kind::State | Kind::Event);
        let rule = self.rules.given();
        let misplaced = [
            (rule.unwrap_or_default(), rule.is_some() && kind != Kind::State, "state"),
            ("--patch", self.patch && kind != Kind::State, "state"),
            ("--json-lines", self.json_lines && kind != Kind::Event, "events"),
            ("--rate", self.rate.is_some() && !lines, "state and events"),
            ("--acknowledged", self.acknowledged && kind != Kind::Event, "events"),
            ("--linger", self.linger.is_some() && kind != Kind::Event, "events"),
            ("--batch", self.batch.is_some() && kind != Kind::Event, "events"),
            ("--fps", self.fps.is_some() && kind != Kind::Frame, "frames"),
            ("--bitrate", self.bitrate.is_some() && kind == Kind::Audio, "state, events and frames"),
            ("--no-pace", self.no_pace && kind != Kind::Audio, "audio"),
        ];
        match misplaced.into_iter().find(|(_, is_misplaced, _)| *is_misplaced) {
            Some((option, _, what)) => Err(Failure::usage(anyhow!(
                "{option} is for {what}, and `{}` is published as {kind}",
                self.topic
            ))),
            None => Ok(kind),
        }
    }

    fn implied_kind(&self) -> Option<Kind> {
        let implied = [
            (self.patch || self.rules.given().is_some(), Kind::State),
            (self.json_lines || self.acknowledged, Kind::Event),
            (self.fps.is_some(), Kind::Frame),
            (self.no_pace, Kind::Audio),
        ];
        implied.into_iter().find_map(|(is_given, kind)| is_given.then_some(kind))
    }

    fn tells_progress(&self) -> bool {
        self.progress || (tell::is_watched() && !self.json)
    }
}

/// A publisher has neither dictionary nor prefix: its blocks are for everyone.
fn compression(text: &str) -> anyhow::Result<Compression> {
    match text.parse()? {
        Compression::Codec(codec) if !matches!(codec, nyx_protocol::choose::Codec::Level(_)) => {
            Err(anyhow!("`{text}` is for what the hub sends: use auto, off or a level such as level-1"))
        }
        good => Ok(good),
    }
}

/// Waits until the hub has everything.
async fn close(client: Client) -> Outcome {
    client.clone().close().await?;
    let late = client.stats().lost_messages;
    if late > 0 {
        tell::note(format_args!("{late} items could not be brought to the hub in time"));
    }
    let lost = client.stats().maybe_lost;
    if lost > 0 {
        return Err(anyhow!("the connection was lost on the way, and up to {lost} messages with it").into());
    }
    Ok(())
}

fn unconfirmed() -> Failure {
    anyhow!("stopped before the hub had confirmed everything: the last items may not have arrived").into()
}

/// How long the hub may take to confirm after a signal.
const GRACE: Duration = Duration::from_secs(3);

/// Inputs, one after the other, the first of them open.
struct Source {
    first: Input,
    first_place: Place,
    places: Vec<Place>,
    looped: bool,
}

impl Source {
    /// Opens the first input and waits until it is clear what it is.
    async fn open(places: Vec<Place>, looped: bool) -> Outcome<Self> {
        let first_place = places.first().cloned().unwrap_or(Place::Stdin);
        let (answer, opened) = tokio::sync::oneshot::channel();
        let place = first_place.clone();
        // Nobody listens when the command is ending.
        std::thread::spawn(move || drop(answer.send(place.open())));
        Ok(Self { first: opened.await??, first_place, places, looped })
    }

    fn format(&self) -> Format {
        self.first.format
    }

    /// Gives each input to `read`, until that wants no more; it says whether there was something in it. Blocks.
    fn each(self, mut read: impl FnMut(&Place, Input) -> Outcome<ControlFlow<(), bool>>) -> Outcome {
        let mut first = Some(self.first);
        loop {
            let mut had_some = false;
            for place in &self.places {
                let input = first.take().map_or_else(|| place.open(), Ok)?;
                match read(place, input)? {
                    ControlFlow::Break(()) => return Ok(()),
                    ControlFlow::Continue(has_some) => had_some |= has_some,
                }
            }
            if !self.looped {
                return Ok(());
            }
            if !had_some {
                return Err(
                    anyhow!("there is nothing to publish in what `--loop` would read for ever").into()
                );
            }
        }
    }
}
