//! `cargo xtask loom`: every interleaving of the hand-made atomic protocols, within loom's bounds.

use std::process::Command;

use anyhow::ensure;
use cargo_metadata::{Package, Target, TargetKind};

use crate::report::Report;
use crate::workspace::{self, cargo, target_directory, without_lto};

/// What the names of loom's test files start with, in the folder `tests` of any crate.
const PREFIX: &str = "loom_";

/// Runs the loom tests of all crates that have some, and says whether all passed.
pub(crate) fn run() -> anyhow::Result<bool> {
    let metadata = workspace::metadata()?;
    let mut report = Report::new("crate");
    for package in metadata.workspace_packages().into_iter().filter(|package| uses_loom(package)) {
        let name = &package.name;
        ensure!(
            package.targets.iter().any(is_loom_test),
            "{name} depends on loom and has no tests/{PREFIX}*.rs"
        );
        report.run(name, &mut command(name)?)?;
    }
    Ok(report.finish())
}

fn uses_loom(package: &Package) -> bool {
    package.dependencies.iter().any(|dependency| dependency.name == "loom")
}

fn is_loom_test(target: &Target) -> bool {
    target.is_kind(TargetKind::Test) && target.name.starts_with(PREFIX)
}

/// Optimised, since loom runs the same few lines millions of times.
fn command(package: &str) -> anyhow::Result<Command> {
    let mut command = cargo(["test", "--release", "-p", package, "--no-fail-fast"]);
    without_lto(&mut command)
        .args(["--test", &format!("{PREFIX}*")])
        .env("CARGO_TARGET_DIR", target_directory()?.join("loom"))
        .env("RUSTFLAGS", "--cfg loom");
    Ok(command)
}
