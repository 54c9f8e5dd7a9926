//! `nyx request`: ask, and print the answer.

use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use nyx_client::requests::{Options, Requests, SendOptions};
use nyx_client::{Client, Name, RequestError};
use nyx_core::Lane;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines, Stdin};

use crate::connect::{self, Server};
use crate::exit::Outcome;
use crate::serve::block_on;
use crate::tell;

/// Ask a service and print its answer.
///
/// Without a body each line of stdin is a request, and the answers are printed in the order of the lines; what went wrong is told on
/// stderr, and the exit code is 1.
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
        let client = self.server.connect(format!("nyx request {}", self.service)).await?;
        let asked = self.ask_all(&client).await;
        connect::leave(client).await;
        asked
    }

    async fn ask_all(self, client: &Client) -> Outcome {
        let requests = client.requests(self.service.clone(), Options::default());
        let mut options = SendOptions::default();
        options.deadline = Some(Duration::from(self.deadline));
        options.lane = match self.lane {
            Urgency::High => Lane::High,
            Urgency::Medium => Lane::Medium,
            Urgency::Low => Lane::Low,
        };
        if let Some(body) = self.body {
            return print(&requests.send_with(body, options).await?);
        }
        let mut lines = BufReader::new(tokio::io::stdin()).lines();
        let (mut number, mut failed) = (0, 0);
        loop {
            let batch = gather(&mut lines).await?;
            if batch.is_empty() {
                break;
            }
            failed += ask(&requests, batch, options, &mut number).await?;
        }
        if failed > 0 {
            return Err(anyhow!("{failed} of {number} requests have no answer").into());
        }
        Ok(())
    }
}

/// Asks each, and prints the answers in order. Returns how many there are not.
async fn ask(
    requests: &Requests,
    lines: Vec<String>,
    options: SendOptions,
    number: &mut u64,
) -> Outcome<u64> {
    let mut failed = 0;
    for result in requests.send_batch_with(lines, options).await {
        *number += 1;
        match result {
            Ok(answer) => print(&answer)?,
            Err(error) => {
                failed += 1;
                tell_failure(*number, &error);
            }
        }
    }
    Ok(failed)
}

fn tell_failure(number: u64, error: &RequestError) {
    tell::note(format_args!("line {number}: {error}"));
}

/// The next lines, as many as are asked at once; none at the end.
async fn gather(lines: &mut Lines<BufReader<Stdin>>) -> Outcome<Vec<String>> {
    let mut batch = Vec::new();
    while batch.len() < BATCH
        && let Some(line) = lines.next_line().await.context("can't read stdin")?
    {
        batch.push(line);
    }
    Ok(batch)
}

fn print(answer: &[u8]) -> Outcome {
    let mut out = std::io::stdout().lock();
    out.write_all(answer)?;
    if !answer.ends_with(b"\n") {
        out.write_all(b"\n")?;
    }
    Ok(out.flush()?)
}

/// Lines whose answers are awaited together: in memory they take what they and their answers have.
const BATCH: usize = 1024;
