//! `nyx reply`: a service that is a command.

use std::process::Stdio;
use std::sync::Arc;

use nyx_client::Name;
use nyx_client::requests::{BODY_MAX, Incoming, ServeOptions};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

use crate::connect::{self, Server};
use crate::exit::Outcome;
use crate::serve::{Signals, block_on};
use crate::tell;

use super::group::Group;

/// Serve a service by a command, until it is stopped.
///
/// For each request the command is run by `sh`, with the request on stdin; what it prints is the answer. If it fails, so does the request,
/// with what it said on stderr. It is killed, with all that it has started, when nobody waits for the answer any more.
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
        let served = client.serve(self.service.clone(), options, handler);
        let serving = connect::answered(client.address(), served).await??;
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
    let mut command = Command::new("sh");
    command.args(["-c", &exec]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Group::begin(&mut command);
    let mut child = command.kill_on_drop(true).spawn().map_err(|error| format!("can't start sh: {error}"))?;
    // Dropped before the child is, and so before anybody waits for that.
    let group = Group::of(&child);
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let feed = async {
        if let Some(mut stdin) = stdin {
            // A command that is not interested in its input may be gone already.
            let _ = stdin.write_all(&request.body).await;
        }
        Ok(())
    };
    // Where one of them fails the group is dropped, and killed.
    let (answer, words, ()) = tokio::try_join!(answer_of(stdout), words_of(stderr), feed)?;
    let status = child.wait().await.map_err(|error| format!("can't wait for the command: {error}"))?;
    group.leave();
    if status.success() {
        return Ok(answer);
    }
    let words = String::from_utf8_lossy(&words);
    Err(if words.trim().is_empty() { status.to_string() } else { format!("{status}: {}", words.trim()) })
}

/// What the command prints, unless that is more than an answer may have.
async fn answer_of(stdout: Option<impl AsyncRead + Unpin>) -> Result<Vec<u8>, String> {
    let mut answer = Vec::new();
    if let Some(stdout) = stdout {
        stdout.take(BODY_MAX as u64 + 1).read_to_end(&mut answer).await.map_err(unreadable)?;
    }
    if answer.len() > BODY_MAX {
        return Err(format!("the answer is over the limit of {BODY_MAX} bytes"));
    }
    Ok(answer)
}

/// The beginning of what it says on stderr, which is read to its end, so that it need not wait.
async fn words_of(stderr: Option<impl AsyncRead + Unpin>) -> Result<Vec<u8>, String> {
    let mut words = Vec::new();
    if let Some(mut stderr) = stderr {
        (&mut stderr).take(WORDS_MAX).read_to_end(&mut words).await.map_err(unreadable)?;
        tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await.map_err(unreadable)?;
    }
    Ok(words)
}

fn unreadable(error: std::io::Error) -> String {
    format!("can't read what the command says: {error}")
}

/// Of an error message: more than anybody reads.
const WORDS_MAX: u64 = 4 * 1024;
