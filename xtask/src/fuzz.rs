//! `cargo xtask fuzz`: each target of `fuzz/` for a bounded time.

use std::process::Command;

use anyhow::{Context, bail, ensure};

use crate::report::Report;
use crate::workspace::nightly;

/// An input that takes longer than this is a finding: all that is fuzzed works in time linear in a few kilobytes.
const INPUT_SECONDS_MAX: u32 = 5;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// How long each target runs, in seconds.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Only these targets.
    targets: Vec<String>,
}

/// Runs the selected targets, and says whether none of them found anything.
pub(crate) fn run(options: &Options) -> anyhow::Result<bool> {
    let known = list()?;
    if let Some(unknown) = options.targets.iter().find(|target| !known.contains(target)) {
        bail!("there is no fuzz target `{unknown}`; there are {}", known.join(", "));
    }
    let targets = if options.targets.is_empty() { &known } else { &options.targets };
    let mut report = Report::new("fuzz target");
    for target in targets {
        let seconds = format!("-max_total_time={}", options.seconds);
        let timeout = format!("-timeout={INPUT_SECONDS_MAX}");
        report.run(
            target,
            &mut cargo_fuzz(&[
                "run",
                target,
                "--",
                &seconds,
                &timeout,
                "-verbosity=0",
                "-print_final_stats=1",
            ]),
        )?;
    }
    Ok(report.finish())
}

fn list() -> anyhow::Result<Vec<String>> {
    let output =
        cargo_fuzz(&["list"]).output().context("can't start rustup, which selects the nightly toolchain")?;
    ensure!(
        output.status.success(),
        "`cargo fuzz list` failed; it needs `cargo install --locked cargo-fuzz` and a nightly toolchain:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let names = String::from_utf8(output.stdout).context("a fuzz target's name is not UTF-8")?;
    Ok(names.lines().map(str::to_owned).collect())
}

/// The sanitizer and the coverage that libFuzzer needs exist in nightly toolchains alone.
fn cargo_fuzz(args: &[&str]) -> Command {
    let mut command = nightly(&["cargo", "fuzz"]);
    command.args(args);
    command
}
