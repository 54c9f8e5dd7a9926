//! The real-part suites: end-to-end tests of the daemon that run the release binary with real programs.
//!
//! Each is an integration test of `nyx-daemon`, declared there with `test = false`: so a plain `cargo test` leaves it
//! out, and `--test <name>` runs it. To add one, add a row here, the declaration, and the package to `.ci/run`.

use crate::programs::{self, Program};

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
    Suite { name: "audio", needs: &[PULSEAUDIO, PACTL, PAPLAY, SOX, CHROMIUM] },
    Suite { name: "browser", needs: &[CHROMIUM, FFMPEG] },
];

const NODE: Program = Program { name: "node", debian: "nodejs" };
const FFMPEG: Program = Program { name: "ffmpeg", debian: "ffmpeg" };
const PULSEAUDIO: Program = Program { name: "pulseaudio", debian: "pulseaudio" };
const PACTL: Program = Program { name: "pactl", debian: "pulseaudio-utils" };
const PAPLAY: Program = Program { name: "paplay", debian: "pulseaudio-utils" };
const SOX: Program = Program { name: "sox", debian: "sox" };
const CHROMIUM: Program = Program { name: "chromium", debian: "chromium" };

/// One suite, by the name of its test target.
pub(crate) struct Suite {
    pub(crate) name: &'static str,
    pub(crate) needs: &'static [Program],
}

impl Suite {
    /// What to say about the programs that this suite needs and that `PATH` does not have, if there are any.
    pub(crate) fn missing(&self) -> Option<String> {
        programs::missing(self.needs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suite_that_needs_nothing_can_always_run() {
        assert!(SUITES.iter().filter(|suite| suite.needs.is_empty()).all(|suite| suite.missing().is_none()));
    }
}
