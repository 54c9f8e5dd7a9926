//! Benches that make one table together.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use anyhow::Context;

use super::{Options, PACKAGE};
use crate::report::Report;
use crate::workspace;

/// All suites. What their rows should reach is in `benches/aims.toml`, by the suite's name.
pub(crate) const SUITES: &[Suite] = &[
    Suite { name: "core", benches: &["limiter", "pool"] },
    Suite { name: "stream", benches: &["ring", "queue", "metrics"] },
    Suite { name: "transport", benches: &["tcp_pool", "udp"] },
];

/// The benches of one library.
pub(crate) struct Suite {
    pub(crate) name: &'static str,
    pub(crate) benches: &'static [&'static str],
}

impl Suite {
    /// Runs all benches, as often as the options say, and prints the table. Says whether every bench ran to its end; an aim that
    /// was not reached is in the table, and no failure.
    ///
    /// Each run has a folder of its own for what criterion writes, empty at the start: so the table has what was just
    /// measured and nothing else.
    pub(super) fn run(&self, options: &Options) -> anyhow::Result<bool> {
        let folders = self.folders(options.runs)?;
        let mut report = Report::on_stderr("bench");
        for (index, folder) in folders.iter().enumerate() {
            for bench in self.benches {
                let name =
                    if index > 0 { format!("{bench}, run {}", index + 1) } else { (*bench).to_owned() };
                report.run(&name, options.criterion(bench).env("CRITERION_HOME", folder))?;
            }
        }
        let passed = report.finish();
        Ok(if options.test { passed } else { self.print_table(options, &folders)? && passed })
    }

    fn folders(&self, runs: u32) -> anyhow::Result<Vec<PathBuf>> {
        let of_suite =
            workspace::metadata()?.target_directory.join("bench").join(self.name).into_std_path_buf();
        let unusable = || format!("can't use {} for what criterion writes", of_suite.display());
        match fs::remove_dir_all(&of_suite) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error).with_context(unusable),
            _ => {}
        }
        let folders: Vec<_> = (1..=runs).map(|run| of_suite.join(run.to_string())).collect();
        folders.iter().try_for_each(fs::create_dir_all).with_context(unusable)?;
        Ok(folders)
    }

    fn print_table(&self, options: &Options, folders: &[PathBuf]) -> anyhow::Result<bool> {
        let format = match options {
            Options { markdown: true, .. } => "markdown",
            Options { json: true, .. } => "json",
            _ => "text",
        };
        let mut command =
            options.command("run", &["--quiet", "-p", PACKAGE, "--release"], &["--bin", "primitives"]);
        command.args(["--format", format, self.name]).args(folders);
        Ok(command.status().context("can't start cargo")?.success())
    }
}
