//! `nyx play`: a recording, published again.

mod list;
mod publishers;
mod schedule;
mod source;
mod tally;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use nyx_client::{Client, Name, Pattern};
use nyx_core::Instant;
use nyx_core::clock::{Clock as _, Monotonic, unix_micros};
use tokio::task::JoinSet;

use crate::connect::{self, Server};
use crate::exit::{Failure, Outcome};
use crate::serve::{Signals, block_on};
use crate::{stdio, tell};

use publishers::Publishers;
use schedule::{Schedule, Speed};
use source::{Block, Ending, Item, Source, Step};
use tally::Tally;

/// Publish what `nyx record` has recorded.
///
/// It begins with the first item, keeps the order of all, and the pace. Capture times are moved to the present, so that items are as old at
/// their subscribers as they were at the recorder. A pause that this side is the cause of is not made up for.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The recording; `-`: stdin
    file: PathBuf,
    #[command(flatten)]
    server: Server,
    /// How fast: `1` is the recorded pace, `2` twice that, `max` as fast as the hub takes it
    #[arg(long, value_name = "TIMES", default_value = "1")]
    speed: Speed,
    /// Begin again at the end
    #[arg(long = "loop")]
    looped: bool,
    /// Play only these topics, as recorded; may be given several times
    #[arg(long = "topic", value_name = "PATTERN")]
    topics: Vec<Pattern>,
    /// Publish `a/b` as `PREFIX/a/b`
    #[arg(long)]
    prefix: Option<Name>,
    /// Leave capture times as they were recorded
    #[arg(long)]
    original_times: bool,
    /// Print what is in the recording, and play nothing
    #[arg(long, conflicts_with_all = ["speed", "looped", "prefix", "original_times"])]
    list: bool,
    /// Print the list, or a summary at the end, as JSON
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  nyx play match.nyxrec --list
  nyx play match.nyxrec --speed 4 --topic 'game/**' --prefix replay
  nyx play camera.nyxrec --loop";

pub(crate) fn run(args: Args) -> Outcome {
    if args.list {
        return list::run(&args.file, &args.topics, args.json);
    }
    block_on(args.run())
}

impl Args {
    async fn run(self) -> Outcome {
        if let Some(prefix) = self.prefix.as_ref().filter(|prefix| prefix.is_reserved()) {
            return Err(Failure::usage(anyhow!(
                "`{prefix}/…` would be the hub's own topics: take another prefix"
            )));
        }
        if self.looped && stdio::is_meant(&self.file) {
            return Err(Failure::usage(anyhow!("stdin can't be read twice: --loop takes a file")));
        }
        source::check(&self.file)?;
        let mut signals = Signals::new()?;
        let client = self.server.connect(format!("nyx play {}", self.file.display())).await?;
        let mut background = JoinSet::new();
        background.spawn(connect::watch(client.clone()));
        let tally = Arc::new(Tally::default());
        if tell::is_watched() && !self.json {
            background.spawn(tally::report(tally.clone(), self.file.clone()));
        }
        let mut player = Player::new(&self, &client, &tally);
        let played = tokio::select! {
            played = player.run(Source::read(&self.file, &self.topics, self.looped)) => played.map(Some),
            () = signals.wait() => Ok(None),
        };
        let time = player.clock.now() - player.start;
        let delay = player.schedule.delay();
        // What a signal stopped is whole up to there; the connection may be what it is waiting for.
        let closed = match &played {
            Err(_) => Ok(()),
            Ok(None) => {
                tokio::time::timeout(GRACE, close(client)).await.unwrap_or_else(|_| Err(unconfirmed()))
            }
            Ok(Some(_)) => tokio::select! {
                closed = close(client) => closed,
                () = signals.wait() => Err(unconfirmed()),
            },
        };
        drop(background);
        tell::end_progress();
        let ending = played?;
        let summary = tally.summary(&self.file, time, delay, ending.as_ref());
        if self.json {
            tell::print(serde_json::to_string(&summary)? + "\n")?;
        } else {
            tell::note(summary);
        }
        closed?;
        ending.map_or(Ok(()), |ending| ending.report(&self.file))
    }
}

/// Publishes the steps of a source when they are due.
struct Player<'a> {
    clock: Monotonic,
    start: Instant,
    start_micros: u64,
    schedule: Schedule,
    publishers: Publishers,
    keeps_times: bool,
    tally: &'a Tally,
}

impl<'a> Player<'a> {
    fn new(args: &Args, client: &Client, tally: &'a Tally) -> Self {
        let clock = Monotonic::new();
        Self {
            start: clock.now(),
            clock,
            start_micros: unix_micros(),
            schedule: Schedule::new(args.speed),
            publishers: Publishers::new(client.clone(), args.prefix.clone()),
            keeps_times: args.original_times,
            tally,
        }
    }

    /// Plays to the end, and tells what kind of end that was.
    async fn run(&mut self, mut source: Source) -> Outcome<Ending> {
        while let Some(block) = source.next().await {
            let steps = match block {
                Block::Steps(steps) => steps,
                Block::End(ending) => return ending,
            };
            for step in steps {
                match step {
                    Step::Topic(topic) => {
                        self.publishers.add(topic)?;
                        self.tally.topic();
                    }
                    Step::Missing(count) => self.tally.miss(count),
                    Step::Pass { end } => self.schedule.begin_again(end),
                    Step::Item(item) => self.play(item).await?,
                }
            }
        }
        Err(anyhow!("the recording could not be read to its end").into())
    }

    async fn play(&mut self, item: Item) -> Outcome {
        let now = self.clock.now();
        let due = self.schedule.due(item.at, now);
        let wait = due - now;
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        let unix_micros = match item.capture {
            Some(capture) if self.keeps_times => Some(capture.unix_micros),
            Some(capture) => {
                let present = self.start_micros.saturating_add((due - self.start).as_micros() as u64);
                Some(present.saturating_add_signed(capture.age.saturating_neg()))
            }
            None => None,
        };
        let bytes = item.payload.len();
        if self.publishers.publish(item, unix_micros).await? {
            self.tally.send(bytes);
        }
        Ok(())
    }
}

/// Waits until the hub has everything.
async fn close(client: Client) -> Outcome {
    client.clone().close().await.context("the end of the recording may not have arrived")?;
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
