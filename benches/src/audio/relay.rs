//! From the capture through a daemon to a subscriber.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, anyhow};
use nyx_client::{Address, Client, Config, Item, Pattern, subscribe};
use nyx_core::clock::unix_micros;

use super::row::Row;
use super::sound::{On, Running, Stage};

pub(super) fn measure(stage: &Stage, on: On) -> anyhow::Result<Vec<Row>> {
    let (hub, address) = serve()?;
    let mut capture = Command::new(nyx()?);
    capture
        .args(["capture", "--topic", "mic", "--server", &address, "--json"])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    match on {
        On::Synthetic => capture.args(["--tone", "440"]),
        On::Pulse => capture.args(["--device", "nyx_bench"]).env("PULSE_SERVER", stage.address().to_string()),
    };
    let capture = Running(capture.spawn().context("nyx capture does not start")?);
    let chunks = (stage.seconds(10.0).as_secs_f64() * 100.0) as usize;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut ages = runtime.block_on(subscribe(&address, chunks))?;
    drop((capture, hub));
    ages.sort_unstable();
    let age = |share: f64| Duration::from_micros(ages[((ages.len() - 1) as f64 * share) as usize]);
    let measured = format!("p50 {:.1?}, p99 {:.1?} of {}", age(0.5), age(0.99), ages.len());
    let what = "first frame captured to subscriber, 10 ms chunks";
    Ok(vec![Row::new(what, measured, "p99 under 30 ms", age(0.99) < Duration::from_millis(30))])
}

/// The ages of so many chunks when they are received, in microseconds.
async fn subscribe(address: &str, chunks: usize) -> anyhow::Result<Vec<u64>> {
    let client = Client::connect(address.parse::<Address>()?, Config::default()).await?;
    let mut subscription = client.subscribe(Pattern::new("mic")?, subscribe::Options::default()).await?;
    let mut ages = Vec::with_capacity(chunks);
    let receive = async {
        while ages.len() < chunks {
            if let Item::Audio(audio) = subscription.recv().await? {
                ages.extend(audio.unix_micros.map(|captured| unix_micros().saturating_sub(captured)));
            }
        }
        Ok::<(), anyhow::Error>(())
    };
    tokio::time::timeout(Duration::from_secs(20) + Duration::from_millis(20 * chunks as u64), receive)
        .await
        .map_err(|_| anyhow!("no sound came through the hub"))??;
    Ok(ages)
}

/// A hub on ports of its own, and its native address.
fn serve() -> anyhow::Result<(Running, String)> {
    let mut command = Command::new(nyx()?);
    command.args(["serve", "--native", "127.0.0.1:0", "--http", "127.0.0.1:0"]);
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let mut hub = Running(child.context("nyx serve does not start")?);
    let stderr = BufReader::new(hub.0.stderr.take().context("it is piped")?);
    let mut lines = stderr.lines().map_while(Result::ok);
    let address = lines.find_map(|line| {
        let (_, rest) = line.split_once("nyx://")?;
        Some(format!("nyx://{}", rest.split(|c: char| c.is_whitespace() || c == ',').next()?))
    });
    // Read on, so that the hub never waits for us.
    std::thread::spawn(move || lines.for_each(drop));
    Ok((hub, address.context("the hub does not say where it listens")?))
}

/// The release binary, which stands beside this one.
fn nyx() -> anyhow::Result<std::path::PathBuf> {
    let program = std::env::current_exe()?.with_file_name("nyx");
    if !program.exists() {
        return Err(anyhow!("{} is not there: cargo build --release -p nyx-daemon", program.display()));
    }
    Ok(program)
}
