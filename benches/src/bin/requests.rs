//! Records that are answered, see [`nyx_benches::requests`].
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use nyx_benches::requests::{Args, run};

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("requests: {error}");
            ExitCode::FAILURE
        }
    }
}
