//! Devices, and the applications that play and record, in terms that hold on every system.

mod changes;

use std::fmt;
use std::time::Duration;

use thiserror::Error;

use crate::format::Format;

pub use changes::{Changes, Polled};

/// What lists devices and sessions, and sets volumes.
pub trait Control {
    /// All devices that can be captured: inputs, and the monitors of outputs.
    ///
    /// # Errors
    ///
    /// [`ControlError::Failed`].
    fn devices(&mut self) -> Result<Vec<Device>, ControlError>;

    /// All streams that applications play or record.
    ///
    /// # Errors
    ///
    /// [`ControlError::Failed`].
    fn sessions(&mut self) -> Result<Vec<Session>, ControlError>;

    /// Sets how loud a stream is, 1.0 for 100%, with the balance between its channels kept.
    ///
    /// # Errors
    ///
    /// [`ControlError::NoSession`] when it has ended, else [`ControlError::Failed`].
    fn set_volume(&mut self, id: SessionId, volume: f32) -> Result<(), ControlError>;

    /// Mutes a stream, or lets it be heard again as loud as it was.
    ///
    /// # Errors
    ///
    /// [`ControlError::NoSession`] when it has ended, else [`ControlError::Failed`].
    fn set_muted(&mut self, id: SessionId, mute: bool) -> Result<(), ControlError>;
}

/// What tells of sessions and devices as they come, change and go.
pub trait Follow {
    /// The next event. Waits for it, for `timeout` at most, a tenth of a second more or less; `None` then.
    ///
    /// # Errors
    ///
    /// [`ControlError::Failed`] when the connection is lost: start again, and list anew, since events are missing.
    fn next(&mut self, timeout: Duration) -> Result<Option<Event>, ControlError>;
}

/// Why the sound system did not do it.
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

/// Something that sound can be captured from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Device {
    /// The name to ask for it by.
    pub name: String,
    /// What people call it.
    pub description: String,
    /// What is heard on it.
    pub kind: DeviceKind,
    /// Rate and channels that it has by itself; `None` where these are beyond what can be captured.
    pub format: Option<Format>,
    /// Whether it is what is captured when no device is asked for.
    pub is_default: bool,
}

/// What is heard on a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeviceKind {
    /// A microphone or a line.
    Input,
    /// All that an output plays.
    Monitor,
}

/// One stream of an application that plays or records.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Session {
    /// What to control it by.
    pub id: SessionId,
    /// What the stream is called, often the title of what plays.
    pub name: String,
    /// What the application calls itself.
    pub application: String,
    /// The process, where the server knows it.
    pub process: Option<u32>,
    /// The program's file name, where the server knows it.
    pub program: Option<String>,
    /// Whether anything is going on.
    pub state: SessionState,
    /// 1.0 is 100%. On the scale on which mixers show it, where half of it sounds half as loud.
    pub volume: f32,
    /// Whether it is muted. It keeps its volume then.
    pub muted: bool,
}

/// A stream, for as long as its server runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId {
    /// Whether it plays or records: each has numbers of its own.
    pub direction: Direction,
    /// The server's number for it.
    pub index: u32,
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.direction {
            Direction::Plays => write!(f, "{}", self.index),
            Direction::Records => write!(f, "r{}", self.index),
        }
    }
}

/// Which way a session's sound goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// From the application to an output. Only these can be captured.
    Plays,
    /// From an input to the application.
    Records,
}

/// Whether a session does anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SessionState {
    /// It plays or records.
    Running,
    /// It is paused.
    Paused,
}

/// What has happened to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// It is new.
    Started(SessionId),
    /// Its volume, its name, its state or something else has changed.
    Changed(SessionId),
    /// It is gone.
    Ended(SessionId),
    /// A device came, went or became the default.
    Devices,
}
