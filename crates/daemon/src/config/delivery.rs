//! `[delivery]`.

use std::str::FromStr;

use nyx_core::ByteSize;
use nyx_core::units::ParseUnitError;
use serde::Deserialize;

use super::{ByteSizeText, Text, size, time};

/// How things are delivered.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Delivery {
    pub(crate) unsent_bytes: Text<Unsent>,
    pub(crate) window_bytes: ByteSizeText,
    pub(crate) lag_bytes: ByteSizeText,
    pub(crate) patience: Text<humantime::Duration>,
    pub(crate) frame_max_age: Text<humantime::Duration>,
    pub(crate) audio_max_age: Text<humantime::Duration>,
}

/// What the kernel may hold unsent of each connection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Unsent {
    /// As much as leaves within some milliseconds.
    Auto,
    Fixed(ByteSize),
    /// As much as the kernel likes.
    Off,
}

impl FromStr for Unsent {
    type Err = ParseUnitError;

    fn from_str(text: &str) -> Result<Self, ParseUnitError> {
        match text {
            "auto" => Ok(Self::Auto),
            "off" => Ok(Self::Off),
            size => size.parse().map(Self::Fixed),
        }
    }
}

impl Default for Delivery {
    fn default() -> Self {
        let hub = nyx_hub::Config::default();
        Self {
            unsent_bytes: Text(Unsent::Auto),
            window_bytes: size(hub.window_bytes),
            lag_bytes: Text(ByteSize::new(hub.lag_bytes)),
            patience: time(hub.patience),
            frame_max_age: time(hub.frame_max_age),
            audio_max_age: time(hub.audio_max_age),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_of_unsent_bytes_has_three_forms() {
        assert_eq!("auto".parse(), Ok(Unsent::Auto));
        assert_eq!("16KiB".parse(), Ok(Unsent::Fixed(ByteSize::new(16 * 1024))));
        assert_eq!("off".parse(), Ok(Unsent::Off));
        assert!("on".parse::<Unsent>().is_err());
    }
}
