//! One operation under valgrind.

use std::env;
use std::io;
use std::process::Command;

use thiserror::Error;

use super::ops::Op;

/// Why an operation's instructions could not be counted.
#[derive(Debug, Error)]
pub(super) enum Error {
    /// There is no valgrind: install it.
    #[error("valgrind is not installed: on Debian, `apt-get install valgrind`")]
    Missing,
    /// It could not be started for another reason.
    #[error("can't start valgrind: {0}")]
    Start(io::Error),
    /// The operation failed, or valgrind did: its output says why.
    #[error("`{op}` did not run under valgrind:\n{output}")]
    Failed {
        /// The operation.
        op: &'static str,
        /// What valgrind and the operation said.
        output: String,
    },
}

/// How many instructions one operation takes.
pub(super) fn instructions(op: &Op) -> Result<f64, Error> {
    let (once, twice) = (collect(op, op.calls)?, collect(op, 2 * op.calls)?);
    Ok(twice.saturating_sub(once) as f64 / (op.calls * op.operations) as f64)
}

/// The instructions of a whole process that makes so many calls.
fn collect(op: &Op, calls: u64) -> Result<u64, Error> {
    let program = env::current_exe().map_err(Error::Start)?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args(["--calls", &calls.to_string(), op.name])
        .output()
        .map_err(|error| {
            if error.kind() == io::ErrorKind::NotFound { Error::Missing } else { Error::Start(error) }
        })?;
    let text = String::from_utf8_lossy(&output.stderr);
    let collected = output.status.success().then(|| collected(&text)).flatten();
    collected.ok_or_else(|| Error::Failed { op: op.name, output: text.into_owned() })
}

/// Reads callgrind's line `==17== Collected : 2451020`.
fn collected(output: &str) -> Option<u64> {
    let line = output.lines().find(|line| line.contains("Collected :"))?;
    line.rsplit(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::collected;

    #[test]
    fn the_total_is_found_among_what_callgrind_says() {
        let output = "==17== Callgrind, a call-graph generating cache profiler\n==17== Events    : Ir\n\
            ==17== Collected : 2451020\n==17== \n";
        assert_eq!(collected(output), Some(2_451_020));
        assert_eq!(collected("==17== Illegal instruction\n"), None);
    }
}
