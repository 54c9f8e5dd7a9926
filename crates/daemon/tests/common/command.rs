//! `nyx pub`, `nyx sub` and other programs as children.
#![allow(dead_code, reason = "each suite uses a part")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::Mutex;
use serde_json::Value;

use super::daemon::{NYX, PATIENCE};
use super::wait::eventually;

/// A child that is killed when dropped, and what it prints.
pub(crate) struct Running {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
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
        let lines = Arc::<Mutex<Vec<String>>>::default();
        let copy = lines.clone();
        let reader = std::thread::spawn(move || {
            pipe.lines().map_while(Result::ok).for_each(|line| copy.lock().push(line))
        });
        Self { child, lines, reader: Some(reader) }
    }

    /// Writes a line to its stdin, which has to be a pipe.
    pub(crate) fn tell(&mut self, line: &str) {
        let stdin = self.child.stdin.as_mut().expect("a pipe");
        writeln!(stdin, "{line}").expect("the program reads");
    }

    /// Waits until it has printed a line for which `is_it` holds.
    pub(crate) async fn prints(&self, what: &str, is_it: impl Fn(&Value) -> bool) {
        let printed = async || {
            let lines = self.lines.lock();
            lines
                .iter()
                .filter_map(|line| serde_json::from_str(line).ok())
                .any(|line| is_it(&line))
                .then_some(())
        };
        eventually(PATIENCE, what, printed).await;
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
        // To the end of its output, of which the pipe may still hold some.
        self.reader.take().expect("it ends once").join().expect("its output is read");
        (status, std::mem::take(&mut self.lines.lock()))
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
