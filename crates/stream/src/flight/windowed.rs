//! An extreme value of late.

use std::time::Duration;

use nyx_core::Instant;

/// The extreme value of the present and the last window.
#[derive(Debug)]
pub(super) struct Windowed {
    length: Duration,
    began: Instant,
    present: Option<u64>,
    last: Option<u64>,
    better: fn(u64, u64) -> u64,
}

impl Windowed {
    pub(super) const fn new(length: Duration) -> Self {
        Self { length, began: Instant::ZERO, present: None, last: None, better: u64::max }
    }

    pub(super) fn offer_max(&mut self, now: Instant, value: u64) {
        self.offer(now, value, u64::max);
    }

    pub(super) fn offer_min(&mut self, now: Instant, value: u64) {
        self.offer(now, value, u64::min);
    }

    fn offer(&mut self, now: Instant, value: u64, better: fn(u64, u64) -> u64) {
        self.better = better;
        let elapsed = now.since(self.began);
        if elapsed >= self.length {
            // After a pause it is not of the last window either.
            self.last = self.present.take().filter(|_| elapsed < 2 * self.length);
            self.began = now;
        }
        self.present = Some(self.present.map_or(value, |present| better(present, value)));
    }

    pub(super) fn get(&self) -> Option<u64> {
        match (self.present, self.last) {
            (Some(present), Some(last)) => Some((self.better)(present, last)),
            (present, last) => present.or(last),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(millis)
    }

    #[test]
    fn a_value_counts_for_this_window_and_the_next() {
        let mut best = Windowed::new(Duration::from_millis(500));
        best.offer_max(ms(1_000), 9);
        best.offer_max(ms(1_200), 4);
        best.offer_max(ms(1_500), 3);
        assert_eq!(best.get(), Some(9));
        best.offer_max(ms(2_000), 2);
        assert_eq!(best.get(), Some(3));
    }

    #[test]
    fn what_was_before_a_pause_ends_with_the_first_value_after_it() {
        let mut best = Windowed::new(Duration::from_millis(500));
        best.offer_max(ms(1_000), 9);
        assert_eq!(best.get(), Some(9), "it is all that is known");
        best.offer_max(ms(61_000), 2);
        assert_eq!(best.get(), Some(2));
        let mut least = Windowed::new(Duration::from_millis(500));
        least.offer_min(ms(1_000), 1);
        least.offer_min(ms(2_000), 5);
        assert_eq!(least.get(), Some(5));
    }
}
