//! What an operator allows to be chosen.

use std::str::FromStr;

use thiserror::Error;

use super::{Candidate, Codec};
use crate::compress::Level;

/// A limit on what is chosen. Form and window stay free.
///
/// ```
/// use nyx_protocol::choose::Pin;
///
/// assert_eq!("off".parse(), Ok(Pin::Off));
/// assert_eq!("level-3".parse::<Pin>().map(|pin| pin.to_string()), Ok("level 3".to_owned()));
/// assert!("zip".parse::<Pin>().is_err());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pin {
    /// None: what is best.
    #[default]
    Auto,
    /// No compression.
    Off,
    /// This codec. Where it is not available, no compression.
    Codec(Codec),
}

impl Pin {
    pub(super) fn allows(self, candidate: &Candidate) -> bool {
        match self {
            Self::Auto => true,
            Self::Off => candidate.codec == Codec::Raw,
            Self::Codec(codec) => candidate.codec == codec,
        }
    }
}

impl std::fmt::Display for Pin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Off => f.write_str("off"),
            Self::Codec(codec) => codec.fmt(f),
        }
    }
}

impl FromStr for Pin {
    type Err = PinError;

    fn from_str(text: &str) -> Result<Self, PinError> {
        match text {
            "auto" => Ok(Self::Auto),
            "off" | "raw" => Ok(Self::Off),
            "dictionary" => Ok(Self::Codec(Codec::Dictionary)),
            "prefix" => Ok(Self::Codec(Codec::Prefix)),
            _ => {
                let number = text.strip_prefix("level").and_then(|rest| rest.strip_prefix(['-', ' ']));
                let number = number.and_then(|number| number.parse().ok());
                let level = number.and_then(|number| Level::new(number).ok());
                level
                    .map(|level| Self::Codec(Codec::Level(level)))
                    .ok_or_else(|| PinError(text.chars().take(SHOWN_MAX).collect()))
            }
        }
    }
}

/// Characters of a wrong text that its error repeats.
const SHOWN_MAX: usize = 40;

/// A text that names no [`Pin`].
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "compression can't be `{0}`: use auto, off, dictionary, prefix, or a level such as `level-3` (-5 to 9)"
)]
pub struct PinError(String);
