//! How fast a peer may publish.

use nyx_core::Instant;
use nyx_core::limit::{Meter, Quota};

use crate::config::Config;

/// What a peer may still publish, by messages and by bytes.
///
/// A read brings many messages, which are taken together and paid for afterwards: what is missing then is owed, and the peer
/// is not read from until that is paid. So it is slowed by its own connection, and loses nothing.
#[derive(Debug)]
pub(super) struct Budget {
    messages: Option<Meter>,
    bytes: Option<Meter>,
}

impl Budget {
    pub(super) fn new(config: &Config, now: Instant) -> Self {
        let meter = |quota: &Option<Quota>| quota.as_ref().map(|quota| Meter::new(quota, now));
        Self { messages: meter(&config.publish_messages), bytes: meter(&config.publish_bytes) }
    }

    /// Pays for what was published. If that is more than there was: until when the peer owes the rest.
    pub(super) fn charge(&mut self, now: Instant, messages: u32, bytes: usize) -> Option<Instant> {
        let owed = |meter: &mut Option<Meter>, n: u64| meter.as_mut().map(|meter| meter.charge_at(now, n));
        let until = owed(&mut self.messages, messages.into()).max(owed(&mut self.bytes, bytes as u64))?;
        (until > now).then_some(until)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn budget(messages: u64, bytes: u64) -> Budget {
        let (publish_messages, publish_bytes) =
            (Quota::per_second(messages).ok(), Quota::per_second(bytes).ok());
        Budget::new(&Config { publish_messages, publish_bytes, ..Config::default() }, Instant::ZERO)
    }

    #[test]
    fn the_scarcer_of_the_two_decides() {
        let second = |n| Some(Instant::ZERO + Duration::from_secs(n));
        assert_eq!(budget(100, 1_000).charge(Instant::ZERO, 100, 1_000), None);
        assert_eq!(budget(100, 1_000).charge(Instant::ZERO, 300, 1_000), second(2));
        assert_eq!(budget(100, 1_000).charge(Instant::ZERO, 300, 5_000), second(4));
    }

    #[test]
    fn without_limits_nothing_is_owed() {
        let mut unlimited = Budget::new(&Config::default(), Instant::ZERO);
        assert_eq!(unlimited.charge(Instant::ZERO, u32::MAX, usize::MAX), None);
    }
}
