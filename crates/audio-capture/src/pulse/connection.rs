//! A conversation with the server, on a blocking socket.

use std::ffi::CString;
use std::io::{self, Cursor, ErrorKind, Read as _, Write as _};

use pulseaudio::protocol::{
    self, AuthParams, AuthReply, Command, CommandReply, CommandTag, Prop, Props, ProtocolError, PulseError,
    SetClientNameReply, SubscriptionEvent, TagStructReader,
};
use thiserror::Error;

use super::address::{self, Address, Socket};
use super::inbox::{Inbox, Malformed, Packet};
use crate::input::OpenError;

/// A connection that the server has let in.
#[derive(Debug)]
pub(super) struct Connection {
    socket: Socket,
    pub(super) inbox: Inbox,
    version: u16,
    sequence: u32,
}

/// What the server says without being asked, as far as it means something to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A stream of ours has lost its source.
    Killed {
        channel: u32,
    },
    /// A stream of ours is now fed by another source.
    Moved,
    Subscribed(SubscriptionEvent),
}

/// Why a conversation failed.
#[derive(Debug, Error)]
pub(super) enum Failure {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("the server closed the connection")]
    Closed,
    #[error("the server did not answer for {ANSWER_S} s")]
    Silent,
    #[error("{0}")]
    Malformed(#[from] Malformed),
    #[error("{0}")]
    Protocol(#[from] ProtocolError),
    #[error("the server says: {0}")]
    Refused(PulseError),
}

impl Failure {
    /// Whether the server says that there is no such thing.
    pub(super) const fn is_absence(&self) -> bool {
        matches!(self, Self::Refused(PulseError::NoEntity))
    }

    pub(super) fn while_doing(self, doing: &'static str) -> OpenError {
        match self {
            Self::Refused(PulseError::AccessDenied | PulseError::AuthKey) => {
                OpenError::Refused { reason: self.to_string() }
            }
            failure => OpenError::Failed { doing, reason: failure.to_string() },
        }
    }
}

impl Connection {
    /// Connects, and says who we are.
    pub(super) fn open(address: &Address) -> Result<Self, OpenError> {
        let socket =
            address.connect().map_err(|error| OpenError::NoServer { address: address.to_string(), error })?;
        let mut connection =
            Self { socket, inbox: Inbox::new(), version: protocol::MAX_VERSION, sequence: 0 };
        connection
            .introduce()
            .map_err(|failure| failure.while_doing("the server was let know who we are"))?;
        Ok(connection)
    }

    fn introduce(&mut self) -> Result<(), Failure> {
        let auth = AuthParams {
            version: protocol::MAX_VERSION,
            supports_shm: false,
            supports_memfd: false,
            cookie: address::cookie(),
        };
        let reply: AuthReply = self.request(&Command::Auth(auth))?;
        self.version = reply.version.min(protocol::MAX_VERSION);
        let mut props = Props::new();
        props.set(Prop::ApplicationName, c"Nyx");
        props.set(Prop::ApplicationProcessId, number(std::process::id()));
        let _: SetClientNameReply = self.request(&Command::SetClientName(props))?;
        Ok(())
    }

    /// Asks, and waits for the answer. Events and samples that come before it are left out.
    pub(super) fn request<R: CommandReply>(&mut self, command: &Command) -> Result<R, Failure> {
        self.request_aside(command, |_| {})
    }

    /// Asks, and hands what comes before the answer to `aside`.
    pub(super) fn request_aside<R: CommandReply>(
        &mut self,
        command: &Command,
        aside: impl FnMut(Packet<'_>),
    ) -> Result<R, Failure> {
        let body = self.exchange(command, aside)?;
        Ok(TagStructReader::new(&mut Cursor::new(body), self.version).read()?)
    }

    /// Asks for something that is answered by a yes.
    pub(super) fn order(&mut self, command: &Command) -> Result<(), Failure> {
        self.exchange(command, |_| {}).map(drop)
    }

    fn exchange(&mut self, command: &Command, mut aside: impl FnMut(Packet<'_>)) -> Result<Vec<u8>, Failure> {
        let asked = self.send(command)?;
        let mut silent = 0;
        loop {
            while let Some(packet) = self.inbox.next_packet()? {
                match packet {
                    Packet::Message { command: REPLY, sequence, body } if sequence == asked => {
                        return Ok(body.to_vec());
                    }
                    Packet::Message { command: ERROR, sequence, body } if sequence == asked => {
                        return Err(Failure::Refused(reason(body)));
                    }
                    packet => aside(packet),
                }
            }
            silent = if self.fill()? { 0 } else { silent + 1 };
            if silent > ANSWER_S * 10 {
                return Err(Failure::Silent);
            }
        }
    }

    /// Sends a request, and says by which number it will be answered.
    pub(super) fn send(&mut self, command: &Command) -> Result<u32, Failure> {
        let sequence = self.sequence;
        self.sequence = self.sequence.wrapping_add(1);
        let mut message = Vec::new();
        protocol::encode_command_message(&mut message, sequence, command, self.version)?;
        self.socket.write_all(&message)?;
        Ok(sequence)
    }

    /// Waits for bytes, at most as long as the socket's timeout, and says whether there were some.
    pub(super) fn fill(&mut self) -> Result<bool, Failure> {
        match self.socket.read(self.inbox.room()) {
            Ok(0) => Err(Failure::Closed),
            Ok(bytes) => {
                self.inbox.filled(bytes);
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(true),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) const fn version(&self) -> u16 {
        self.version
    }
}

impl Event {
    /// What a message says, if it is an event that means something to us.
    pub(super) fn parse(packet: Packet<'_>, version: u16) -> Option<Self> {
        let Packet::Message { command, body, .. } = packet else { return None };
        let mut cursor = Cursor::new(body);
        let mut body = TagStructReader::new(&mut cursor, version);
        match command {
            RECORD_STREAM_KILLED => Some(Self::Killed { channel: body.read_u32().ok()? }),
            RECORD_STREAM_MOVED => Some(Self::Moved),
            SUBSCRIBE_EVENT => body.read().ok().map(Self::Subscribed),
            _ => None,
        }
    }
}

fn reason(body: &[u8]) -> PulseError {
    let mut cursor = Cursor::new(body);
    let mut body = TagStructReader::new(&mut cursor, protocol::MAX_VERSION);
    body.read_enum().unwrap_or(PulseError::Unknown)
}

/// A number as a property.
pub(super) fn number(number: u32) -> CString {
    // Digits hold no zero byte.
    CString::new(number.to_string()).unwrap_or_default()
}

const REPLY: u32 = CommandTag::Reply as u32;
const ERROR: u32 = CommandTag::Error as u32;
const RECORD_STREAM_KILLED: u32 = CommandTag::RecordStreamKilled as u32;
const RECORD_STREAM_MOVED: u32 = CommandTag::RecordStreamMoved as u32;
const SUBSCRIBE_EVENT: u32 = CommandTag::SubscribeEvent as u32;

/// How long an answer may take: the socket's timeout is a tenth of a second.
const ANSWER_S: u32 = 5;
