//! `cargo xtask fuzz`: each target of `fuzz/` for a bounded time, as many at once as there are processors.

use std::fs;
use std::process::Command;
use std::sync::Mutex;
use std::thread;

use anyhow::{Context, bail, ensure};

use crate::report::Report;
use crate::workspace::{nightly, root};

/// An input that takes longer than this is a finding: all that is fuzzed works in time linear in a few kilobytes. Where several
/// targets share the machine with others, time is not only theirs.
const INPUT_SECONDS_MAX: u32 = 10;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// How long each target runs, in seconds.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// How many targets run at once; as many as there are processors when absent.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Only these targets.
    targets: Vec<String>,
}

/// Runs the selected targets, and says whether none of them found anything.
///
/// A target begins with what is checked in under `fuzz/seeds/<target>` and what it found worth keeping earlier on this machine
/// (`fuzz/corpus/<target>`). The output of each is printed when it has ended, so that those of several don't mix.
pub(crate) fn run(options: &Options) -> anyhow::Result<bool> {
    let known = list()?;
    if let Some(unknown) = options.targets.iter().find(|target| !known.contains(target)) {
        bail!("there is no fuzz target `{unknown}`; there are {}", known.join(", "));
    }
    let targets = if options.targets.is_empty() { &known } else { &options.targets };
    let mut report = Report::new("fuzz target");
    // All at once, so that no run waits for another one's build.
    let mut build = cargo_fuzz(&["build"]);
    if let [target] = &targets[..] {
        build.arg(target);
    }
    if !report.run("build", &mut build)? {
        return Ok(report.finish());
    }
    let report = Mutex::new(report);
    let queue = Mutex::new(targets.iter());
    let worker = || -> anyhow::Result<()> {
        loop {
            let Some(target) = queue.lock().expect("no worker panics").next() else { return Ok(()) };
            let captured = Report::capture(target, &mut options.command(target)?)?;
            report.lock().expect("no worker panics").add(captured);
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..options.jobs()).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("no worker panics"))
    })?;
    Ok(report.into_inner().expect("no worker panics").finish())
}

impl Options {
    fn jobs(&self) -> usize {
        self.jobs.map_or_else(|| thread::available_parallelism().map_or(1, usize::from), usize::from)
    }

    fn command(&self, target: &str) -> anyhow::Result<Command> {
        let [corpus, seeds] = ["corpus", "seeds"].map(|folder| root().join("fuzz").join(folder).join(target));
        fs::create_dir_all(&corpus).with_context(|| format!("can't use {}", corpus.display()))?;
        let mut command = cargo_fuzz(&["run", target]);
        // What is new goes to the first.
        command.arg(corpus);
        if seeds.is_dir() {
            command.arg(seeds);
        }
        command
            .arg("--")
            .arg(format!("-max_total_time={}", self.seconds))
            .arg(format!("-timeout={INPUT_SECONDS_MAX}"))
            .args(["-verbosity=0", "-print_final_stats=1"]);
        Ok(command)
    }
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
