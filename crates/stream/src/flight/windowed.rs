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
        if now.since(self.began) >= self.length {
            self.last = self.present.take();
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
