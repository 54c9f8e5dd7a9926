//! `nyx request`: ask, and print the answer.

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use bytes::Bytes;
use futures_util::stream::{FuturesOrdered, StreamExt as _};
use nyx_client::requests::{Options, Requests, SendOptions};
use nyx_client::{Client, Name, RequestError};
use nyx_core::Lane;
use tokio::io::BufReader;

use crate::connect::{self, Server};
use crate::exit::Outcome;
use crate::serve::{Signals, block_on};
use crate::{stuck, tell};

use super::lines::{Line, Lines};

/// Ask a service and print its answer.
///
/// Without a body each line of stdin is a request, asked when it comes, and the answers are printed in the order of the lines; what went
/// wrong is told on stderr, and the exit code is 1.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The service, such as text/upper
    service: Name,
    /// What to ask [default: each line of stdin]
    body: Option<String>,
    #[command(flatten)]
    server: Server,
    /// How long each answer may take
    #[arg(long, value_name = "TIME", default_value = "30s")]
    deadline: humantime::Duration,
    /// What it goes before where requests wait
    #[arg(long, value_enum, default_value_t = Urgency::Medium)]
    lane: Urgency,
}

const EXAMPLES: &str = "\
Examples:
  nyx reply text/upper --exec 'tr a-z A-Z' &
  nyx request text/upper hello
  seq 1000 | nyx request text/upper --deadline 5s";

#[derive(Clone, Copy, clap::ValueEnum)]
enum Urgency {
    High,
    Medium,
    Low,
}

pub(crate) fn run(args: Args) -> Outcome {
    block_on(args.run())
}

impl Args {
    async fn run(self) -> Outcome {
        let mut signals = Signals::new()?;
        let _guard = stuck::Guard::new()?;
        let client = self.server.connect(format!("nyx request {}", self.service)).await?;
        let asked = self.ask_all(&client, &mut signals).await;
        connect::leave(client).await;
        asked
    }

    async fn ask_all(self, client: &Client, signals: &mut Signals) -> Outcome {
        let requests = client.requests(self.service.clone(), Options::default());
        let options = self.options();
        match self.body {
            Some(body) => tokio::select! {
                answer = requests.send_with(body, options) => print(&answer?),
                () = signals.wait() => Err(anyhow!("stopped before there was an answer").into()),
            },
            None => ask_each(&requests, options, signals).await,
        }
    }

    fn options(&self) -> SendOptions {
        let mut options = SendOptions::default();
        options.deadline = Some(Duration::from(self.deadline));
        options.lane = match self.lane {
            Urgency::High => Lane::High,
            Urgency::Medium => Lane::Medium,
            Urgency::Low => Lane::Low,
        };
        options
    }
}

/// Asks each line of stdin when it comes, and prints the answers in order.
async fn ask_each(requests: &Requests, options: SendOptions, signals: &mut Signals) -> Outcome {
    let mut lines = Lines::new(BufReader::new(tokio::io::stdin()));
    let mut asked = FuturesOrdered::new();
    let (mut is_open, mut number, mut failed) = (true, 0_u64, 0_u64);
    while is_open || !asked.is_empty() {
        tokio::select! {
            biased;
            () = signals.wait() => {
                failed += asked.len() as u64;
                number += asked.len() as u64;
                break;
            }
            line = lines.next(), if is_open && asked.len() < UNDER_WAY => {
                match line.context("can't read stdin")? {
                    Some(line) => asked.push_back(ask(requests, line, options)),
                    None => is_open = false,
                }
            }
            Some(result) = asked.next() => {
                number += 1;
                match result {
                    Ok(answer) => print(&answer)?,
                    Err(error) => {
                        failed += 1;
                        tell_failure(number, &error);
                    }
                }
            }
        }
    }
    if failed > 0 {
        return Err(anyhow!("{failed} of {number} requests have no answer").into());
    }
    Ok(())
}

async fn ask(requests: &Requests, line: Line, options: SendOptions) -> Result<Bytes, RequestError> {
    match line {
        Ok(body) => requests.send_with(body, options).await,
        Err(length) => Err(RequestError::TooLarge(length)),
    }
}

fn tell_failure(number: u64, error: &RequestError) {
    tell::note(format_args!("line {number}: {error}"));
}

/// An answer, and a newline unless it ends with one.
fn print(answer: &[u8]) -> Outcome {
    let end: &[u8] = if answer.ends_with(b"\n") { b"" } else { b"\n" };
    tell::print([answer, end].concat())
}

/// Lines that wait for their answers at a time: in memory they take what they and their answers have.
const UNDER_WAY: usize = 1024;
