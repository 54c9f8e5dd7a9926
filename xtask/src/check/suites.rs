//! The tables of suites and the manifests say the same: of real-part suites the daemon's, of benches their package's.

use cargo_metadata::{Metadata, TargetKind};

use super::Finding;
use crate::bench;
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
    findings.extend(homonyms(metadata));
    findings.extend(benches(metadata)?);
    Ok(findings)
}

/// Tests of other packages that have the name of a suite: they would run with it.
fn homonyms(metadata: &Metadata) -> Vec<Finding> {
    let others = metadata.workspace_packages().into_iter().filter(|package| package.name != PACKAGE);
    let tests = others.flat_map(|package| package.targets.iter().map(move |target| (package, target)));
    tests
        .filter(|(_, target)| target.is_kind(TargetKind::Test))
        .filter(|(_, target)| SUITES.iter().any(|suite| suite.name == target.name))
        .map(|(package, target)| {
            let what = format!("the test `{}` has the name of a suite", target.name);
            Finding::new(&package.manifest_path, 1, what, "give it another name: it would run with the suite")
        })
        .collect()
}

fn benches(metadata: &Metadata) -> anyhow::Result<Vec<Finding>> {
    let declared = bench::criterion_benches(metadata)?;
    let manifest = &workspace::package(metadata, bench::PACKAGE)?.manifest_path;
    let wanted = bench::SUITES.iter().flat_map(|suite| suite.benches.iter().map(move |bench| (suite, bench)));
    let missing = wanted.filter(|(_, bench)| !declared.iter().any(|declared| declared == *bench));
    Ok(missing
        .map(|(bench::Suite { name, .. }, bench)| {
            let what = format!("the bench `{bench}` of the suite `{name}` is not declared");
            Finding::new(manifest, 1, what, "declare it, or take it out of xtask/src/bench/suite.rs")
        })
        .collect())
}
