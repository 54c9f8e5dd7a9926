//! What happens to sessions and devices.

use std::time::Duration;

use super::Server;
use crate::host::{ControlError, Event, Follow, Polled};

/// Follows sessions and devices. Belongs to the thread that started it.
///
/// It lists them every second. Windows could tell of them itself (`IAudioSessionNotification`, `IAudioSessionEvents`), by COM objects of ours that threads of
/// the system call and that must be taken back in the right order when a session or a device goes; for what people do to volumes a second is soon enough.
#[derive(Debug)]
pub struct Watch(Polled<Server>);

impl Watch {
    /// Follows what happens from now on.
    ///
    /// # Errors
    ///
    /// [`ControlError::Failed`].
    pub fn start() -> Result<Self, ControlError> {
        let server = Server::connect().map_err(|error| ControlError::Failed { reason: error.to_string() })?;
        Polled::start(server, EVERY).map(Self)
    }
}

impl Follow for Watch {
    fn next(&mut self, timeout: Duration) -> Result<Option<Event>, ControlError> {
        self.0.next(timeout)
    }
}

const EVERY: Duration = Duration::from_secs(1);
