//! How fast a queue is drained.

use std::time::Duration;

use nyx_core::Instant;

/// Measures the consumer, from what it takes and when it comes back for more.
///
/// While it is away it is busy with what it took; while it waits for something to come it is not, and that time does not
/// count. Bytes and time are averaged apart, so that items of mixed sizes don't bend the rate.
#[derive(Debug, Default)]
pub(super) struct Drain {
    bytes: f64,
    nanos: f64,
    /// What the consumer is busy with, and since when.
    busy: Option<(f64, Instant)>,
}

/// The weight of the newest sample: about ten items are remembered, a third of a second of video.
const WEIGHT: f64 = 1.0 / 8.0;

impl Drain {
    /// The consumer has come for more.
    pub(super) fn handle_return(&mut self, now: Instant) {
        if let Some((bytes, since)) = self.busy.take() {
            (self.bytes, self.nanos) = self.with(bytes, nanos(now - since));
        }
    }

    /// The consumer has got this.
    pub(super) fn handle_taken(&mut self, now: Instant, bytes: usize) {
        self.busy = Some((bytes.max(1) as f64, now));
    }

    /// Until the consumer will come for what has `ahead` bytes in front of it; zero where nothing is known.
    ///
    /// A consumer that is away longer than ever before has become slower by as much, as far as is known.
    pub(super) fn time_until(&self, now: Instant, ahead: usize) -> Duration {
        let (mut bytes, mut nanos_) = (self.bytes, self.nanos);
        let mut rest = 0.0;
        if let Some((taken, since)) = self.busy {
            let away = nanos(now - since);
            if bytes == 0.0 || away > taken * nanos_ / bytes {
                (bytes, nanos_) = self.with(taken, away);
            }
            rest = (taken * nanos_ / bytes - away).max(0.0);
        }
        if bytes == 0.0 {
            return Duration::ZERO;
        }
        // A conversion of floats saturates.
        Duration::from_nanos((rest + ahead as f64 * nanos_ / bytes) as u64)
    }

    /// The averages with one more sample.
    fn with(&self, bytes: f64, nanos: f64) -> (f64, f64) {
        if self.bytes == 0.0 {
            return (bytes, nanos);
        }
        (self.bytes + (bytes - self.bytes) * WEIGHT, self.nanos + (nanos - self.nanos) * WEIGHT)
    }

    /// Bytes a second, once something was taken.
    pub(super) fn bytes_per_second(&self) -> Option<u64> {
        (self.bytes > 0.0).then_some((self.bytes * 1e9 / self.nanos.max(1.0)) as u64)
    }
}

const fn nanos(duration: Duration) -> f64 {
    duration.as_nanos() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(millis)
    }

    /// Takes 1000 bytes every 10 ms.
    fn steady() -> Drain {
        let mut drain = Drain::default();
        for i in 0..50 {
            drain.handle_return(ms(i * 10));
            drain.handle_taken(ms(i * 10), 1000);
        }
        drain
    }

    #[test]
    fn the_rate_is_that_of_a_busy_consumer() {
        let mut drain = steady();
        assert_eq!(drain.bytes_per_second(), Some(100_000));
        // It comes back to nothing, and waits for a second: that is not slowness.
        drain.handle_return(ms(500));
        drain.handle_return(ms(1_500));
        drain.handle_taken(ms(1_500), 1000);
        drain.handle_return(ms(1_510));
        assert_eq!(drain.bytes_per_second(), Some(100_000));
    }

    #[test]
    fn what_is_ahead_takes_its_time_after_what_is_under_way() {
        let drain = steady();
        assert_eq!(drain.time_until(ms(490), 0), Duration::from_millis(10));
        assert_eq!(drain.time_until(ms(496), 2_000), Duration::from_millis(24));
    }

    #[test]
    fn a_stall_is_seen_before_it_ends() {
        let drain = steady();
        let soon = drain.time_until(ms(500), 1_000);
        let late = drain.time_until(ms(900), 1_000);
        assert!(late > soon * 4, "{soon:?} {late:?}");
        // But what has nothing ahead of it may leave at any moment.
        assert_eq!(drain.time_until(ms(900), 0), Duration::ZERO);
    }

    #[test]
    fn nothing_known_is_nothing_foretold() {
        assert_eq!(Drain::default().time_until(ms(5), usize::MAX), Duration::ZERO);
        assert_eq!(Drain::default().bytes_per_second(), None);
    }

    #[test]
    fn time_that_stands_or_runs_backwards_is_no_trouble() {
        let mut drain = Drain::default();
        for now in [5, 5, 3, 0, 7] {
            drain.handle_return(ms(now));
            drain.handle_taken(ms(now), usize::MAX);
            let _ = drain.time_until(ms(0), usize::MAX);
            let _ = drain.bytes_per_second();
        }
    }
}
