//! What may be compressed.

use anyhow::bail;
use nyx_hub::compression;
use nyx_protocol::choose::Pin;
use nyx_protocol::topic::Pattern;
use serde::Deserialize;

use super::{Text, parsed};

/// What the hub may compress for its subscribers.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Compression {
    /// The kill switch, as it is at the start.
    allowed: bool,
    default: Text<Pin>,
    cpu_share: Text<Share>,
    topics: Vec<Topic>,
}

/// What holds for topics of a pattern.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Topic {
    #[serde(deserialize_with = "parsed")]
    pattern: Pattern,
    #[serde(deserialize_with = "parsed")]
    compression: Pin,
}

/// A part of the whole, in percent.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Share(f64);

impl std::str::FromStr for Share {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let percent: Option<f64> = text.strip_suffix('%').and_then(|number| number.trim().parse().ok());
        match percent.filter(|percent| (0.0..=100.0).contains(percent)) {
            Some(percent) => Ok(Self(percent / 100.0)),
            None => bail!("a share is a number of percent from 0% to 100%, such as 20%"),
        }
    }
}

impl Default for Compression {
    fn default() -> Self {
        let hub = compression::Config::default();
        Self {
            allowed: !hub.killed,
            default: Text(hub.pin),
            cpu_share: Text(Share(hub.cpu_share)),
            topics: Vec::new(),
        }
    }
}

impl Compression {
    /// The hub's part.
    pub(crate) fn hub(&self) -> compression::Config {
        let mut hub = compression::Config::default();
        hub.killed = !self.allowed;
        hub.pin = self.default.0;
        hub.cpu_share = self.cpu_share.0.0;
        hub.topics = self.topics.iter().map(|topic| (topic.pattern.clone(), topic.compression)).collect();
        hub
    }
}

#[cfg(test)]
mod tests {
    use nyx_protocol::choose::Codec;
    use nyx_protocol::compress::Level;

    use super::*;

    #[test]
    fn pins_hold_by_pattern() {
        let text = r#"
            default = "off"
            cpu_share = "5%"
            topics = [{ pattern = "game/**", compression = "level-1" }]
        "#;
        let hub = toml::from_str::<Compression>(text).unwrap().hub();
        assert_eq!(hub.pin_of(&"game/world".parse().unwrap()), Pin::Codec(Codec::Level(Level::FAST)));
        assert_eq!(hub.pin_of(&"other".parse().unwrap()), Pin::Off);
        assert_eq!((hub.cpu_share, hub.killed), (0.05, false));
    }

    #[test]
    fn what_can_not_be_is_refused() {
        for text in
            ["default = \"zip\"", "cpu_share = \"120%\"", "cpu_share = 0.2", "topics = [{ pattern = \"a\" }]"]
        {
            assert!(toml::from_str::<Compression>(text).is_err(), "{text}");
        }
    }
}
