//! A subscriber of a state document behind a path that loses datagrams: how old is what it sees, over UDP and over TCP?
//!
//! Both subscribe to one hub at once, over the same path, so both see the same updates and the same weather. The path is between two network
//! namespaces, each of which has a TUN device; the packets of both go through this program, where a [`nyx_netem::Path`] delays and
//! loses them. So TCP is the kernel's own, with all that it knows of recovery, and what it loses are its packets.
//!
//! The document has about 64 KiB: a thousand things that have a place and a name. Thirty times a second some of them move. An update's age is
//! counted from the publisher's call to the subscriber's hand, by the one clock that all processes have.
//!
//! And of a line that carries less than both want: how much has each?

mod fairness;
mod lab;
mod peers;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use nyx_client::Address;

pub use crate::relay::Error;
use crate::relay::measure::interrupted;
use crate::table::aligned;
use lab::{Lab, Scene};
use nyx_netem::path::{Conditions, Loss};
use peers::Ages;

/// Measure how old state is at a subscriber behind a path that loses packets, over UDP and over TCP, and how both share a line.
#[derive(Debug, Parser)]
#[command(name = "datagrams")]
pub struct Args {
    /// Length of the measured window, in seconds
    #[arg(long, default_value_t = 30.0)]
    seconds: f64,
    /// The share of packets that is lost, each way
    #[arg(long, default_value = "5%")]
    loss: nyx_netem::path::Share,
    /// The delay each way, in milliseconds
    #[arg(long, default_value_t = 25)]
    delay_ms: u64,
    /// A quick check that both work: a window of 2 s
    #[arg(long)]
    smoke: bool,
    /// The `nyx` binary [default: the one beside this program]
    #[arg(long)]
    nyx: Option<PathBuf>,
    /// Be the publisher at this hub
    #[arg(long, hide = true)]
    publish: Option<Address>,
    /// Be a subscriber of this hub
    #[arg(long, hide = true)]
    subscribe: Option<Address>,
    /// Publish more than the line carries at this hub
    #[arg(long, hide = true)]
    flood: Option<Address>,
    /// Count what comes from this hub
    #[arg(long, hide = true)]
    count: Option<Address>,
}

impl Args {
    fn window(&self) -> Duration {
        Duration::from_secs_f64(if self.smoke { 2.0 } else { self.seconds })
    }
}

/// The most that UDP's p99 may be of TCP's.
const AIM: f64 = 1.0 / 3.0;

/// What the program exits with where the machine does not allow it to measure, as tests do under Automake: `cargo xtask bench` knows it.
const LEFT_OUT: u8 = 77;

/// Measures both and prints the table; where the machine does not allow it, says so and returns 77 for the program to exit with.
///
/// # Errors
/// When a process fails, or one of the subscribers sees nothing.
pub async fn run(args: &Args) -> Result<ExitCode, Error> {
    let played = if let Some(hub) = &args.publish {
        peers::publish(hub.clone()).await
    } else if let Some(hub) = &args.subscribe {
        peers::subscribe(hub.clone(), args.window()).await
    } else if let Some(hub) = &args.flood {
        peers::flood(hub.clone()).await
    } else if let Some(hub) = &args.count {
        peers::count(hub.clone(), args.window()).await
    } else {
        // Dropping it deletes the namespaces and kills what is in them; dying of the signal would leave both behind.
        return tokio::select! {
            measured = measure(args) => measured,
            () = interrupted() => Err(Error::Interrupted),
        };
    };
    played.map(|()| ExitCode::SUCCESS)
}

async fn measure(args: &Args) -> Result<ExitCode, Error> {
    let lab = match Lab::build(args, &scene(args)).await {
        Ok(lab) => lab,
        Err(why) => {
            eprintln!("64 KiB of state over UDP and TCP, and a line that both share: left out, {why}");
            return Ok(ExitCode::from(LEFT_OUT));
        }
    };
    let [udp, tcp]: [Ages; 2] = lab.measure("--subscribe", ["udp", "nyx"], args.window()).await?;
    drop(lab);
    if udp.updates == 0 || tcp.updates == 0 {
        return Err(Error::from(std::io::Error::other("a subscriber saw no update")));
    }
    print(args, &udp, &tcp)?;
    fairness::run(args).await?;
    Ok(ExitCode::SUCCESS)
}

fn scene(args: &Args) -> Scene {
    let mut conditions = Conditions::default();
    conditions.delay = Duration::from_millis(args.delay_ms);
    conditions.loss = Loss::Random(args.loss);
    Scene { down: conditions.clone(), up: conditions, publisher: "--publish", congestion: None }
}

fn print(args: &Args, udp: &Ages, tcp: &Ages) -> std::io::Result<()> {
    let head = ["64 KiB of state at 30 Hz", "updates", "age p50", "p99", "max ms", "of TCP", "aim"];
    let line = |name: &str, ages: &Ages, ratio: String, aim: String| {
        let ms = |micros: u64| format!("{:.1}", micros as f64 / 1e3);
        [name.to_owned(), ages.updates.to_string(), ms(ages.p50), ms(ages.p99), ms(ages.max), ratio, aim]
    };
    let ratio = udp.p99 as f64 / tcp.p99.max(1) as f64;
    let verdict = if ratio <= AIM { "PASS" } else { "SHORT" };
    let aim = format!("{verdict}, at most 0.33 at p99");
    let lines = [
        head.map(str::to_owned),
        line("udp", udp, format!("{ratio:.2}"), aim),
        line("tcp", tcp, String::new(), String::new()),
    ];
    println!("{:.0}% of packets lost and {} ms of delay each way:", args.loss.get() * 100.0, args.delay_ms);
    aligned(&mut std::io::stdout().lock(), &lines, 1)
}
