//! The loop that every contender runs under.

use std::future::pending;
use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

use super::contender::{Contender, Error, Name};
use super::options::{Args, Mode};
use super::process::{Order, Report, Server, Window, Worker};
use super::{table, worker};

/// Runs the bench, or one of its own processes.
///
/// # Errors
/// When nothing can be measured, or with `--smoke` when anything was missing.
pub async fn run(args: Args) -> Result<ExitCode, Error> {
    if let Some(role) = args.role.clone() {
        worker::run(role).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let args = args.resolved();
    // Dropping the bench kills its processes; dying of the signal would leave the servers behind.
    tokio::select! {
        result = bench(&args) => result.map(|()| ExitCode::SUCCESS),
        () = interrupted() => Err(Error::Interrupted),
    }
}

/// What is measured in the same way for every contender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Cell {
    /// Throughput or age.
    pub mode: Mode,
    /// Payload in bytes.
    pub size: u32,
    /// Number of subscribers.
    pub subs: u32,
}

/// A contender's result in one cell.
#[derive(Clone, Debug)]
pub struct Row {
    /// Which cell.
    pub cell: Cell,
    /// Who.
    pub name: Name,
    /// The runs that gave a figure.
    pub samples: Vec<Sample>,
    /// Why the others gave none.
    pub failures: Vec<String>,
}

/// What one run gave.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// What was seen in the window.
    pub window: Window,
    /// Messages that did not come, over the whole run.
    pub missing: u64,
    /// Messages that came, over the whole run.
    pub received: u64,
}

async fn bench(args: &Args) -> Result<(), Error> {
    let contenders = present(args).await?;
    let cells = cells(args);
    let total = cells.len() * contenders.len() * args.runs as usize;
    let mut done = 0;
    let mut rows = Vec::new();
    for cell in cells {
        let mut results: Vec<_> = contenders
            .iter()
            .map(|(name, _)| Row { cell, name: *name, samples: Vec::new(), failures: Vec::new() })
            .collect();
        for _ in 0..args.runs {
            for ((name, contender), row) in contenders.iter().zip(&mut results) {
                done += 1;
                match once(*name, contender.as_ref(), cell, args).await {
                    Ok(sample) => {
                        eprintln!("[{done}/{total}] {}", table::progress(*name, cell, &sample));
                        row.samples.push(sample);
                    }
                    Err(error) => {
                        eprintln!("[{done}/{total}] {}: failed: {error}", name.as_str());
                        row.failures.push(error.to_string());
                    }
                }
            }
        }
        rows.extend(results);
    }
    table::print(&rows, args.json)?;
    if args.smoke { all_delivered(&rows) } else { Ok(()) }
}

/// Those of the wanted contenders whose server starts. The others are named, with what to do.
async fn present(args: &Args) -> Result<Vec<(Name, Box<dyn Contender>)>, Error> {
    let mut present = Vec::new();
    for &name in &args.contenders {
        match probe(name, args).await {
            Ok(contender) => present.push((name, contender)),
            Err(error) if args.smoke => return Err(Error::Smoke(format!("{}: {error}", name.as_str()))),
            Err(error) => eprintln!("{}: {error}; left out", name.as_str()),
        }
    }
    if present.is_empty() { Err(Error::Nobody) } else { Ok(present) }
}

async fn probe(name: Name, args: &Args) -> Result<Box<dyn Contender>, Error> {
    let contender = name.contender()?;
    contender.serve(args).await?.end().await;
    Ok(contender)
}

fn cells(args: &Args) -> Vec<Cell> {
    let sizes = |mode| args.sizes.iter().map(move |&size| (mode, size));
    let modes = args.modes.iter().flat_map(|&mode| sizes(mode));
    modes.flat_map(|(mode, size)| args.subs.iter().map(move |&subs| Cell { mode, size, subs })).collect()
}

/// One run: a fresh server, its subscribers, its publisher.
async fn once(name: Name, contender: &dyn Contender, cell: Cell, args: &Args) -> Result<Sample, Error> {
    let server = contender.serve(args).await?;
    let sample = beside(&server, name, cell, args).await;
    if sample.is_err() {
        server.show_words();
    }
    server.end().await;
    sample
}

async fn beside(server: &Server, name: Name, cell: Cell, args: &Args) -> Result<Sample, Error> {
    let mut subscribers = start("subscribers", "subscribe", name, cell, server, |command| {
        command.extend([cell.subs.to_string(), args.seconds.as_secs_f64().to_string()]);
    })
    .await?;
    let mut publisher = start("publisher", "publish", name, cell, server, |_| {}).await?;

    let sample = drive(&mut publisher, &mut subscribers, cell, args.seconds).await;
    subscribers.end().await;
    publisher.end().await;
    sample
}

async fn start(
    who: &'static str,
    role: &str,
    name: Name,
    cell: Cell,
    server: &Server,
    more: impl FnOnce(&mut Vec<String>),
) -> Result<Worker, Error> {
    let mode = match cell.mode {
        Mode::Saturated => "saturated",
        Mode::Paced => "paced",
    };
    let mut command: Vec<String> = vec![
        role.into(),
        name.as_str().into(),
        server.address.to_string(),
        cell.size.to_string(),
        mode.into(),
    ];
    more(&mut command);
    let mut worker = Worker::start(who, command)?;
    match worker.report(PATIENCE).await? {
        Report::Connected => Ok(worker),
        other => Err(worker.out_of_turn(&other)),
    }
}

async fn drive(
    publisher: &mut Worker,
    subscribers: &mut Worker,
    cell: Cell,
    seconds: Duration,
) -> Result<Sample, Error> {
    let subs = cell.subs;
    subscribers.order(Order::Go).await?;
    publisher.order(Order::Go).await?;
    let window = match subscribers.report(PATIENCE + seconds).await? {
        Report::Measured(window) if window.silent == 0 => window,
        Report::Measured(window) => return Err(Error::Silent { heard: subs - window.silent, subs }),
        Report::Silent { heard } => return Err(Error::Silent { heard, subs }),
        other => return Err(subscribers.out_of_turn(&other)),
    };
    publisher.order(Order::Stop).await?;
    let sent = match publisher.report(PATIENCE).await? {
        Report::Sent { sent } => sent,
        other => return Err(publisher.out_of_turn(&other)),
    };
    subscribers.order(Order::Finish { sent }).await?;
    match subscribers.report(PATIENCE).await? {
        Report::Finished { wrong: 0, missing, received } => Ok(Sample { window, missing, received }),
        Report::Finished { wrong, .. } => Err(Error::Wrong { count: wrong }),
        other => Err(subscribers.out_of_turn(&other)),
    }
}

fn all_delivered(rows: &[Row]) -> Result<(), Error> {
    for Row { cell, name, samples, failures } in rows {
        let missing: u64 = samples.iter().map(|sample| sample.missing).sum();
        let who = format!("{} at {} B to {}", name.as_str(), cell.size, cell.subs);
        if let Some(failure) = failures.first() {
            return Err(Error::Smoke(format!("{who}: {failure}")));
        }
        if missing > 0 {
            return Err(Error::Smoke(format!("{who}: {missing} messages were not delivered")));
        }
    }
    Ok(())
}

/// Ready when the program is told to end.
pub(crate) async fn interrupted() {
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

/// Longer than anything takes that is going to succeed: 64 sessions, first messages, a drained backlog.
const PATIENCE: Duration = Duration::from_secs(40);
