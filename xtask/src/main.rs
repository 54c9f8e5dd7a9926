//! The project's tasks, run as `cargo xtask <task>`.

#![forbid(unsafe_code)]

mod bench;
mod check;
mod fuzz;
mod loom;
mod programs;
mod report;
mod sanitize;
mod suites;
mod test;
mod workspace;

use std::process::ExitCode;

use clap::Parser;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The project's tasks")]
enum Task {
    /// Run every test that this machine can run, and name the suites that it can't.
    Test(test::Options),
    /// Check the layering of the crates and the tidiness of the tree.
    Check,
    /// Run benches: all of them, or the named suite (with one table) or bench, with arguments of its own after `--`.
    Bench(bench::Options),
    /// Run the tests of the crates that manage memory under AddressSanitizer, with a nightly toolchain.
    Sanitize,
    /// Run the tests of hand-made atomic protocols under loom.
    Loom,
    /// Run each fuzz target for a while, under a nightly toolchain.
    Fuzz(fuzz::Options),
}

fn main() -> ExitCode {
    match run(Task::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> anyhow::Result<bool> {
    match task {
        Task::Test(options) => test::run(&options),
        Task::Check => check::run(),
        Task::Bench(options) => bench::run(&options),
        Task::Sanitize => sanitize::run(),
        Task::Loom => loom::run(),
        Task::Fuzz(options) => fuzz::run(&options),
    }
}
