//! `nyx reply`: a service that is a command.

use std::process::Stdio;
use std::sync::Arc;

use nyx_client::Name;
use nyx_client::requests::{Incoming, ServeOptions};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::connect::{self, Server};
use crate::exit::Outcome;
use crate::serve::{Signals, block_on};
use crate::tell;

/// Serve a service by a command, until it is stopped.
///
/// For each request the command is run by `sh`, with the request on stdin; what it prints is the answer. If it fails, so does the request,
/// with what it said on stderr. It is killed when nobody waits for the answer any more.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The service, such as text/upper
    service: Name,
    /// What answers a request
    #[arg(long, value_name = "COMMAND")]
    exec: String,
    /// Requests that are answered at a time; more wait at the hub
    #[arg(long, value_name = "COUNT", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=4096))]
    concurrency: u32,
    #[command(flatten)]
    server: Server,
}

pub(crate) fn run(args: Args) -> Outcome {
    block_on(args.run())
}

impl Args {
    async fn run(self) -> Outcome {
        let mut signals = Signals::new()?;
        let client = self.server.connect(format!("nyx reply {}", self.service)).await?;
        let mut options = ServeOptions::default();
        options.concurrency = self.concurrency;
        let exec: Arc<str> = self.exec.into();
        let handler = move |request: Incoming| answer(exec.clone(), request);
        let serving = client.serve(self.service.clone(), options, handler).await?;
        tell::note(format_args!("serving `{}`", self.service));
        let ended = tokio::select! {
            () = connect::watch(client.clone()) => Ok(()),
            error = serving.ended() => Err(error.into()),
            () = signals.wait() => Ok(()),
        };
        drop(serving);
        connect::leave(client).await;
        ended
    }
}

async fn answer(exec: Arc<str>, request: Incoming) -> Result<Vec<u8>, String> {
    let mut child = Command::new("sh")
        .args(["-c", &exec])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("can't start sh: {error}"))?;
    let stdin = child.stdin.take();
    let write = async {
        if let Some(mut stdin) = stdin {
            // A command that is not interested in its input may be gone already.
            let _ = stdin.write_all(&request.body).await;
        }
    };
    let (output, ()) = tokio::join!(child.wait_with_output(), write);
    let output = output.map_err(|error| format!("can't wait for the command: {error}"))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let words = String::from_utf8_lossy(&output.stderr);
    Err(format!("{}: {}", output.status, words.trim()))
}
