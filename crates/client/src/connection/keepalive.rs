//! Whether the hub is still there.

use std::time::Duration;

use nyx_core::{Clock as _, Instant};

use super::End;
use crate::shared::Shared;

/// What is to be done about silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Fine,
    /// Send a ping.
    Ping,
    /// Give the connection up.
    Dead,
}

/// When the hub was last heard, and asked.
#[derive(Debug)]
pub(crate) struct Keepalive {
    heard: Instant,
    pinged: Instant,
    /// Whether the socket took no more when it was last asked.
    is_full: bool,
}

impl Keepalive {
    pub(crate) const fn new(now: Instant) -> Self {
        Self { heard: now, pinged: now, is_full: false }
    }

    /// Something came from the hub.
    pub(crate) const fn hear(&mut self, now: Instant) {
        self.heard = now;
    }

    /// The socket takes no more, and something waits.
    pub(crate) const fn handle_full(&mut self) {
        self.is_full = true;
    }

    /// The socket took something. If it was full the hub has made room, and is there: what it would say answers what stands behind that.
    pub(crate) fn handle_written(&mut self, now: impl FnOnce() -> Instant) {
        if std::mem::take(&mut self.is_full) {
            self.heard = now();
        }
    }

    /// What is to be done every second: asks whether the hub is there, and has it confirm what it was sent.
    pub(crate) fn handle_tick(&mut self, shared: &Shared, deaf: bool) -> Result<(), End> {
        let verdict = self.tick(shared.clock.now(), deaf);
        if verdict == Verdict::Dead {
            return Err(End::Silent);
        }
        let mut registry = shared.registry.lock();
        let messages = shared.outgoing.messages();
        // Confirmation now and then keeps small what is uncertain when the connection is lost.
        if verdict == Verdict::Ping || !registry.pings.covers(messages) {
            let ping = registry.pings.add(messages, true, None);
            match verdict {
                Verdict::Ping => shared.outgoing.put_control(ping),
                _ => shared.outgoing.put_patiently(ping),
            }
        }
        Ok(())
    }

    /// Looks at the time. While `deaf`, nothing is read, so the hub's silence means nothing; but ours must not last.
    pub(crate) fn tick(&mut self, now: Instant, deaf: bool) -> Verdict {
        let quiet_since = if deaf { self.pinged } else { self.heard.max(self.pinged) };
        if deaf {
            self.heard = now;
        }
        if now - self.heard >= DEAD_AFTER {
            return Verdict::Dead;
        }
        if now - quiet_since >= PING_AFTER {
            self.pinged = now;
            return Verdict::Ping;
        }
        Verdict::Fine
    }
}

/// Silence after which the hub is asked; the hub does the same.
const PING_AFTER: Duration = Duration::from_secs(10);

/// Silence after which the connection counts as dead: two pings went unanswered.
const DEAD_AFTER: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn silence_is_asked_about_and_then_believed() {
        let mut keepalive = Keepalive::new(at(0));
        let verdicts: Vec<_> = [9, 10, 19, 20, 30].map(|s| keepalive.tick(at(s), false)).into();
        assert_eq!(verdicts, [Verdict::Fine, Verdict::Ping, Verdict::Fine, Verdict::Ping, Verdict::Dead]);
    }

    #[test]
    fn an_answer_starts_over() {
        let mut keepalive = Keepalive::new(at(0));
        assert_eq!(keepalive.tick(at(10), false), Verdict::Ping);
        keepalive.hear(at(11));
        assert_eq!(keepalive.tick(at(20), false), Verdict::Fine);
        assert_eq!(keepalive.tick(at(21), false), Verdict::Ping);
    }

    #[test]
    fn a_hub_that_goes_on_reading_what_waits_is_there() {
        let mut keepalive = Keepalive::new(at(0));
        for ten in 1..=12 {
            keepalive.handle_full();
            assert_ne!(keepalive.tick(at(10 * ten), false), Verdict::Dead);
            keepalive.handle_written(|| at(10 * ten + 5));
        }
        // What a socket takes that was not full has reached nobody yet.
        keepalive.handle_written(|| at(150));
        assert_eq!(keepalive.tick(at(155), false), Verdict::Dead);
    }

    #[test]
    fn who_does_not_listen_can_not_complain_but_speaks() {
        let mut keepalive = Keepalive::new(at(0));
        for ten in 1..=6 {
            assert_eq!(keepalive.tick(at(10 * ten), true), Verdict::Ping);
        }
        assert_eq!(keepalive.tick(at(69), false), Verdict::Fine);
    }
}
