//! The audio bench, see [`nyx_benches::audio`].
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use nyx_benches::audio::{Args, run};

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("audio: {error:#}");
            ExitCode::FAILURE
        }
    }
}
