//! `nyx`: the Nyx daemon and command line.
//!
//! - `serve`: listeners and connections around a [`nyx_hub::Hub`]; `http`: its HTTP surface.
//! - `forward`: what is published goes on to services that don't subscribe.
//! - `publish`, `subscribe`: files and pipes in, files and pipes out.
//! - `sound`: the chunks of a topic as samples without holes, for files and players.
//! - `record`, `play`: what was published, into a file and again out of it.
//! - `token`: who may come in, and `nyx token`.
//! - `capture`: what a device hears or an application plays.
//! - `stdio`, `tell`: stdin, stdout and stderr; `stuck`: an output that takes nothing.
//! - `requests`: asking services, and being one.
//! - `demo`: a server with producers of its own.
//! - `netem`: a network that is slower than this machine's.
//!
//! Commands translate and never decide: what is sent when is the hub's business.
#![forbid(unsafe_code)]
// They panic where nobody takes what they print: see `tell`.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod capture;
mod cli;
mod config;
mod connect;
mod demo;
mod exit;
mod forward;
mod http;
mod netem;
mod opus;
mod pace;
mod play;
mod publish;
mod record;
mod requests;
mod serve;
mod sound;
mod sparing;
mod stdio;
mod stuck;
mod subscribe;
mod tell;
mod token;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    exit::report(cli::Cli::parse().run())
}
