//! How many bytes should wait in the kernel, see [`nyx_benches::unsent`].
#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use nyx_benches::unsent::{Args, run};

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("unsent: {error:#}");
            ExitCode::FAILURE
        }
    }
}
