//! How many frames may be on their way to the hub.

use std::time::Duration;

/// A window that widens while confirmations come as fast as ever, and narrows when they are held up: then more on the way
/// brings nothing but age. The idea is that of TCP Vegas (Brakmo and Peterson, 1995).
#[derive(Debug)]
pub(super) struct Window {
    size: usize,
    fastest: Duration,
}

impl Window {
    /// One frame.
    pub(super) const fn new() -> Self {
        Self { size: 1, fastest: Duration::MAX }
    }

    /// Frames that may be unconfirmed.
    pub(super) const fn size(&self) -> usize {
        self.size
    }

    /// A frame was confirmed `took` after it was sent.
    pub(super) fn confirm(&mut self, took: Duration) {
        self.fastest = self.fastest.min(took);
        let held_up = took > self.fastest.mul_f64(1.5).max(self.fastest + JITTER);
        self.size = if held_up { self.size.saturating_sub(1) } else { self.size + 1 }.clamp(1, SIZE_MAX);
    }
}

/// Delays that mean nothing.
const JITTER: Duration = Duration::from_millis(20);

/// Enough for 30 fps over a round trip of half a second.
const SIZE_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn after(confirmations: impl IntoIterator<Item = u64>) -> usize {
        let mut window = Window::new();
        confirmations.into_iter().for_each(|millis| window.confirm(Duration::from_millis(millis)));
        window.size()
    }

    #[test]
    fn a_long_way_widens_it() {
        assert_eq!(after([100, 105, 99, 140, 110]), 6);
        assert_eq!(after([100; 100]), SIZE_MAX);
    }

    #[test]
    fn a_slow_link_keeps_it_narrow() {
        assert_eq!(after([300, 300, 600, 900, 800]), 1);
        assert_eq!(after([300, 600, 300, 600]), 1);
    }

    #[test]
    fn jitter_of_a_short_way_does_not_count() {
        assert_eq!(after([1, 15, 1, 20]), 5);
    }
}
