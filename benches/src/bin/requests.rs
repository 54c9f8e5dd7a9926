//! Records that are answered, see [`nyx_benches::requests`].
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use nyx_benches::requests::{Args, run};

fn main() -> ExitCode {
    let args = Args::parse();
    let ran = args.runtime().map_err(Into::into).and_then(|runtime| runtime.block_on(run(&args)));
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("requests: {error}");
            ExitCode::FAILURE
        }
    }
}
