//! When an item of a recording is due.

use std::str::FromStr;
use std::time::Duration;

use anyhow::anyhow;
use nyx_core::Instant;

/// Keeps the pace of a recording.
///
/// Each time is counted from the beginning, so timers that are late by a little don't add up. After a stall, of the connection
/// or of the whole process, it goes on from there: to make up for it would be a burst that nobody recorded.
#[derive(Debug)]
pub(super) struct Schedule {
    speed: Speed,
    /// The first item of this pass, and when it was due.
    origin: Option<(Duration, Instant)>,
    /// When the next pass begins.
    next_pass: Option<Instant>,
    /// All stalls.
    delay: Duration,
}

/// How fast.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Speed {
    /// So many times the recorded pace.
    Times(f64),
    /// Without waiting.
    Max,
}

impl Schedule {
    pub(super) const fn new(speed: Speed) -> Self {
        Self { speed, origin: None, next_pass: None, delay: Duration::ZERO }
    }

    /// When the item that was recorded at `at` is due. The first is due at once; none is earlier than the one before.
    pub(super) fn due(&mut self, at: Duration, now: Instant) -> Instant {
        let Speed::Times(times) = self.speed else { return now };
        let first = self.next_pass.unwrap_or(now);
        let (origin, start) = *self.origin.get_or_insert((at, first));
        let due = start + scaled(at.saturating_sub(origin), times);
        let late = now - due;
        if late <= STALL {
            return due;
        }
        self.origin = Some((origin, start + late));
        self.delay += late;
        now
    }

    /// The recording, which ends at `end`, begins again.
    pub(super) fn begin_again(&mut self, end: Duration) {
        let Speed::Times(times) = self.speed else { return };
        if let Some((origin, start)) = self.origin.take() {
            self.next_pass = Some(start + scaled(end.saturating_sub(origin), times));
        }
    }

    /// How much later than recorded the last item was, by stalls.
    pub(super) const fn delay(&self) -> Duration {
        self.delay
    }
}

fn scaled(time: Duration, times: f64) -> Duration {
    Duration::try_from_secs_f64(time.as_secs_f64() / times).unwrap_or(Duration::MAX)
}

impl FromStr for Speed {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self, anyhow::Error> {
        if text == "max" {
            return Ok(Self::Max);
        }
        let times = text.strip_suffix('x').unwrap_or(text).parse::<f64>().ok();
        times.filter(|times| SENSIBLE.contains(times)).map(Self::Times).ok_or_else(|| {
            anyhow!(
                "`{text}` is no speed: write how many times the recorded pace, from 0.001 to 1000, or max"
            )
        })
    }
}

/// What is later than this is a stall and stays late; less is caught up.
const STALL: Duration = Duration::from_secs(1);

const SENSIBLE: std::ops::RangeInclusive<f64> = 1e-3..=1e3;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_nanos(millis * 1_000_000)
    }

    fn recorded(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn the_first_item_is_due_at_once_and_the_others_do_not_drift() {
        let mut schedule = Schedule::new(Speed::Times(1.0));
        for n in 0..1000 {
            // Each timer is 3 ms late.
            let due = schedule.due(recorded(700 + 10 * n), at(5000 + 10 * n + 3 * u64::from(n > 0)));
            assert_eq!(due, at(5000 + 10 * n));
        }
        assert_eq!(schedule.delay(), Duration::ZERO);
    }

    #[test]
    fn speed_scales_the_time_between() {
        let mut schedule = Schedule::new(Speed::Times(4.0));
        schedule.due(recorded(1000), at(0));
        assert_eq!(schedule.due(recorded(3000), at(0)), at(500));
        let mut schedule = Schedule::new(Speed::Max);
        schedule.due(recorded(1000), at(0));
        assert_eq!(schedule.due(recorded(3000), at(7)), at(7));
    }

    #[test]
    fn a_stall_is_not_made_up_for() {
        let mut schedule = Schedule::new(Speed::Times(1.0));
        schedule.due(recorded(0), at(0));
        assert_eq!(schedule.due(recorded(100), at(900)), at(100));
        assert_eq!(schedule.due(recorded(200), at(5200)), at(5200));
        assert_eq!(schedule.due(recorded(300), at(5201)), at(5300));
        assert_eq!(schedule.delay(), Duration::from_secs(5));
    }

    #[test]
    fn the_next_pass_begins_where_the_recording_ends() {
        let mut schedule = Schedule::new(Speed::Times(1.0));
        for pass in 0..3 {
            let start = 10_000 + pass * 2000;
            let now = if pass == 0 { at(start) } else { at(start - 900) };
            assert_eq!(schedule.due(recorded(1000), now), at(start));
            assert_eq!(schedule.due(recorded(1500), at(start)), at(start + 500));
            schedule.begin_again(recorded(3000));
        }
    }

    #[test]
    fn times_at_the_end_of_time_do_no_harm() {
        let mut schedule = Schedule::new(Speed::Times(1e-3));
        schedule.due(Duration::ZERO, at(0));
        assert!(schedule.due(Duration::from_micros(u64::MAX), at(0)) > at(1 << 40));
        assert_eq!(schedule.due(Duration::ZERO, at(5)), at(0));
    }

    #[test]
    fn speeds_are_read() {
        assert_eq!("1.0".parse::<Speed>().unwrap(), Speed::Times(1.0));
        assert_eq!("2x".parse::<Speed>().unwrap(), Speed::Times(2.0));
        assert_eq!("max".parse::<Speed>().unwrap(), Speed::Max);
        for text in ["", "0", "-1", "inf", "NaN", "fast", "1e9"] {
            assert!(text.parse::<Speed>().is_err(), "{text}");
        }
    }
}
