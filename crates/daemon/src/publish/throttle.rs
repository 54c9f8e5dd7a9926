//! No more payload a second than the user allows.

use std::time::Duration;

use nyx_core::clock::{Clock, Monotonic};
use nyx_core::{Bitrate, ByteSize};
use nyx_stream::pacer::{NoRate, Pacer};

/// Holds payload to a rate, or lets all of it go.
pub(super) struct Throttle<C = Monotonic> {
    pacer: Option<Pacer>,
    clock: C,
}

impl Throttle {
    pub(super) fn new(rate: Option<Bitrate>) -> Result<Self, NoRate> {
        Self::with_clock(rate, Monotonic::new())
    }
}

impl<C: Clock> Throttle<C> {
    fn with_clock(rate: Option<Bitrate>, clock: C) -> Result<Self, NoRate> {
        let pacer = |rate: Bitrate| Pacer::new(rate, burst(rate));
        Ok(Self { pacer: rate.map(pacer).transpose()?, clock })
    }

    /// Whether there is a rate to hold to.
    pub(super) const fn is_on(&self) -> bool {
        self.pacer.is_some()
    }

    /// Waits until so many bytes may go, which are then taken to have gone. None: until what went before is paid for.
    pub(super) async fn let_go(&mut self, bytes: usize) {
        let Some(pacer) = &mut self.pacer else { return };
        loop {
            let now = self.clock.now();
            let Err(due) = pacer.poll(now, bytes) else { return };
            tokio::time::sleep(due - now).await;
        }
    }
}

/// What may go at once: what timers, which are late by up to a millisecond or two, must not cost.
fn burst(rate: Bitrate) -> ByteSize {
    let bits = u128::from(rate.bits_per_second()) * SLACK.as_millis() / 1000;
    ByteSize::new(u64::try_from(bits / 8).unwrap_or(u64::MAX))
}

const SLACK: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use nyx_core::Instant;

    use super::*;

    /// The virtual time of the runtime.
    struct Virtual(tokio::time::Instant);

    impl Clock for Virtual {
        fn now(&self) -> Instant {
            Instant::ZERO + self.0.elapsed()
        }
    }

    fn throttle(rate: &str) -> Throttle<Virtual> {
        let clock = Virtual(tokio::time::Instant::now());
        Throttle::with_clock(Some(rate.parse().unwrap()), clock).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn the_rate_is_kept_and_never_exceeded() {
        let mut throttle = throttle("100kB/s");
        let mut sent = 0;
        for bytes in [1, 100, 999, 20, 3_000].into_iter().cycle().take(1_000) {
            throttle.let_go(bytes).await;
            // An item over the burst is paid for afterwards.
            let allowed = throttle.clock.now().since(Instant::ZERO).as_secs_f64() * 100_000.0 + 1_000.0;
            assert!(sent as f64 <= allowed, "{sent} of {allowed}");
            sent += bytes;
        }
        let took = throttle.clock.now().since(Instant::ZERO).as_secs_f64();
        assert!((8.1..8.4).contains(&took), "{sent} bytes took {took} s");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_large_is_paid_for_before_the_next_is_chosen() {
        let mut throttle = throttle("1MB/s");
        throttle.let_go(500_000).await;
        assert_eq!(throttle.clock.now(), Instant::ZERO);
        throttle.let_go(0).await;
        let paid = throttle.clock.now().since(Instant::ZERO).as_millis();
        assert!((490..=492).contains(&paid), "{paid}");
    }

    #[tokio::test]
    async fn no_rate_holds_nothing_and_a_rate_of_zero_is_none() {
        let mut free = Throttle::new(None).unwrap();
        assert!(!free.is_on());
        free.let_go(usize::MAX).await;
        assert!(Throttle::new(Some(Bitrate::from_bits_per_second(0))).is_err());
    }
}
