//! Every fuzz target runs, and begins with seeds.

use std::fs;
use std::path::Path;

use anyhow::Context;

use super::Finding;
use crate::workspace::root;

/// Cargo finds none of them by itself, so a file that the manifest does not name is never built.
pub(super) fn check() -> anyhow::Result<Vec<Finding>> {
    let folder = root().join("fuzz");
    let manifest = folder.join("Cargo.toml");
    let declared =
        fs::read_to_string(&manifest).with_context(|| format!("can't read {}", manifest.display()))?;
    let targets = folder.join("fuzz_targets");
    let mut findings = Vec::new();
    for entry in fs::read_dir(&targets).with_context(|| format!("can't read {}", targets.display()))? {
        let path = entry.with_context(|| format!("can't read {}", targets.display()))?.path();
        let Some(name) = path.file_stem().and_then(|name| name.to_str()) else { continue };
        if !declares(&declared, name) {
            let remedy = "give it a `[[bin]]` in fuzz/Cargo.toml";
            findings.push(Finding::new(&path, 1, "nothing runs this fuzz target", remedy));
        }
        if !has_files(&folder.join("seeds").join(name)) {
            let remedy = "write some that reach it to fuzz/seeds, by fuzz/examples/seeds.rs";
            findings.push(Finding::new(&path, 1, "this fuzz target has no seeds", remedy));
        }
    }
    Ok(findings)
}

fn declares(manifest: &str, name: &str) -> bool {
    let line = format!("path = \"fuzz_targets/{name}.rs\"");
    manifest.lines().any(|other| other.trim() == line)
}

fn has_files(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut files| files.next().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_declared_by_its_whole_name() {
        let manifest = "[[bin]]\nname = \"wire_decoder\"\npath = \"fuzz_targets/wire_decoder.rs\"\n";
        assert!(declares(manifest, "wire_decoder"));
        assert!(!declares(manifest, "decoder") && !declares(manifest, "wire"));
    }
}
