//! Lists and volumes.

use super::address::Address;
use super::connection::{Connection, Failure};
use super::listing;
use crate::host::{Control, ControlError, Device, Direction, Session, SessionId};
use crate::input::OpenError;
use pulseaudio::protocol::{
    Command, SetStreamMuteParams, SetStreamVolumeParams, SinkInputInfo, SourceOutputInfo,
};

/// A connection to ask the server by. Each request is one or a few round trips.
#[derive(Debug)]
pub struct Server {
    connection: Connection,
}

impl Server {
    /// Connects.
    ///
    /// # Errors
    ///
    /// [`OpenError::NoServer`], [`OpenError::Refused`] or [`OpenError::Failed`].
    pub fn connect(address: &Address) -> Result<Self, OpenError> {
        Ok(Self { connection: Connection::open(address)? })
    }

    fn ask<R: pulseaudio::protocol::CommandReply>(
        &mut self,
        id: SessionId,
        command: &Command,
    ) -> Result<R, ControlError> {
        self.connection.request(command).map_err(|failure| ControlError::of(id, failure))
    }
}

impl Control for Server {
    fn devices(&mut self) -> Result<Vec<Device>, ControlError> {
        Ok(listing::devices(&mut self.connection)?)
    }

    fn sessions(&mut self) -> Result<Vec<Session>, ControlError> {
        Ok(listing::sessions(&mut self.connection)?)
    }

    /// Nothing is louder than 10.0.
    fn set_volume(&mut self, id: SessionId, volume: f32) -> Result<(), ControlError> {
        let index = id.index;
        let volume = volume.clamp(0.0, VOLUME_MAX);
        let command = match id.direction {
            Direction::Plays => {
                let before: SinkInputInfo = self.ask(id, &Command::GetSinkInputInfo(index))?;
                let volume = listing::scaled(&before.cvolume, volume);
                Command::SetSinkInputVolume(SetStreamVolumeParams { index, volume })
            }
            Direction::Records => {
                let before: SourceOutputInfo = self.ask(id, &Command::GetSourceOutputInfo(index))?;
                let volume = listing::scaled(&before.cvolume, volume);
                Command::SetSourceOutputVolume(SetStreamVolumeParams { index, volume })
            }
        };
        self.connection.order(&command).map_err(|failure| ControlError::of(id, failure))
    }

    fn set_muted(&mut self, id: SessionId, mute: bool) -> Result<(), ControlError> {
        let params = SetStreamMuteParams { index: id.index, mute };
        let command = match id.direction {
            Direction::Plays => Command::SetSinkInputMute(params),
            Direction::Records => Command::SetSourceOutputMute(params),
        };
        self.connection.order(&command).map_err(|failure| ControlError::of(id, failure))
    }
}

impl ControlError {
    fn of(id: SessionId, failure: Failure) -> Self {
        if failure.is_absence() { Self::NoSession { id } } else { failure.into() }
    }
}

impl From<Failure> for ControlError {
    fn from(failure: Failure) -> Self {
        Self::Failed { reason: failure.to_string() }
    }
}

/// 60 dB above 100%, as far as that goes.
const VOLUME_MAX: f32 = 10.0;
