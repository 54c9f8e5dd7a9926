//! The processes of a run, and the lines of JSON that they exchange with the bench.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::time::{sleep, timeout};

use super::contender::{Error, Name};

/// What the bench tells a process.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Order {
    /// Publisher: begin. Subscribers: wait for the first message, then measure.
    Go,
    /// Publisher: stop, and say how many there were.
    Stop,
    /// Subscribers: wait for what is under way, and say what is missing.
    Finish {
        /// How many messages were published.
        sent: u64,
    },
}

/// What a process tells the bench.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Report {
    /// A server: clients may connect here.
    Listening(SocketAddr),
    /// Publisher or subscribers: every connection stands.
    Connected,
    /// Publisher: it has stopped.
    Sent {
        /// Messages published.
        sent: u64,
    },
    /// Subscribers: not all of them received anything.
    Silent {
        /// How many did.
        heard: u32,
    },
    /// Subscribers: the window is over.
    Measured(Window),
    /// Subscribers: nothing more will come.
    Finished {
        /// Messages that did not come, of all subscribers together.
        missing: u64,
        /// Messages received since the beginning, of all subscribers together.
        received: u64,
        /// Messages that should not have come.
        wrong: u64,
    },
}

/// What the subscribers saw in the measured window.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Window {
    /// Its real length, in nanoseconds.
    pub nanos: u64,
    /// Messages received, of all subscribers together.
    pub received: u64,
    /// Subscribers that received none.
    pub silent: u32,
    /// Median age in nanoseconds, paced runs only.
    pub age_p50_nanos: u64,
    /// 99th percentile of the age in nanoseconds, paced runs only.
    pub age_p99_nanos: u64,
    /// Largest age in nanoseconds, paced runs only.
    pub age_max_nanos: u64,
}

/// Says something to the bench, from one of its processes.
///
/// # Errors
/// When the bench has gone.
pub fn say(report: &Report) -> io::Result<()> {
    let mut line = serde_json::to_vec(report)?;
    line.push(b'\n');
    let mut stdout = io::stdout().lock();
    stdout.write_all(&line)?;
    stdout.flush()
}

/// A process of this same program. It is killed when dropped.
#[derive(Debug)]
pub struct Worker {
    who: &'static str,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    child: Child,
}

impl Worker {
    /// Starts this program with other arguments.
    ///
    /// # Errors
    /// [`Error::Start`].
    pub fn start<I>(who: &'static str, args: I) -> Result<Self, Error>
    where
        I: IntoIterator,
        I::Item: AsRef<OsStr>,
    {
        let program = std::env::current_exe()?;
        let mut command = Command::new(&program);
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command
            .spawn()
            .map_err(|source| Error::Start { program: program.display().to_string(), source })?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(stdin), Some(stdout)) => {
                Ok(Self { who, stdin, lines: BufReader::new(stdout).lines(), child })
            }
            _ => Err(Error::Ended { who }),
        }
    }

    /// Tells the process what to do.
    ///
    /// # Errors
    /// [`Error::Ended`].
    pub async fn order(&mut self, order: Order) -> Result<(), Error> {
        let mut line = serde_json::to_vec(&order).map_err(io::Error::from)?;
        line.push(b'\n');
        self.stdin.write_all(&line).await.map_err(|_| Error::Ended { who: self.who })
    }

    /// The next thing that the process says.
    ///
    /// # Errors
    /// [`Error::Ended`], [`Error::Timeout`], [`Error::OutOfTurn`].
    pub async fn report(&mut self, limit: Duration) -> Result<Report, Error> {
        let who = self.who;
        let line =
            timeout(limit, self.lines.next_line()).await.map_err(|_| Error::Timeout { who, limit })??;
        let line = line.ok_or(Error::Ended { who })?;
        serde_json::from_str(&line).map_err(|_| Error::OutOfTurn { who, line })
    }

    /// That the process said something else than was due.
    pub fn out_of_turn(&self, report: &Report) -> Error {
        Error::OutOfTurn { who: self.who, line: format!("{report:?}") }
    }

    /// Ends the process and waits until it has gone, so that the next run has the machine to itself.
    pub async fn end(mut self) {
        // It fails only if the process has already gone.
        let _ = self.child.kill().await;
    }
}

/// A running server. It is killed when dropped.
#[derive(Debug)]
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    process: ServerProcess,
}

#[derive(Debug)]
enum ServerProcess {
    Hosted(Worker),
    Program { child: Child, words: Words },
}

/// The last lines that a program wrote to stderr: worth showing when a run has failed, and noise otherwise.
type Words = Arc<Mutex<VecDeque<String>>>;

impl Server {
    /// A server that lives in this same program: see [`Contender::host`](super::contender::Contender::host).
    ///
    /// # Errors
    /// When it does not start or does not listen.
    pub async fn hosted(name: Name) -> Result<Self, Error> {
        Self::own(["serve", name.as_str()]).await
    }

    /// A server that this same program is when it has these arguments.
    ///
    /// # Errors
    /// When it does not start or does not listen.
    pub async fn own<I>(args: I) -> Result<Self, Error>
    where
        I: IntoIterator,
        I::Item: AsRef<OsStr>,
    {
        let mut worker = Worker::start("server", args)?;
        match worker.report(STARTUP).await? {
            Report::Listening(address) => Ok(Self { address, process: ServerProcess::Hosted(worker) }),
            other => Err(worker.out_of_turn(&other)),
        }
    }

    /// A server that is a program, which was told to listen on `address`. Its stdout is discarded, its stderr kept.
    ///
    /// # Errors
    /// [`Error::NotInstalled`] with the remedy given, or when it does not start or does not listen.
    pub async fn program(
        mut command: Command,
        address: SocketAddr,
        remedy: &'static str,
    ) -> Result<Self, Error> {
        let program = command.as_std().get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => Error::NotInstalled { program, remedy },
            _ => Error::Start { program, source },
        })?;
        let words = Words::default();
        if let Some(stderr) = child.stderr.take() {
            tokio::spawn(keep_words(BufReader::new(stderr).lines(), Arc::clone(&words)));
        }
        let listening = async {
            while TcpStream::connect(address).await.is_err() {
                if child.try_wait()?.is_some() {
                    return Err(Error::Ended { who: "server" });
                }
                sleep(POLL).await;
            }
            Ok(())
        };
        let late = |_| Error::Timeout { who: "server", limit: STARTUP };
        let started = timeout(STARTUP, listening).await.map_err(late).flatten();
        let server = Self { address, process: ServerProcess::Program { child, words } };
        started.inspect_err(|_| server.show_words()).map(|()| server)
    }

    /// The number of its process, while it runs.
    pub fn id(&self) -> Option<u32> {
        match &self.process {
            ServerProcess::Hosted(worker) => worker.child.id(),
            ServerProcess::Program { child, .. } => child.id(),
        }
    }

    /// Shows what the server last said on stderr, if it is a program; the bench's own processes say it at once.
    pub fn show_words(&self) {
        if let ServerProcess::Program { words, .. } = &self.process {
            words.lock().iter().for_each(|line| eprintln!("server: {line}"));
        }
    }

    /// Ends the server and waits until it has gone.
    pub async fn end(self) {
        match self.process {
            ServerProcess::Hosted(worker) => worker.end().await,
            ServerProcess::Program { mut child, .. } => {
                // It fails only if the process has already gone.
                let _ = child.kill().await;
            }
        }
    }
}

async fn keep_words(mut lines: Lines<BufReader<ChildStderr>>, words: Words) {
    while let Ok(Some(line)) = lines.next_line().await {
        let words = &mut *words.lock();
        if words.len() == WORDS {
            words.pop_front();
        }
        words.push_back(line);
    }
}

/// An address of 127.0.0.1 that was free a moment ago, for programs that can't choose one and tell.
///
/// # Errors
/// When the system has no port left.
pub fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// A server that takes longer is not going to listen.
const STARTUP: Duration = Duration::from_secs(20);

/// Lines of a program's stderr that are kept.
const WORDS: usize = 20;

/// How often a program is asked whether it listens yet.
const POLL: Duration = Duration::from_millis(20);
