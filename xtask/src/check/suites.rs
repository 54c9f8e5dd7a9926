//! The table of real-part suites and the daemon's manifest say the same.

use cargo_metadata::{Metadata, TargetKind};

use super::Finding;
use crate::suites::{PACKAGE, SUITES};
use crate::workspace;

pub(super) fn check(metadata: &Metadata) -> anyhow::Result<Vec<Finding>> {
    let package = workspace::package(metadata, PACKAGE)?;
    let manifest = &package.manifest_path;
    let mut findings = Vec::new();
    for suite in SUITES {
        let target = package.targets.iter().find(|t| t.is_kind(TargetKind::Test) && t.name == suite.name);
        if target.is_none_or(|target| target.test) {
            let what = format!("the suite `{}` is not declared as one", suite.name);
            let remedy = "add it as `[[test]]` with its path and `test = false`, so that a plain `cargo test` leaves it out";
            findings.push(Finding::new(manifest, 1, what, remedy));
        }
    }
    for target in package.targets.iter().filter(|target| target.is_kind(TargetKind::Test) && !target.test) {
        if !SUITES.iter().any(|suite| suite.name == target.name) {
            let what = format!("nothing runs the test `{}`", target.name);
            findings.push(Finding::new(manifest, 1, what, "give it a row in xtask/src/suites.rs"));
        }
    }
    Ok(findings)
}
