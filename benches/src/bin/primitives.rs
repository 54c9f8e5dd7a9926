//! The table of primitives, see [`nyx_benches::primitives`].
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use nyx_benches::primitives::{Args, run};

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("primitives: {error}");
            ExitCode::FAILURE
        }
    }
}
