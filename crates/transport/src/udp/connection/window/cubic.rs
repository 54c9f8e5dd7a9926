//! How a window grows beside TCP (RFC 9438, Cubic): to what it was when something was lost last, there slowly, and on from there faster and faster.

use std::time::Duration;

use nyx_core::Instant;

/// Where a window stands between two losses.
#[derive(Debug)]
pub(super) struct Cubic {
    /// The window's growth began then, less the time in which it was not used.
    since: Instant,
    /// When it was asked last.
    asked: Instant,
    /// Segments at the last loss.
    plateau: f64,
    /// Seconds from the beginning to the plateau.
    climb: f64,
    /// What a window of NewReno with the same cut would be, in segments (section 4.3).
    reno: f64,
}

/// Bytes of a segment: the rate of growth is given in these.
const SEGMENT: f64 = 1200.0;

/// The constant C of section 5.1, in segments for each cubic second.
const STEEPNESS: f64 = 0.4;

/// The growth in a round trip by which NewReno, cut to 0.7, has the same window on average as when it is cut to a half (section 4.3).
const RENO_STEP: f64 = 3.0 * (1.0 - 0.7) / (1.0 + 0.7);

impl Cubic {
    /// The window was `before` and is `after`.
    pub(super) fn new(now: Instant, before: u64, after: u64) -> Self {
        let mut cubic = Self { since: now, asked: now, plateau: 0.0, climb: 0.0, reno: 0.0 };
        cubic.handle_cut(now, before, after);
        cubic
    }

    /// The window was cut. One that had not got to where it was before leaves room for others (section 4.7).
    pub(super) fn handle_cut(&mut self, now: Instant, before: u64, after: u64) {
        let (before, after) = (before as f64 / SEGMENT, after as f64 / SEGMENT);
        self.plateau = if before < self.plateau { before * 0.85 } else { before };
        self.climb = ((self.plateau - after).max(0.0) / STEEPNESS).cbrt();
        self.reno = after;
        (self.since, self.asked) = (now, now);
    }

    /// A round trip has passed in which all of the window, `bytes`, was used. Returns the next one: at most half as much more.
    pub(super) fn grow(&mut self, now: Instant, bytes: u64, round_trip: Duration) -> u64 {
        self.asked = now;
        self.reno += if self.reno < self.plateau { RENO_STEP } else { 1.0 };
        let ahead = (now.since(self.since) + round_trip).as_secs_f64() - self.climb;
        let window = STEEPNESS * ahead.powi(3) + self.plateau;
        let next = (window.max(self.reno).max(0.0) * SEGMENT) as u64;
        next.clamp(bytes, bytes * 3 / 2)
    }

    /// A round trip has passed in which there was room. That time does not count (section 5.8).
    pub(super) fn handle_idle(&mut self, now: Instant) {
        self.since = self.since + now.since(self.asked);
        self.asked = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUND_TRIP: Duration = Duration::from_millis(100);

    fn grown(cubic: &mut Cubic, mut bytes: u64, from: u64, rounds: u64) -> u64 {
        for round in from..from + rounds {
            bytes = cubic.grow(Instant::ZERO + ROUND_TRIP * round as u32, bytes, ROUND_TRIP);
        }
        bytes
    }

    #[test]
    fn it_is_back_where_it_was_after_the_time_of_the_rfc_and_goes_on_faster() {
        // 1,000 segments: (300 / 0.4)^(1/3) = 9.1 s.
        let mut cubic = Cubic::new(Instant::ZERO, 1_200_000, 840_000);
        let half = grown(&mut cubic, 840_000, 0, 45);
        let near = grown(&mut cubic, half, 45, 45);
        let beyond = grown(&mut cubic, near, 90, 45);
        assert!((1_130_000..1_170_000).contains(&half), "{half}");
        assert!((1_195_000..1_205_000).contains(&near), "{near}");
        assert!((1_220_000..1_260_000).contains(&beyond), "{beyond}");
    }

    #[test]
    fn a_small_window_grows_as_new_reno_s_does() {
        // From 14 segments back to 20 in twelve round trips of 10 ms, and on by one in each.
        let mut cubic = Cubic::new(Instant::ZERO, 24_000, 16_800);
        let mut bytes = 16_800;
        for round in 1..=20u32 {
            let round_trip = Duration::from_millis(10);
            bytes = cubic.grow(Instant::ZERO + round_trip * round, bytes, round_trip);
        }
        assert!((32_000..36_000).contains(&bytes), "{bytes}");
    }

    #[test]
    fn time_in_which_there_was_room_does_not_count() {
        let mut cubic = Cubic::new(Instant::ZERO, 1_200_000, 840_000);
        (0..1000).for_each(|round| cubic.handle_idle(Instant::ZERO + ROUND_TRIP * round));
        let later = Instant::ZERO + ROUND_TRIP * 1000;
        assert!(cubic.grow(later, 840_000, ROUND_TRIP) < 870_000);
    }
}
