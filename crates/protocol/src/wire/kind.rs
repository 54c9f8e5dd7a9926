//! What messages carry, and how it is encoded.

use nyx_core::Lane;
use thiserror::Error;

/// What a data message carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Kind {
    /// A document that changes.
    State = 1,
    /// An image.
    Frame = 2,
    /// A chunk of sound.
    Audio = 3,
    /// A message that must not be lost.
    Event = 4,
}

impl Kind {
    /// All kinds, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::State, Self::Frame, Self::Audio, Self::Event];

    pub(super) const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::State),
            2 => Some(Self::Frame),
            3 => Some(Self::Audio),
            4 => Some(Self::Event),
            _ => None,
        }
    }

    /// The lane that topics of this kind take unless they say otherwise: what is small and ages first, what is large last.
    #[inline]
    pub const fn lane(self) -> Lane {
        match self {
            Self::State | Self::Audio => Lane::High,
            Self::Event => Lane::Medium,
            Self::Frame => Lane::Low,
        }
    }

    /// The kind's name in the command line, in HTTP and in the console.
    #[inline]
    pub const fn name(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Frame => "frame",
            Self::Audio => "audio",
            Self::Event => "event",
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

impl std::str::FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(name: &str) -> Result<Self, UnknownKind> {
        Self::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| UnknownKind(name.to_owned()))
    }
}

/// A text that names no [`Kind`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{0}` is no kind: use state, frame, audio or event")]
pub struct UnknownKind(String);

/// Values of the codec byte, by kind. `docs/WIRE.md` says what each means.
pub mod codec {
    /// State, publisher to hub.
    pub const STATE_PATCH: u8 = 1;
    /// State, hub to subscriber.
    pub const STATE_DELTA: u8 = 2;
    /// A frame whose encoding only the topic's content type tells.
    pub const FRAME_OTHER: u8 = 0;
    /// A JPEG frame.
    pub const FRAME_JPEG: u8 = 1;
    /// A PNG frame.
    pub const FRAME_PNG: u8 = 2;
    /// A WebP frame.
    pub const FRAME_WEBP: u8 = 3;
    /// Interleaved signed 16-bit little-endian samples.
    pub const AUDIO_S16LE: u8 = 1;
    /// Interleaved 32-bit float little-endian samples.
    pub const AUDIO_F32LE: u8 = 2;
    /// One packet of Opus.
    pub const AUDIO_OPUS: u8 = 3;
    /// An event of arbitrary bytes.
    pub const EVENT_BYTES: u8 = 0;
    /// An event of UTF-8 text.
    pub const EVENT_TEXT: u8 = 1;
    /// An event of JSON text.
    pub const EVENT_JSON: u8 = 2;
}
