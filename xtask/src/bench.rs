//! `cargo xtask bench`: the criterion benches, and the measurements that are programs of their own.

use std::process::Command;

use anyhow::bail;
use cargo_metadata::{Metadata, TargetKind};

use crate::report::Report;
use crate::workspace::{self, cargo};

/// The package that holds all measurements.
const PACKAGE: &str = "nyx-benches";

/// Measurements that drive whole processes, which is not what criterion is made for. Every bench that is not named here is
/// a criterion bench.
const PROGRAMS: &[Program] = &[Program { bin: "relay", brief: &["--smoke"] }];

/// A binary of the bench package that measures the release `nyx`.
struct Program {
    bin: &'static str,
    /// The arguments that make it as short as it can be.
    brief: &'static [&'static str],
}

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The bench to run; all when absent.
    name: Option<String>,
    /// Run each bench once, to see that it works, without measuring.
    #[arg(long)]
    test: bool,
    /// Print the names of the benches.
    #[arg(long, conflicts_with_all = ["test", "name"])]
    list: bool,
    /// Peers to compile in, such as `nats,zenoh`.
    #[arg(long, value_name = "FEATURES")]
    features: Option<String>,
    /// Arguments of the bench's own.
    #[arg(last = true, requires = "name")]
    args: Vec<String>,
}

/// Runs what the options select and says whether all of it succeeded.
pub(crate) fn run(options: &Options) -> anyhow::Result<bool> {
    let criterion = criterion_benches(&workspace::metadata()?)?;
    if options.list {
        criterion
            .iter()
            .map(String::as_str)
            .chain(PROGRAMS.iter().map(|p| p.bin))
            .for_each(|name| println!("{name}"));
        return Ok(true);
    }
    options.validate(&criterion)?;
    let mut report = Report::new("bench");
    for bench in criterion.iter().filter(|bench| options.selects(bench)) {
        run_criterion(bench, options, &mut report)?;
    }
    for program in PROGRAMS.iter().filter(|program| options.selects(program.bin)) {
        run_program(program, options, &mut report)?;
    }
    Ok(report.finish())
}

fn criterion_benches(metadata: &Metadata) -> anyhow::Result<Vec<String>> {
    let package = workspace::package(metadata, PACKAGE)?;
    let benches = package.targets.iter().filter(|target| target.is_kind(TargetKind::Bench));
    Ok(benches.map(|target| target.name.clone()).collect())
}

fn run_criterion(bench: &str, options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let brief: &[&str] = if options.test { &["--test"] } else { &[] };
    report.run(bench, options.command("bench", &["--bench", bench]).args(brief).args(&options.args))?;
    Ok(())
}

fn run_program(program: &Program, options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let brief = if options.test { program.brief } else { &[] };
    if report.run("nyx", &mut cargo(["build", "--release", "-p", "nyx-daemon", "--bin", "nyx"]))? {
        let mut run = options.command("run", &["--release", "--bin", program.bin]);
        report.run(program.bin, run.args(brief).args(&options.args))?;
    }
    Ok(())
}

impl Options {
    fn validate(&self, criterion: &[String]) -> anyhow::Result<()> {
        let Some(name) = &self.name else { return Ok(()) };
        let known: Vec<_> =
            criterion.iter().map(String::as_str).chain(PROGRAMS.iter().map(|p| p.bin)).collect();
        if !known.contains(&name.as_str()) {
            bail!("there is no bench `{name}`; there are {}", known.join(", "));
        }
        Ok(())
    }

    /// A cargo command for a target of the bench package, up to the target's own arguments.
    fn command(&self, subcommand: &str, target: &[&str]) -> Command {
        let mut command = cargo([subcommand, "-p", PACKAGE]);
        command.args(target);
        if let Some(features) = &self.features {
            command.args(["--features", features]);
        }
        command.arg("--");
        command
    }

    fn selects(&self, name: &str) -> bool {
        self.name.as_deref().is_none_or(|selected| selected == name)
    }
}
