//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use serde::Serialize;

use super::contender::Name;

/// Relay bench: one publisher through a server to many subscribers.
#[derive(Clone, Debug, Parser)]
#[command(name = "relay", args_conflicts_with_subcommands = true)]
pub struct Args {
    /// Who takes part, comma-separated. Those that are not installed or not compiled in are left out.
    #[arg(long, value_delimiter = ',', value_enum, default_value = "nyx,floor,zenoh,nats")]
    pub contenders: Vec<Name>,
    /// Payload sizes in bytes, comma-separated, 16 to 1,048,576 each (more than that NATS refuses).
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u32).range(16..=1_048_576), default_value = "64,1024,32768")]
    pub sizes: Vec<u32>,
    /// Numbers of subscribers, comma-separated.
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..), default_value = "1,8,64")]
    pub subs: Vec<u32>,
    /// What to measure, comma-separated.
    #[arg(long, value_delimiter = ',', value_enum, default_value = "saturated,paced")]
    pub modes: Vec<Mode>,
    /// Length of the measured window of each run, in seconds.
    #[arg(long, default_value = "2", value_parser = seconds)]
    pub seconds: Duration,
    /// Runs of each cell, interleaved across contenders; the median is printed.
    #[arg(long, default_value = "3", value_parser = clap::value_parser!(u32).range(1..))]
    pub runs: u32,
    /// A quick check that everything is delivered: Nyx and the floor, small cells, 0.3 s each. Fails if anything is missing.
    #[arg(long)]
    pub smoke: bool,
    /// Print one JSON object per line in place of the tables.
    #[arg(long)]
    pub json: bool,
    /// The `nyx` binary. Default: the one beside this program.
    #[arg(long)]
    pub nyx: Option<PathBuf>,
    /// A process that the bench starts for itself.
    #[command(subcommand)]
    pub role: Option<Role>,
}

impl Args {
    /// The arguments with what `--smoke` says in their place.
    pub fn resolved(mut self) -> Self {
        if self.smoke {
            self.contenders = vec![Name::Nyx, Name::Floor];
            self.sizes = vec![64, 1024];
            self.subs = vec![1, 8];
            self.seconds = Duration::from_millis(300);
            self.runs = 1;
        }
        self
    }
}

/// What a run measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// As fast as the publisher is let: throughput.
    Saturated,
    /// 1,000 messages per second: age.
    Paced,
}

/// The processes that the bench starts for itself.
#[derive(Clone, Debug, Subcommand)]
#[command(hide = true)]
pub enum Role {
    /// The server of a contender that has no binary of its own.
    #[command(hide = true)]
    Serve {
        /// Whose.
        contender: Name,
    },
    /// The publisher.
    #[command(hide = true)]
    Publish {
        /// Whose.
        contender: Name,
        /// The server's address.
        address: SocketAddr,
        /// Payload in bytes.
        size: u32,
        /// Saturated or paced.
        mode: Mode,
    },
    /// All the subscribers.
    #[command(hide = true)]
    Subscribe {
        /// Whose.
        contender: Name,
        /// The server's address.
        address: SocketAddr,
        /// Payload in bytes.
        size: u32,
        /// Saturated or paced.
        mode: Mode,
        /// How many.
        subs: u32,
        /// The measured window.
        #[arg(value_parser = seconds)]
        seconds: Duration,
    },
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|length| *length >= Duration::from_millis(100))
        .ok_or_else(|| "must be at least 0.1".to_owned())
}
