//! What every crate has: a README, the texts of its licences, the workspace's lints, and a root that forbids `unsafe`.

use std::fs;

use anyhow::Context;
use cargo_metadata::{Metadata, Package, TargetKind};

use super::Finding;

/// Crates that may hold `unsafe` code, each with what it needs it for.
const UNSAFE: &[(&str, &str)] = &[
    ("nyx-core", "the buffer pool: blocks of raw memory, and a thread's cache found through a bare pointer"),
    ("nyx-transport", "on Linux alone, the ioctl that says what a TCP socket has not sent"),
    ("nyx-audio-capture", "on Windows alone: calls for MMCSS, processes and the sessions of applications"),
];

const LICENCES: [&str; 2] = ["LICENSE-APACHE", "LICENSE-MIT"];

const FORBID: &str = "#![forbid(unsafe_code)]";

pub(super) fn check(metadata: &Metadata) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for package in metadata.workspace_packages() {
        findings.extend(readme(package));
        findings.extend(licences(package));
        findings.extend(lints(package)?);
        if !UNSAFE.iter().any(|(name, _)| package.name == *name) {
            findings.extend(unsafe_code(package)?);
        }
    }
    Ok(findings)
}

fn readme(package: &Package) -> Option<Finding> {
    let path = package.manifest_path.with_file_name("README.md");
    (!path.exists()).then(|| {
        Finding::new(path, 1, "the crate has no README", "say what it is for, with an example that runs")
    })
}

/// Both licences ask for their texts in each copy, and a package has only what lies in its folder.
fn licences(package: &Package) -> impl Iterator<Item = Finding> {
    // Not published is said by a list of no registries.
    let is_published = package.publish.as_ref().is_none_or(|registries| !registries.is_empty());
    let missing = LICENCES
        .iter()
        .filter(move |name| is_published && !package.manifest_path.with_file_name(name).exists());
    missing.map(|name| {
        let what = format!("the package has no {name}");
        Finding::new(&package.manifest_path, 1, what, format!("add it: `ln -s ../../{name} {name}`"))
    })
}

fn lints(package: &Package) -> anyhow::Result<Option<Finding>> {
    let manifest = read(package.manifest_path.as_std_path())?;
    let mut lines = manifest.lines().map(str::trim).skip_while(|line| *line != "[lints]").skip(1);
    let inherits = lines.find(|line| !line.is_empty()) == Some("workspace = true");
    Ok((!inherits).then(|| {
        let what = "the crate does not take the workspace's lints";
        Finding::new(&package.manifest_path, 1, what, "add `[lints]` with `workspace = true`")
    }))
}

fn unsafe_code(package: &Package) -> anyhow::Result<Vec<Finding>> {
    let roots = package
        .targets
        .iter()
        .filter(|target| target.is_kind(TargetKind::Lib) || target.is_kind(TargetKind::Bin))
        .map(|target| target.src_path.as_std_path());
    let mut findings = Vec::new();
    for root in roots {
        if !read(root)?.lines().any(|line| line == FORBID) {
            let remedy = format!("add `{FORBID}`, or the crate and its reason to xtask/src/check/crates.rs");
            findings.push(Finding::new(root, 1, "the crate's root allows unsafe code", remedy));
        }
    }
    Ok(findings)
}

fn read(path: &std::path::Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("can't read {}", path.display()))
}
