//! A command and all that it starts.

use tokio::process::{Child, Command};

/// Ends the processes of a command when it is dropped, unless the command has ended by itself. Killing the command alone would leave what it has
/// started: of `sh -c 'a | b'` both.
#[derive(Default)]
pub(super) struct Group {
    #[cfg(unix)]
    leader: Option<rustix::process::Pid>,
}

impl Group {
    /// Has the command begin a group of its own.
    pub(super) fn begin(command: &mut Command) {
        #[cfg(unix)]
        command.process_group(0);
        #[cfg(not(unix))]
        let _ = command;
    }

    /// The group of a command that began one, and that nobody has waited for yet: until then its number is nobody else's.
    #[cfg(unix)]
    pub(super) fn of(child: &Child) -> Self {
        let leader = child.id().and_then(|id| rustix::process::Pid::from_raw(i32::try_from(id).ok()?));
        Self { leader }
    }

    /// There are no groups here: the command alone is killed.
    #[cfg(not(unix))]
    pub(super) fn of(_child: &Child) -> Self {
        Self::default()
    }

    /// The command has ended. What it may have left in the background is meant to stay.
    pub(super) fn leave(self) {
        // It holds nothing but a number.
        std::mem::forget(self);
    }
}

#[cfg(unix)]
impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.leader {
            // It fails where all have ended.
            let _ = rustix::process::kill_process_group(leader, rustix::process::Signal::KILL);
        }
    }
}
