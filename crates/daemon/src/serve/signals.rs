//! Being asked to end.

use std::io;

use tokio::sync::watch;

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

/// How often SIGHUP came, by which a process is told to read its files again. Each clone sees each by itself; several that come at once are one.
#[derive(Clone, Debug)]
pub(crate) struct Hangups(watch::Receiver<()>);

impl Hangups {
    /// And by what they are told.
    pub(crate) fn new() -> (watch::Sender<()>, Self) {
        let (sender, receiver) = watch::channel(());
        (sender, Self(receiver))
    }

    /// Whether one came since this was asked last.
    pub(crate) fn came(&mut self) -> bool {
        let came = self.0.has_changed().unwrap_or(false);
        self.0.mark_unchanged();
        came
    }

    /// Resolves when one comes, or has come since the last.
    ///
    /// # Cancel safety
    /// Safe: what was not told is told the next time.
    pub(crate) async fn next(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Tells of each SIGHUP, until it is aborted. Elsewhere than on Unix none comes.
pub(super) async fn tell_hangups(hangups: watch::Sender<()>) {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let Ok(mut hangup) = signal(SignalKind::hangup()) else {
            tracing::error!("can't wait for SIGHUP: certificates are read at the start only");
            return;
        };
        while hangup.recv().await.is_some() {
            hangups.send_replace(());
        }
    }
    #[cfg(not(unix))]
    drop(hangups);
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
