//! The command line.

use clap::{CommandFactory, Parser, Subcommand};

use crate::exit::{self, Outcome};
use crate::{capture, config, demo, netem, play, publish, record, requests, serve, subscribe, tell, token};

/// Real-time data, delivered fresh: state, frames, audio and events, to many subscribers at once.
#[derive(Parser)]
#[command(name = "nyx", version, after_help = exit::HELP, propagate_version = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the hub
    Serve(serve::Args),
    Pub(publish::Args),
    Sub(subscribe::Args),
    Request(requests::ask::Args),
    Reply(requests::reply::Args),
    Record(record::Args),
    Play(play::Args),
    Capture(capture::Args),
    Demo(demo::Args),
    Netem(netem::Args),
    Token(token::Args),
    /// Check a configuration, or print the defaults
    Config(config::Args),
    /// Print a completion script for a shell
    Completions {
        /// For which shell
        shell: clap_complete::Shell,
    },
}

impl Cli {
    pub(crate) fn run(self) -> Outcome {
        match self.command {
            Command::Serve(args) => serve::run(args),
            Command::Pub(args) => publish::run(args),
            Command::Sub(args) => subscribe::run(args),
            Command::Request(args) => requests::ask::run(args),
            Command::Reply(args) => requests::reply::run(args),
            Command::Record(args) => record::run(args),
            Command::Play(args) => play::run(args),
            Command::Capture(args) => capture::run(args),
            Command::Demo(args) => demo::run(args),
            Command::Netem(args) => netem::run(args),
            Command::Token(args) => token::run(args),
            Command::Config(args) => config::run(args),
            Command::Completions { shell } => {
                // Into memory first: the generator panics where its output closes.
                let mut script = Vec::new();
                clap_complete::generate(shell, &mut Self::command(), "nyx", &mut script);
                tell::print(script)
            }
        }
    }
}
