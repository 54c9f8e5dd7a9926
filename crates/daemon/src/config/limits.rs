//! Limits that make sense.

use std::time::Duration;

use anyhow::anyhow;

use super::Config;
use crate::exit::{Failure, Outcome};

impl Config {
    /// Refuses limits with which nobody could be served, and times that are longer than anybody means: sums of them have to exist.
    pub(super) fn check_limits(&self) -> Outcome {
        let limits = &self.limits;
        let sizes = [
            ("sessions", limits.sessions),
            ("message_bytes", limits.message_bytes.len()),
            ("document_bytes", limits.document_bytes.len()),
        ];
        if let Some((name, _)) = sizes.into_iter().find(|(_, size)| *size == 0) {
            return Err(Failure::usage(anyhow!("limits.{name} is 0, and nobody would be served")));
        }
        let times = [("handshake", limits.handshake.duration()), ("silence", limits.silence.duration())];
        let wrong = times.into_iter().find(|(_, time)| !(TIME_MIN..=TIME_MAX).contains(time));
        match wrong {
            Some((name, _)) => Err(Failure::usage(anyhow!("limits.{name} is a time from 1ms to 365days"))),
            None => Ok(()),
        }
    }
}

const TIME_MIN: Duration = Duration::from_millis(1);
const TIME_MAX: Duration = Duration::from_secs(365 * 24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn limits_that_would_serve_nobody_are_refused() {
        for limit in [
            "sessions = 0",
            "message_bytes = \"0\"",
            "document_bytes = \"0\"",
            "handshake = \"0s\"",
            "handshake = \"500000000000y\"",
            "silence = \"0s\"",
            "silence = \"2y\"",
        ] {
            assert!(config(&format!("[limits]\n{limit}\n")).check_limits().is_err(), "{limit}");
        }
        assert!(config("[limits]\nsilence = \"1h\"\nservices = 0\n").check_limits().is_ok());
    }
}
