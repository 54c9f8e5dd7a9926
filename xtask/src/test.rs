//! `cargo xtask test`: all tests of the workspace, then each real-part suite whose programs are installed.

use std::env;

use anyhow::bail;

use crate::report::Report;
use crate::suites::{SUITES, Suite};
use crate::workspace::{self, build_programs, cargo, is_ci};

/// The unit, integration and documentation tests of all crates, as one suite.
const WORKSPACE: &str = "workspace";

/// The program that the suites are about.
const NYX: &str = "nyx";

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only these suites: `workspace`, `restart`, `hostile`, `slow`, `scale`, `console`, `media`, `audio`, `browser`. One that is
    /// named must be able to run.
    suites: Vec<String>,
}

/// Runs what the options select, all of it even when something fails, and says whether all passed.
pub(crate) fn run(options: &Options) -> anyhow::Result<bool> {
    options.validate()?;
    let mut report = Report::new("suite");
    if options.selects(WORKSPACE) {
        report.run(WORKSPACE, &mut cargo(["test", "--workspace", "--no-fail-fast"]))?;
    }
    let suites: Vec<_> = SUITES.iter().filter(|suite| options.selects(suite.name)).collect();
    if suites.is_empty() || !report.run(NYX, &mut build_programs([NYX]))? {
        return Ok(report.finish());
    }
    for suite in suites {
        run_suite(suite, options.requires(suite), &mut report)?;
    }
    Ok(report.finish())
}

fn run_suite(suite: &Suite, required: bool, report: &mut Report) -> anyhow::Result<()> {
    if let Some(wants) = suite.missing() {
        report.leave_out(suite.name, wants, required);
        return Ok(());
    }
    // `nyx` in release mode, since what these suites time out on and measure is about the daemon that people run; they themselves are built of
    // what the workspace's tests are built of. What they measured is shown.
    let mut command = cargo(["test", "--workspace", "--test", suite.name, "--", "--show-output"]);
    report.run(suite.name, command.env("NYX_UNDER_TEST", workspace::program(NYX)?))?;
    Ok(())
}

impl Options {
    fn validate(&self) -> anyhow::Result<()> {
        let known: Vec<_> = std::iter::once(WORKSPACE).chain(SUITES.iter().map(|suite| suite.name)).collect();
        match self.suites.iter().find(|name| !known.contains(&name.as_str())) {
            Some(name) => bail!("there is no suite `{name}`; there are {}", known.join(", ")),
            None => Ok(()),
        }
    }

    fn selects(&self, name: &str) -> bool {
        self.suites.is_empty() || self.suites.iter().any(|selected| selected == name)
    }

    fn requires(&self, suite: &Suite) -> bool {
        let named = self.suites.iter().any(|selected| selected == suite.name);
        named || is_ci() || env::var("NYX_REQUIRE_SUITES").is_ok_and(|suites| suites == "all")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(suites: &[&str]) -> Options {
        Options { suites: suites.iter().map(|&name| name.to_owned()).collect() }
    }

    #[test]
    fn without_names_everything_is_selected() {
        assert!(options(&[]).selects(WORKSPACE));
        assert!(SUITES.iter().all(|suite| options(&[]).selects(suite.name)));
    }

    #[test]
    fn a_named_suite_is_the_only_one_and_required() {
        let options = options(&[SUITES[0].name]);
        assert!(!options.selects(WORKSPACE));
        assert!(options.requires(&SUITES[0]));
    }

    #[test]
    fn an_unknown_suite_is_refused() {
        assert!(options(&["nothing"]).validate().is_err());
        assert!(options(&[WORKSPACE, SUITES[0].name]).validate().is_ok());
    }
}
