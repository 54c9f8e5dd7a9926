//! Dependencies run downwards only, and each outside dependency stays where it belongs.

use std::collections::{HashMap, VecDeque};
use std::fs;

use anyhow::Context;
use cargo_metadata::{Dependency, DependencyKind, Metadata, Package, PackageId};

use super::Finding;

/// Who may use whom, from the bottom up. The five libraries in the middle use the core alone.
const LAYERS: &[Layer] = &[
    Layer { name: "nyx-core", uses: &[], tests_use: &["nyx-netem"] },
    Layer { name: "nyx-stream", uses: &["nyx-core"], tests_use: &["nyx-netem"] },
    Layer { name: "nyx-protocol", uses: &["nyx-core"], tests_use: &["nyx-netem"] },
    Layer { name: "nyx-transport", uses: &["nyx-core"], tests_use: &["nyx-netem"] },
    Layer { name: "nyx-audio-capture", uses: &["nyx-core"], tests_use: &["nyx-netem"] },
    Layer { name: "nyx-netem", uses: &["nyx-core"], tests_use: &[] },
    Layer { name: "nyx-hub", uses: &["nyx-core", "nyx-stream", "nyx-protocol"], tests_use: &["nyx-netem"] },
    Layer {
        name: "nyx-client",
        uses: &["nyx-core", "nyx-stream", "nyx-protocol", "nyx-transport"],
        // A client is tested against a real hub in the same process.
        tests_use: &["nyx-hub", "nyx-netem"],
    },
    Layer { name: "nyx-daemon", uses: LIBRARIES, tests_use: &[] },
    Layer { name: "nyx-benches", uses: LIBRARIES, tests_use: &[] },
    Layer { name: "xtask", uses: &[], tests_use: &[] },
];

const LIBRARIES: &[&str] = &[
    "nyx-core",
    "nyx-stream",
    "nyx-protocol",
    "nyx-transport",
    "nyx-audio-capture",
    "nyx-netem",
    "nyx-hub",
    "nyx-client",
];

/// Outside dependencies that only some crates may name. Tests may use any.
const KEPT: &[Kept] = &[
    Kept { name: "anyhow", by: PROGRAMS, why: "libraries have an error enum per operation" },
    Kept { name: "axum", by: PROGRAMS, why: "only the daemon knows HTTP" },
    Kept { name: "hyper", by: PROGRAMS, why: "only the daemon knows HTTP" },
    Kept { name: "serde_json", by: PROGRAMS, why: "only the daemon knows JSON text" },
    Kept { name: "toml", by: PROGRAMS, why: "only the daemon knows TOML" },
];

const PROGRAMS: &[&str] = &["nyx-daemon", "nyx-benches", "xtask"];

/// The crates that decide and do no I/O never reach these, not even through others.
const SANS_IO: &[&str] = &["nyx-core", "nyx-stream", "nyx-protocol", "nyx-hub"];
const IO: &[&str] = &["tokio", "mio", "socket2", "async-io", "smol"];

struct Layer {
    name: &'static str,
    uses: &'static [&'static str],
    /// What its tests may use on top of that.
    tests_use: &'static [&'static str],
}

struct Kept {
    name: &'static str,
    by: &'static [&'static str],
    why: &'static str,
}

pub(super) fn check(metadata: &Metadata) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for package in metadata.workspace_packages() {
        let manifest = fs::read_to_string(&package.manifest_path)
            .with_context(|| format!("can't read {}", package.manifest_path))?;
        let Some(layer) = LAYERS.iter().find(|layer| package.name == layer.name) else {
            let remedy = "give it a row in xtask/src/check/layers.rs and in docs/ARCHITECTURE.md";
            findings.push(Finding::new(&package.manifest_path, 1, "this crate has no layer", remedy));
            continue;
        };
        for (dependency, problem) in package
            .dependencies
            .iter()
            .filter_map(|dependency| Some((dependency, layer.refuses(dependency)?)))
        {
            let line = line_of_dependency(&manifest, &dependency.name);
            findings.push(Finding::new(&package.manifest_path, line, problem.what, problem.remedy));
        }
        if SANS_IO.contains(&layer.name) {
            findings.extend(reaches_io(metadata, package, &manifest));
        }
    }
    Ok(findings)
}

#[derive(Debug)]
struct Problem {
    what: String,
    remedy: String,
}

impl Layer {
    fn refuses(&self, dependency: &Dependency) -> Option<Problem> {
        let name = dependency.name.as_str();
        let in_tests = dependency.kind == DependencyKind::Development;
        if LAYERS.iter().any(|layer| layer.name == name) {
            self.refuses_crate(name, in_tests)
        } else {
            self.refuses_outside(name, in_tests)
        }
    }

    fn refuses_crate(&self, name: &str, in_tests: bool) -> Option<Problem> {
        let allowed = self.uses.contains(&name) || in_tests && self.tests_use.contains(&name);
        (!allowed).then(|| Problem {
            what: format!("{} must not depend on {name}", self.name),
            remedy: "move what both need down, or what needs both up".to_owned(),
        })
    }

    fn refuses_outside(&self, name: &str, in_tests: bool) -> Option<Problem> {
        let kept = KEPT.iter().find(|kept| kept.name == name)?;
        (!in_tests && !kept.by.contains(&self.name)).then(|| Problem {
            what: format!("{} must not depend on {name}", self.name),
            remedy: format!("{}: move what needs it there", kept.why),
        })
    }
}

/// The shortest ways from a package to each I/O crate, by dependencies that are built into it.
fn reaches_io(metadata: &Metadata, package: &Package, manifest: &str) -> Vec<Finding> {
    let Some(resolve) = &metadata.resolve else { return Vec::new() };
    let nodes: HashMap<&PackageId, _> = resolve.nodes.iter().map(|node| (&node.id, node)).collect();
    let mut came_from: HashMap<&PackageId, Option<&PackageId>> = HashMap::from([(&package.id, None)]);
    let mut queue = VecDeque::from([&package.id]);
    let mut findings = Vec::new();
    while let Some(id) = queue.pop_front() {
        if IO.contains(&metadata[id].name.as_str()) {
            let path = path_to(metadata, &came_from, id);
            let line = line_of_dependency(manifest, path.get(1).copied().unwrap_or_default());
            let what = format!("{} reaches I/O by {}", package.name, path.join(" > "));
            let remedy = "keep sockets and runtimes in the drivers";
            findings.push(Finding::new(&package.manifest_path, line, what, remedy));
            continue;
        }
        let built_in = nodes[id]
            .deps
            .iter()
            .filter(|dep| dep.dep_kinds.iter().any(|dep_kind| dep_kind.kind == DependencyKind::Normal));
        for dep in built_in {
            came_from.entry(&dep.pkg).or_insert_with(|| {
                queue.push_back(&dep.pkg);
                Some(id)
            });
        }
    }
    findings
}

fn path_to<'a>(
    metadata: &'a Metadata,
    came_from: &HashMap<&'a PackageId, Option<&'a PackageId>>,
    to: &'a PackageId,
) -> Vec<&'a str> {
    let mut path: Vec<_> = std::iter::successors(Some(to), |id| came_from.get(id).copied().flatten())
        .map(|id| metadata[id].name.as_str())
        .collect();
    path.reverse();
    path
}

/// The line on which a manifest names a dependency, or the first line.
fn line_of_dependency(manifest: &str, name: &str) -> usize {
    let names = |line: &str| {
        line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['.', ' ', '=']))
            || line.starts_with('[') && line.ends_with(&format!("dependencies.{name}]"))
    };
    manifest.lines().position(names).map_or(1, |index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(name: &str) -> &'static Layer {
        LAYERS.iter().find(|layer| layer.name == name).expect("it is in the table")
    }

    #[test]
    fn a_library_of_the_middle_may_not_use_another() {
        assert!(layer("nyx-stream").refuses_crate("nyx-core", false).is_none());
        assert!(layer("nyx-stream").refuses_crate("nyx-protocol", false).is_some());
        assert!(layer("nyx-stream").refuses_crate("nyx-protocol", true).is_some());
    }

    #[test]
    fn only_tests_may_use_the_network_emulator() {
        assert!(layer("nyx-hub").refuses_crate("nyx-netem", true).is_none());
        assert!(layer("nyx-hub").refuses_crate("nyx-netem", false).is_some());
    }

    #[test]
    fn nothing_uses_upwards() {
        for (index, layer) in LAYERS.iter().enumerate() {
            let below: Vec<_> = LAYERS[..index].iter().map(|layer| layer.name).collect();
            assert!(layer.uses.iter().all(|name| below.contains(name)), "{}", layer.name);
        }
    }

    #[test]
    fn json_text_stays_with_the_programs() {
        assert!(layer("nyx-daemon").refuses_outside("serde_json", false).is_none());
        assert!(layer("nyx-client").refuses_outside("serde_json", false).is_some());
        assert!(layer("nyx-client").refuses_outside("serde_json", true).is_none());
    }

    #[test]
    fn a_dependency_is_found_by_its_whole_name() {
        let manifest = "[dependencies]\ntokio-util = \"1\"\ntokio.workspace = true\n[dependencies.axum]\n";
        assert_eq!(line_of_dependency(manifest, "tokio"), 3);
        assert_eq!(line_of_dependency(manifest, "axum"), 4);
        assert_eq!(line_of_dependency(manifest, "absent"), 1);
    }
}
