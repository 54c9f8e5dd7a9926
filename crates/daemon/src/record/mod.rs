//! `nyx record`: what is published, into a file.

mod intake;
mod output;
mod tally;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::anyhow;
use nyx_client::Pattern;
use nyx_core::ByteSize;
use nyx_core::clock::{Clock as _, Monotonic, unix_micros};
use nyx_protocol::record::{HEADER_LEN, WriteError};
use tokio::task::JoinSet;

use crate::connect::{self, Server};
use crate::exit::{Failure, Outcome};
use crate::serve::{Signals, block_on};
use crate::{stdio, stuck, tell};

use intake::Intake;
pub(crate) use intake::limits;
use output::{Mode, Output};
use tally::Tally;

/// Record what is published, to be played again with `nyx play`.
///
/// The recorder is a subscriber like any other: what it misses is in the recording as a gap, with count and reason, and state is
/// recorded in the versions that it receives. The file is written out every half second and can be read whenever
/// and however the recording ends; to survive a loss of power too it is synchronised once, at the end.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Which topics: `*` is one segment, `**` any number
    #[arg(required = true, value_name = "PATTERN")]
    patterns: Vec<Pattern>,
    /// The file to write, `-`: to stdout; one that exists is refused unless told what to do with it
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// Go on with the file where it ends; a record that a killed recorder left unfinished is cut off
    #[arg(long, conflicts_with = "force")]
    append: bool,
    /// Overwrite the file
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    server: Server,
    /// End after this time
    #[arg(long, visible_alias = "for", value_name = "TIME")]
    duration: Option<humantime::Duration>,
    /// End before the file exceeds this size, such as 2GB
    #[arg(long, value_name = "SIZE")]
    size: Option<ByteSize>,
    /// Print a summary as JSON at the end
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  nyx record '**' -o everything.nyxrec
  nyx record 'game/**' chat -o match.nyxrec --duration 90m --size 2GB
  nyx record 'logs/**' -o logs.nyxrec --append";

pub(crate) fn run(args: Args) -> Outcome {
    args.check_stdout()?;
    output::check_limit(&args.output, args.size, HEADER_LEN as u64)?;
    block_on(args.run())
}

impl Args {
    async fn run(self) -> Outcome {
        let mut signals = Signals::new()?;
        // A disk may take its time: the end of a file is waited for.
        let _guard = stdio::is_meant(&self.output).then(stuck::Guard::new).transpose()?;
        let patterns: Vec<&str> = self.patterns.iter().map(Pattern::as_str).collect();
        let client = self.server.connect(format!("nyx record {}", patterns.join(" "))).await?;
        let mut background = JoinSet::new();
        background.spawn(connect::watch(client.clone()));
        let mode = match (self.append, self.force) {
            (true, _) => Mode::Append,
            (_, true) => Mode::Overwrite,
            _ => Mode::New,
        };
        let clock = Monotonic::new();
        // Only then the file is touched: what can't be recorded must not overwrite anything.
        let subscribed = Intake::subscribe(&client, &self.patterns);
        let intake = connect::answered(client.address(), subscribed).await??;
        let output = Output::open(&self.output, mode, self.size, clock.now(), unix_micros())?;
        let mut recorder = Recorder { clock, intake, output, tally: Tally::default() };
        let recorded = recorder.run(&self, &mut signals).await;
        drop(background);
        let finished = recorder.finish(&self, recorded);
        connect::leave(client).await;
        finished
    }

    fn check_stdout(&self) -> Outcome {
        let wrong = if !stdio::is_meant(&self.output) {
            return Ok(());
        } else if self.append {
            "what was written to stdout can't be gone on with: --append needs a file"
        } else if self.json {
            "stdout takes one thing: either `-o -` or --json"
        } else {
            return Ok(());
        };
        Err(Failure::usage(anyhow!(wrong)))
    }

    fn tells_progress(&self) -> bool {
        tell::is_watched() && !self.json
    }
}

struct Recorder {
    clock: Monotonic,
    intake: Intake,
    output: Output,
    tally: Tally,
}

impl Recorder {
    /// Records until the arguments, a signal or an error says that it is enough.
    async fn run(&mut self, args: &Args, signals: &mut Signals) -> Outcome {
        let stop = async {
            match args.duration {
                Some(time) => tokio::time::sleep(time.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(stop);
        let mut ticks = tokio::time::interval(FLUSH_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let written = tokio::select! {
                biased;
                () = &mut stop => return Ok(()),
                () = signals.wait() => return Ok(()),
                _ = ticks.tick() => {
                    if args.tells_progress() {
                        let time = self.output.elapsed(self.clock.now());
                        tell::progress(self.tally.summary(&self.output, time));
                    }
                    self.output.flush()
                }
                received = self.intake.recv() => {
                    let received = received?;
                    self.output.take(received, self.clock.now(), &mut self.tally)
                }
            };
            match written {
                Err(WriteError::Full { limit }) => {
                    let size = tell::bytes(limit as f64);
                    tell::note(format_args!("the file has reached its limit of {size}"));
                    return Ok(());
                }
                written => written.map_err(|error| self.output.explain(error))?,
            }
        }
    }

    /// Makes the file whole, and tells what is in it.
    fn finish(mut self, args: &Args, recorded: Outcome) -> Outcome {
        let now = self.clock.now();
        // What can't be written can't be ended either, and the first error is the one to tell.
        let ended = match &recorded {
            Err(_) if self.output.has_failed() => Ok(()),
            _ => self.output.end(now).map_err(|error| self.output.explain(error)),
        };
        tell::end_progress();
        recorded?;
        ended?;
        let summary = self.tally.summary(&self.output, self.output.elapsed(now));
        if args.json {
            tell::print(serde_json::to_string(&summary)? + "\n")?;
        } else {
            tell::note(summary);
        }
        Ok(())
    }
}

/// A recorder that is killed loses no more than this.
const FLUSH_EVERY: Duration = Duration::from_millis(500);
