//! What may be compressed.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use nyx_core::Clock;
use nyx_protocol::choose::{Codec, Pin};
use nyx_protocol::compress::dictionary;
use nyx_protocol::topic::{Name, Pattern};

/// What a hub may compress, and what that may cost.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// What is allowed where no pattern says otherwise. Default: what the measurements say is best.
    pub pin: Pin,
    /// What is allowed for topics by pattern; the first that matches counts. Default empty.
    pub topics: Vec<(Pattern, Pin)>,
    /// Whether the kill switch is on from the start, see [`Hub::set_compression`](crate::Hub::set_compression). Default false.
    pub killed: bool,
    /// The share of one core that the encoding of one topic may take. Default 0.2.
    pub cpu_share: f64,
    /// Topics that may have a dictionary. Default 64; each holds 256 KiB of samples at most, and 0.3 MiB of tables once there is a dictionary.
    pub dictionaries: usize,
    /// When dictionaries are trained, and on how much.
    pub training: dictionary::Config,
    /// How the CPU that encoding takes is measured. Default [`Stopwatch::Model`].
    pub stopwatch: Stopwatch,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            pin: Pin::Auto,
            topics: Vec::new(),
            killed: false,
            cpu_share: 0.2,
            dictionaries: 64,
            training: dictionary::Config::default(),
            stopwatch: Stopwatch::Model,
        }
    }
}

impl Config {
    /// What is allowed for this topic.
    pub fn pin_of(&self, name: &Name) -> Pin {
        let found = self.topics.iter().find(|(pattern, _)| pattern.matches(name));
        found.map_or(self.pin, |(_, pin)| *pin)
    }
}

/// How long encoding took.
///
/// The hub reads no clock: whoever drives it gives it one for this, or has times that are usual, which makes each run like the other.
#[derive(Clone, Default)]
pub enum Stopwatch {
    /// What is usual on the reference machine.
    #[default]
    Model,
    /// Read before and after.
    Clock(Arc<dyn Clock + Send + Sync>),
}

impl Stopwatch {
    /// Does `work`, which encodes `bytes` bytes by `codec`, and says what that took.
    pub(crate) fn measure<R>(&self, codec: Codec, bytes: usize, work: impl FnOnce() -> R) -> (R, Duration) {
        match self {
            Self::Model => (work(), usual(codec, bytes)),
            Self::Clock(clock) => {
                let before = clock.now();
                let result = work();
                (result, clock.now().since(before))
            }
        }
    }
}

/// About what the reference machine takes, with contexts that are warm.
fn usual(codec: Codec, bytes: usize) -> Duration {
    let bytes = bytes as u64;
    Duration::from_nanos(match codec {
        Codec::Raw => 50,
        Codec::Level(level) => 3_000 + bytes * (2 + level.get().unsigned_abs() as u64 / 2),
        Codec::Dictionary => 700 + bytes * 4,
        Codec::Prefix => 1_500 + bytes * 3,
    })
}

impl fmt::Debug for Stopwatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Model => "Model",
            Self::Clock(_) => "Clock",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_pattern_that_matches_counts() {
        let pattern = |text: &str| text.parse::<Pattern>().unwrap();
        let topics = vec![(pattern("game/*"), Pin::Off), (pattern("**"), Pin::Codec(Codec::Dictionary))];
        let config = Config { topics, ..Config::default() };
        let pin = |name: &str| config.pin_of(&name.parse().unwrap());
        assert_eq!(pin("game/world"), Pin::Off);
        assert_eq!(pin("other"), Pin::Codec(Codec::Dictionary));
        assert_eq!(Config::default().pin_of(&"a".parse().unwrap()), Pin::Auto);
    }
}
