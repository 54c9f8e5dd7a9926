//! What the connection carries, seen from how fast a full socket takes more.

use std::time::Duration;

use nyx_core::Instant;

/// Measures while more waits than the socket takes. A connection that takes everything at once has no rate: it is fast.
#[derive(Debug, Default)]
pub(crate) struct Drain {
    /// Since when the socket has been full, and what it has taken since.
    full_since: Option<Instant>,
    taken: u64,
    rate: Option<(Instant, u64)>,
}

/// Over how long a rate is measured: some round trips of most networks, and what a kernel buffers lasts as long.
const SAMPLE: Duration = Duration::from_millis(50);

/// How long a rate counts.
const FORGET: Duration = Duration::from_secs(2);

impl Drain {
    /// The socket took `bytes`; `is_all`: nothing more waits.
    pub(crate) const fn handle_written(&mut self, bytes: usize, is_all: bool) {
        self.taken += bytes as u64;
        if is_all {
            self.full_since = None;
        }
    }

    /// The socket is full, and more waits.
    pub(crate) fn handle_full(&mut self, now: Instant) {
        match self.full_since {
            None => (self.full_since, self.taken) = (Some(now), 0),
            Some(since) if now - since >= SAMPLE => {
                let nanos = (now - since).as_nanos().max(1);
                let rate = u128::from(self.taken) * 1_000_000_000 / nanos;
                self.rate = Some((now, u64::try_from(rate).unwrap_or(u64::MAX)));
                (self.full_since, self.taken) = (Some(now), 0);
            }
            Some(_) => {}
        }
    }

    /// Bytes per second, where the connection has been full of late.
    pub(crate) fn get(&self, now: Instant) -> Option<u64> {
        self.rate.filter(|(at, _)| now - *at < FORGET).map(|(_, rate)| rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(ms)
    }

    #[test]
    fn a_full_socket_has_the_rate_at_which_it_takes_more() {
        let mut drain = Drain::default();
        drain.handle_written(100_000, false);
        for step in 0..=10 {
            drain.handle_full(at(10 * step));
            drain.handle_written(5_000, false);
        }
        assert_eq!(drain.get(at(100)), Some(500_000));
        assert_eq!(drain.get(at(2_200)), None);
    }

    #[test]
    fn one_that_takes_everything_has_none() {
        let mut drain = Drain::default();
        for step in 0..100 {
            drain.handle_full(at(40 * step));
            drain.handle_written(1_000_000, true);
        }
        assert_eq!(drain.get(at(4_000)), None);
    }
}
