//! The real-part suites: end-to-end tests of the daemon that run the release binary with real programs.
//!
//! Each is an integration test of `nyx-daemon`, declared there with `test = false`: so a plain `cargo test` leaves it
//! out, and `--test <name>` runs it. To add one, add a row here, the declaration, and the package to `.ci/run`.

use std::env;

/// The package whose integration tests the suites are.
pub(crate) const PACKAGE: &str = "nyx-daemon";

/// All of them, in the order in which they run: those that need nothing first.
pub(crate) const SUITES: &[Suite] = &[
    Suite { name: "restart", needs: &[] },
    Suite { name: "hostile", needs: &[] },
    Suite { name: "slow", needs: &[] },
    Suite { name: "scale", needs: &[] },
    Suite { name: "console", needs: &[NODE] },
    Suite { name: "media", needs: &[FFMPEG] },
    Suite { name: "browser", needs: &[CHROMIUM, FFMPEG] },
];

const NODE: Program = Program { name: "node", debian: "nodejs" };
const FFMPEG: Program = Program { name: "ffmpeg", debian: "ffmpeg" };
const CHROMIUM: Program = Program { name: "chromium", debian: "chromium" };

/// One suite, by the name of its test target.
pub(crate) struct Suite {
    pub(crate) name: &'static str,
    pub(crate) needs: &'static [Program],
}

/// A program that a suite starts, and the Debian package that has it.
pub(crate) struct Program {
    pub(crate) name: &'static str,
    pub(crate) debian: &'static str,
}

impl Suite {
    /// The programs that this suite needs and that `PATH` does not have.
    pub(crate) fn missing(&self) -> Vec<&'static Program> {
        self.needs.iter().filter(|program| !program.is_on_path()).collect()
    }
}

impl Program {
    fn is_on_path(&self) -> bool {
        let file = format!("{}{}", self.name, env::consts::EXE_SUFFIX);
        env::var_os("PATH")
            .is_some_and(|path| env::split_paths(&path).any(|folder| folder.join(&file).is_file()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_nobody_has_is_missing() {
        const ABSENT: &[Program] = &[Program { name: "nyx-no-such-program", debian: "none" }];
        let suite = Suite { name: "absent", needs: ABSENT };
        assert_eq!(suite.missing().len(), 1);
    }

    #[test]
    fn a_suite_without_needs_misses_nothing() {
        assert!(Suite { name: "plain", needs: &[] }.missing().is_empty());
    }
}
