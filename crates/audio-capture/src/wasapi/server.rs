//! Lists and volumes.

use super::{devices, initialize, sessions};
use crate::host::{Control, ControlError, Device, Session, SessionId};
use crate::input::OpenError;

/// What asks Windows for its devices and sessions. Sessions are those of all outputs and inputs; their numbers are made of the names that Windows has
/// for them, and so the same in each list.
#[derive(Debug)]
pub struct Server(());

impl Server {
    /// Joins COM on this thread, which has to be the one that asks.
    ///
    /// # Errors
    ///
    /// [`OpenError::Failed`].
    pub fn connect() -> Result<Self, OpenError> {
        initialize()?;
        Ok(Self(()))
    }

    fn find(&self, id: SessionId) -> Result<sessions::Controlled, ControlError> {
        let all = sessions::all().map_err(|error| sessions::failed(&error))?;
        all.into_iter().find(|session| session.id() == id).ok_or(ControlError::NoSession { id })
    }
}

impl Control for Server {
    fn devices(&mut self) -> Result<Vec<Device>, ControlError> {
        devices().map_err(|error| ControlError::Failed { reason: error.to_string() })
    }

    fn sessions(&mut self) -> Result<Vec<Session>, ControlError> {
        let all = sessions::all().map_err(|error| sessions::failed(&error))?;
        // One that ends meanwhile is left out.
        Ok(all.iter().filter_map(|session| session.describe().ok()).collect())
    }

    /// Nothing is louder than 1.0.
    fn set_volume(&mut self, id: SessionId, volume: f32) -> Result<(), ControlError> {
        self.find(id)?.set_volume(volume).map_err(|error| sessions::failed(&error))
    }

    fn set_muted(&mut self, id: SessionId, mute: bool) -> Result<(), ControlError> {
        self.find(id)?.set_muted(mute).map_err(|error| sessions::failed(&error))
    }
}
