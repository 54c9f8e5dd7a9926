//! Devices, and the applications that play and record, in terms that hold on every system.

use std::fmt;

use crate::format::Format;

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
