//! What the README tells people to run is what continuous integration runs.

use std::fs;

use super::Finding;
use crate::workspace;

/// The one command that runs the tests.
const TEST: &str = "cargo xtask test";

pub(super) fn check() -> Vec<Finding> {
    let readme = finding("README.md", is_shown, "show it on a line of its own");
    let ci = finding(".ci/run", is_run, "run exactly it, without arguments");
    readme.into_iter().chain(ci).collect()
}

fn finding(path: &str, has: fn(&str) -> bool, remedy: &str) -> Option<Finding> {
    let path = workspace::root().join(path);
    let text = fs::read_to_string(&path).unwrap_or_default();
    (!text.lines().any(has)).then(|| Finding::new(path, 1, format!("`{TEST}` is not here"), remedy))
}

/// Alone on its line, but for a remark.
fn is_shown(line: &str) -> bool {
    line.trim().strip_prefix(TEST).is_some_and(|rest| rest.is_empty() || rest.trim_start().starts_with('#'))
}

/// The last words of a line that is not a remark itself.
fn is_run(line: &str) -> bool {
    let line = line.trim();
    !line.starts_with('#')
        && line.strip_suffix(TEST).is_some_and(|before| before.is_empty() || before.ends_with(' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_shown_alone_or_with_a_remark() {
        assert!(is_shown("cargo xtask test"));
        assert!(is_shown("cargo xtask test   # every test"));
        assert!(!is_shown("cargo xtask test media"));
        assert!(!is_shown("Run `cargo xtask test`."));
    }

    #[test]
    fn the_command_is_run_without_arguments() {
        assert!(is_run("step \"tests\" cargo xtask test"));
        assert!(!is_run("# cargo xtask test"));
        assert!(!is_run("cargo xtask test slow"));
    }
}
