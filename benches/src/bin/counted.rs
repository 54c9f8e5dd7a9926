//! Instructions of hot operations, see [`nyx_benches::counts`].
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use nyx_benches::counts::{Args, run};

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("counted: {error}");
            ExitCode::FAILURE
        }
    }
}
