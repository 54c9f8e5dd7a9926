//! What can be chosen.

use std::time::Duration;

use super::estimate::Prior;
use crate::compress::Level;

/// What of an item is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// All of it.
    Full,
    /// What has changed since something that the receiver has.
    Delta,
}

/// How what is sent is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// As it is.
    Raw,
    /// zstd at this level.
    Level(Level),
    /// zstd with the topic's dictionary.
    Dictionary,
    /// zstd with an earlier version as prefix.
    Prefix,
}

/// One way to send items.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Candidate {
    /// What is sent.
    pub form: Form,
    /// How it is encoded.
    pub codec: Codec,
    /// How long items are gathered before they are sent together; zero: not at all.
    pub window: Duration,
}

impl Candidate {
    /// Items as they are, at once: what is always possible, and the first candidate of every chooser.
    pub const PLAIN: Self = Self { form: Form::Full, codec: Codec::Raw, window: Duration::ZERO };

    /// What is usual, in time and bytes, for lack of a measurement: JSON on the reference machine. Only where to begin.
    pub(super) fn prior(&self) -> Prior {
        let (ratio, nanos, nanos_per_byte) = match self.codec {
            Codec::Raw => (1.0, 50.0, 0.02),
            Codec::Level(level) => (0.35, 3_000.0, 2.0 + 1.5 * f64::from(level.get().max(1))),
            Codec::Dictionary => (0.25, 700.0, 4.0),
            Codec::Prefix => (0.10, 1_500.0, 3.0),
        };
        let gathered = if self.window.is_zero() { 1.0 } else { 0.8 };
        Prior { ratio: ratio * gathered, nanos, nanos_per_byte }
    }
}

impl std::fmt::Display for Codec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Raw => f.write_str("raw"),
            Self::Level(level) => write!(f, "level {level}"),
            Self::Dictionary => f.write_str("dictionary"),
            Self::Prefix => f.write_str("prefix"),
        }
    }
}

impl std::fmt::Display for Candidate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let form = match self.form {
            Form::Full => "full",
            Form::Delta => "delta",
        };
        write!(f, "{form} {}", self.codec)?;
        if self.window.is_zero() { Ok(()) } else { write!(f, " in batches of {:?}", self.window) }
    }
}
