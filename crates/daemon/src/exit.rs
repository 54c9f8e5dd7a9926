//! Exit codes, and how errors are told.

use std::fmt::{self, Display};
use std::process::ExitCode;

use crate::tell;

/// Why a command ends without having done what was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    error: anyhow::Error,
}

/// What a command returns.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

/// Something went wrong on the way: input that can't be read, output that can't be written, a refusal by the hub.
pub(crate) const FAILED: u8 = 1;
/// The command line or the configuration makes no sense. (clap uses the same.)
const USAGE: u8 = 2;
/// The hub can't be reached, or an address to listen on is taken.
const UNREACHABLE: u8 = 3;

/// The table that `nyx --help` shows.
pub(crate) const HELP: &str = "\
Exit codes:
  0  done
  1  failed: input, output, or a refusal by the hub
  2  the command line or the configuration makes no sense
  3  the hub can't be reached, or an address to listen on is taken";

impl Failure {
    pub(crate) fn usage(error: impl Into<anyhow::Error>) -> Self {
        Self { code: USAGE, error: error.into() }
    }

    pub(crate) fn unreachable(error: impl Into<anyhow::Error>) -> Self {
        Self { code: UNREACHABLE, error: error.into() }
    }

    /// Whoever read our output has seen enough (`nyx sub … | head`): no failure. A connection that breaks while nothing has come over it yet ends
    /// with the same error, and is one.
    fn is_seen_enough(&self) -> bool {
        let io = self.error.chain().find_map(|cause| cause.downcast_ref::<std::io::Error>());
        self.code == FAILED && io.is_some_and(|io| io.kind() == std::io::ErrorKind::BrokenPipe)
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { code: FAILED, error: error.into() }
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        one_line(&self.error).fmt(f)
    }
}

/// Tells the error on stderr, in one line, and turns it into an exit code.
pub(crate) fn report(outcome: Outcome) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) if failure.is_seen_enough() => ExitCode::SUCCESS,
        Err(failure) => {
            tell::note(&failure);
            ExitCode::from(failure.code)
        }
    }
}

/// The chain of causes. A cause that its effect quotes already is not said twice.
fn one_line(error: &anyhow::Error) -> impl Display {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        // Those of TOML end their line.
        let cause = cause.trim_end();
        if text.contains(cause) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(cause);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io::{Error, ErrorKind};

    use anyhow::anyhow;

    use super::*;

    #[test]
    fn a_pipe_that_nobody_reads_is_no_failure_and_a_connection_that_breaks_is_one() {
        let broken = || anyhow!(Error::from(ErrorKind::BrokenPipe)).context("can't write");
        assert!(Failure::from(broken()).is_seen_enough());
        assert!(!Failure::unreachable(broken()).is_seen_enough());
        assert!(!Failure::from(anyhow!(Error::from(ErrorKind::StorageFull))).is_seen_enough());
    }
}
