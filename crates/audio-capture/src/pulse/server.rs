//! Lists and volumes.

use pulseaudio::protocol::{
    Command, SetStreamMuteParams, SetStreamVolumeParams, SinkInputInfo, SourceOutputInfo,
};
use thiserror::Error;

use super::address::Address;
use super::connection::{Connection, Failure};
use super::listing;
use crate::host::{Device, Direction, Session, SessionId};
use crate::input::OpenError;

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

    /// All devices that can be captured: inputs, and the monitors of outputs.
    ///
    /// # Errors
    ///
    /// [`ControlError::Failed`].
    pub fn devices(&mut self) -> Result<Vec<Device>, ControlError> {
        Ok(listing::devices(&mut self.connection)?)
    }

    /// All streams that applications play or record.
    ///
    /// # Errors
    ///
    /// [`ControlError::Failed`].
    pub fn sessions(&mut self) -> Result<Vec<Session>, ControlError> {
        Ok(listing::sessions(&mut self.connection)?)
    }

    /// Sets how loud a stream is, 1.0 for 100%, with the balance between its channels kept. Nothing is louder than 10.0.
    ///
    /// # Errors
    ///
    /// [`ControlError::NoSession`] when it has ended, else [`ControlError::Failed`].
    pub fn set_volume(&mut self, id: SessionId, volume: f32) -> Result<(), ControlError> {
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

    /// Mutes a stream, or lets it be heard again as loud as it was.
    ///
    /// # Errors
    ///
    /// [`ControlError::NoSession`] when it has ended, else [`ControlError::Failed`].
    pub fn set_muted(&mut self, id: SessionId, mute: bool) -> Result<(), ControlError> {
        let params = SetStreamMuteParams { index: id.index, mute };
        let command = match id.direction {
            Direction::Plays => Command::SetSinkInputMute(params),
            Direction::Records => Command::SetSourceOutputMute(params),
        };
        self.connection.order(&command).map_err(|failure| ControlError::of(id, failure))
    }

    fn ask<R: pulseaudio::protocol::CommandReply>(
        &mut self,
        id: SessionId,
        command: &Command,
    ) -> Result<R, ControlError> {
        self.connection.request(command).map_err(|failure| ControlError::of(id, failure))
    }
}

/// Why the server did not do it.
#[derive(Debug, Error)]
pub enum ControlError {
    /// The stream has ended. List the sessions again.
    #[error("there is no stream {id} any more: list the sessions again")]
    NoSession {
        /// Which it was.
        id: SessionId,
    },
    /// The connection is lost, or the server failed. Connect again.
    #[error("the sound server failed: {reason}. Connect again; if that does not help, restart it")]
    Failed {
        /// What it or the operating system said.
        reason: String,
    },
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
