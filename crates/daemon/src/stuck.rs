//! Commands whose output takes nothing, and that are asked to end.

use std::time::Duration;

use tokio::task::JoinSet;

use crate::exit::{self, Outcome};
use crate::serve::Signals;
use crate::tell;

/// Ends the process some time after a signal, until this is dropped. A write to a pipe that nobody reads can't be broken off: whoever is
/// in one does not come to look for signals.
pub(crate) struct Guard(#[expect(dead_code, reason = "what is in it ends with it")] JoinSet<()>);

impl Guard {
    /// From now on.
    pub(crate) fn new() -> Outcome<Self> {
        let mut signals = Signals::new()?;
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            signals.wait().await;
            tokio::time::sleep(GRACE).await;
            tell::note("stopped while the output took nothing: what came last is not in it");
            std::process::exit(exit::FAILED.into());
        });
        Ok(Self(tasks))
    }
}

/// More than what else is done at the end takes.
const GRACE: Duration = Duration::from_secs(3);
