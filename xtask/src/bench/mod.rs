//! `cargo xtask bench`: criterion's benches, alone or as a suite with one table, and the measurements that are programs of
//! their own.

mod program;
mod suite;

use std::process::Command;

use anyhow::bail;
use cargo_metadata::{Metadata, TargetKind};

use crate::report::Report;
use crate::workspace::{self, cargo};
use program::PROGRAMS;
pub(crate) use suite::{SUITES, Suite};

/// The package that holds all measurements.
pub(crate) const PACKAGE: &str = "nyx-benches";

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The suite or the bench to run; all benches when absent.
    name: Option<String>,
    /// Run each bench once, to see that it works, without measuring.
    #[arg(long)]
    test: bool,
    /// Print the names of the suites and of the benches.
    #[arg(long, conflicts_with_all = ["test", "name"])]
    list: bool,
    /// Peers to compile in, such as `nats,zenoh`.
    #[arg(long, value_name = "FEATURES")]
    features: Option<String>,
    /// Run a suite so often, and take the median of each contender. Three show how much to trust it.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..), requires = "name")]
    runs: u32,
    /// Print the suite's table as a section for `docs/benchmarks.md`.
    #[arg(long, requires = "name", conflicts_with = "json")]
    markdown: bool,
    /// Print the suite's table as one JSON object per line.
    #[arg(long, requires = "name")]
    json: bool,
    /// Arguments of the bench's own.
    #[arg(last = true, requires = "name")]
    args: Vec<String>,
}

/// Runs what the options select and says whether all of it succeeded.
pub(crate) fn run(options: &Options) -> anyhow::Result<bool> {
    let criterion = criterion_benches(&workspace::metadata()?)?;
    if options.list {
        options.known(&criterion).for_each(|name| println!("{name}"));
        return Ok(true);
    }
    if let Some(suite) = SUITES.iter().find(|suite| options.name.as_deref() == Some(suite.name)) {
        return suite.run(options);
    }
    options.validate(&criterion)?;
    let mut report = Report::new("bench");
    for bench in criterion.iter().filter(|bench| options.selects(bench)) {
        report.run(bench, &mut options.criterion(bench))?;
    }
    for program in PROGRAMS.iter().filter(|program| options.selects(program.name)) {
        program.run(options, &mut report)?;
    }
    Ok(report.finish())
}

/// The names of all criterion benches: the bench targets of the package.
pub(crate) fn criterion_benches(metadata: &Metadata) -> anyhow::Result<Vec<String>> {
    let package = workspace::package(metadata, PACKAGE)?;
    let benches = package.targets.iter().filter(|target| target.is_kind(TargetKind::Bench));
    Ok(benches.map(|target| target.name.clone()).collect())
}

impl Options {
    fn known<'a>(&self, criterion: &'a [String]) -> impl Iterator<Item = &'a str> {
        let suites = SUITES.iter().map(|suite| suite.name);
        let programs = PROGRAMS.iter().map(|program| program.name);
        suites.chain(criterion.iter().map(String::as_str)).chain(programs)
    }

    fn validate(&self, criterion: &[String]) -> anyhow::Result<()> {
        let Some(name) = &self.name else { return Ok(()) };
        let known: Vec<_> = self.known(criterion).collect();
        if !known.contains(&name.as_str()) {
            bail!("there is no bench `{name}`; there are {}", known.join(", "));
        }
        if self.runs > 1 || self.markdown || self.json {
            bail!("`--runs`, `--markdown` and `--json` are about the table of a suite, and `{name}` is none");
        }
        Ok(())
    }

    /// The command that runs a criterion bench. To see that it works, it need not be optimised: so what the tests are
    /// built of serves here too, if the features are those of the whole workspace as there.
    fn criterion(&self, bench: &str) -> Command {
        let (packages, brief): (&[&str], &[&str]) = if self.test {
            (&["--workspace", "--profile", "dev"], &["--test"])
        } else {
            (&["-p", PACKAGE], &[])
        };
        let mut command = self.command("bench", packages, &["--bench", bench]);
        command.args(brief).args(&self.args);
        command
    }

    /// A cargo command for a target of the selected packages, up to the target's own arguments.
    fn command(&self, subcommand: &str, packages: &[&str], target: &[&str]) -> Command {
        let mut command = cargo([subcommand]);
        command.args(packages).args(target);
        let mut command = self.with_features(command);
        command.arg("--");
        command
    }

    fn with_features(&self, mut command: Command) -> Command {
        if let Some(features) = &self.features {
            command.args(["--features", features]);
        }
        command
    }

    fn selects(&self, name: &str) -> bool {
        self.name.as_deref().is_none_or(|selected| selected == name)
    }

    /// Whether what is selected was named, and so must be able to run.
    const fn is_named(&self) -> bool {
        self.name.is_some()
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn options(args: &[&str]) -> Result<Options, clap::Error> {
        Line::try_parse_from(std::iter::once(&"bench").chain(args)).map(|line| line.options)
    }

    fn is_valid(args: &[&str]) -> bool {
        options(args).is_ok_and(|options| options.validate(&["ring".to_owned()]).is_ok())
    }

    #[test]
    fn a_bench_is_known_by_its_name() {
        assert!(is_valid(&[]) && is_valid(&["ring"]) && is_valid(&["relay"]) && is_valid(&["counts"]));
        assert!(!is_valid(&["nothing"]));
    }

    #[test]
    fn only_a_suite_has_a_table() {
        assert!(!is_valid(&["ring", "--runs", "3"]) && !is_valid(&["relay", "--markdown"]));
        assert!(options(&["--json"]).is_err());
        assert!(options(&["core", "--json", "--markdown"]).is_err());
        assert!(options(&["core", "--runs", "0"]).is_err());
    }

    #[test]
    fn what_follows_two_dashes_is_the_benchs_own() {
        let options = options(&["ring", "--test", "--", "--warm-up-time", "0.3"]).expect("it is right");
        let command = options.criterion("ring");
        let args: Vec<_> = command.get_args().map(|arg| arg.to_string_lossy()).collect();
        assert_eq!(args[4..], ["--bench", "ring", "--", "--test", "--warm-up-time", "0.3"]);
    }
}
