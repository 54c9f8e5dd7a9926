//! Being asked to end.

use std::io;

use anyhow::Context as _;

use crate::exit::Outcome;

/// SIGINT and SIGTERM. They are listened for from the beginning: one that comes while nobody [waits](Self::wait) is seen by who waits next.
pub(crate) struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(windows)]
    interrupt: tokio::signal::windows::CtrlC,
}

impl Signals {
    pub(crate) fn new() -> Outcome<Self> {
        Self::listen().context("can't wait for signals").map_err(Into::into)
    }

    #[cfg(unix)]
    fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    #[cfg(windows)]
    fn listen() -> io::Result<Self> {
        Ok(Self { interrupt: tokio::signal::windows::ctrl_c()? })
    }

    pub(crate) async fn wait(&mut self) {
        #[cfg(unix)]
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
        #[cfg(windows)]
        let _ = self.interrupt.recv().await;
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::time::Duration;

    use tokio::signal::unix::{SignalKind, signal};

    use super::*;

    #[tokio::test]
    async fn a_signal_that_comes_while_nobody_waits_is_seen_by_who_waits_next() {
        let mut signals = Signals::new().unwrap();
        let mut other = signal(SignalKind::interrupt()).unwrap();
        let pid = std::process::id().to_string();
        assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        other.recv().await;
        // Were it lost, nothing would ever come.
        tokio::time::timeout(Duration::from_secs(20), signals.wait()).await.unwrap();
    }
}
