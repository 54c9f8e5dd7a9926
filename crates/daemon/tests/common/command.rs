//! `nyx pub`, `nyx sub` and other programs as children.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;

use serde_json::Value;

use super::daemon::{NYX, PATIENCE};
use super::wait::eventually;

/// A child that is killed when dropped, and what it prints.
pub(crate) struct Running {
    child: Child,
    stdout: Option<JoinHandle<Vec<String>>>,
}

impl Running {
    /// Starts `nyx COMMAND` against the hub at `server`; stdin is `stdin`.
    pub(crate) fn nyx(command: &str, server: SocketAddr, arguments: &[&str], stdin: Stdio) -> Self {
        let mut nyx = Command::new(NYX);
        nyx.arg(command).args(["--server", &format!("nyx://{server}")]).args(arguments);
        Self::start(nyx.stdin(stdin))
    }

    /// Starts a program.
    pub(crate) fn start(command: &mut Command) -> Self {
        let program = command.get_program().to_string_lossy().into_owned();
        let mut child =
            command.stdout(Stdio::piped()).spawn().unwrap_or_else(|error| panic!("{program}: {error}"));
        let pipe = BufReader::new(child.stdout.take().expect("a pipe"));
        // Read all the time: a child whose pipe is full waits.
        let stdout = std::thread::spawn(move || pipe.lines().map_while(Result::ok).collect());
        Self { child, stdout: Some(stdout) }
    }

    /// Asks it to end.
    pub(crate) fn terminate(&self) {
        let done = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        assert!(done.is_ok_and(|status| status.success()), "the program can be signalled");
    }

    /// Waits until it ends, and returns how and the lines that it printed.
    pub(crate) async fn ended(mut self) -> (ExitStatus, Vec<String>) {
        let child = &mut self.child;
        let wait = async || child.try_wait().expect("the program can be waited for");
        let status = eventually(3 * PATIENCE, "the program ends", wait).await;
        let lines = self.stdout.take().expect("it is read once").join().expect("its output is read");
        (status, lines)
    }

    /// As [`ended`](Self::ended), for a program that has to succeed and prints JSON.
    pub(crate) async fn succeeded(self) -> Vec<Value> {
        let (status, lines) = self.ended().await;
        assert!(status.success(), "{status}: {lines:?}");
        lines
            .iter()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
            .collect()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
