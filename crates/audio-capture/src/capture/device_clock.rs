//! When a frame was captured, by the device's own clock.

use std::time::Duration;

use nyx_core::Instant;

use crate::format::Format;

/// Follows a device's clock, which is the count of its frames, by when the frames arrive.
///
/// Frames arrive some time after they were captured, sometimes more, never less than the way takes. So the quickest arrivals of the last seconds tell how
/// the device's clock stands to the machine's, and what scheduling adds does not get into the timestamps. Corrections are spread, so that
/// timestamps never run backwards.
///
/// Where even the quickest of two whole seconds came much later than before, nothing was late: frames are missing in between.
#[derive(Debug)]
pub(super) struct DeviceClock {
    format: Format,
    /// Frame 0 would have arrived here: an offset in nanoseconds to the machine's clock.
    offset: Option<i64>,
    /// The quickest arrivals of each of the last seconds of frames.
    quickest: [i64; WINDOW_S],
    second: u64,
}

/// What an arrival tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arrival {
    /// How much later than the quickest it was.
    pub(super) late: Duration,
    /// How much is missing before it, if anything is.
    pub(super) missing: Option<Duration>,
}

impl DeviceClock {
    pub(super) const fn new(format: Format) -> Self {
        Self { format, offset: None, quickest: [i64::MAX; WINDOW_S], second: 0 }
    }

    /// `frames` frames, the last of which is the one before `end`, have arrived.
    pub(super) fn arrived(&mut self, end: u64, frames: u64, now: Instant) -> Arrival {
        let delay = self.delay(end, now);
        self.note(end, delay);
        let offset = *self.offset.get_or_insert(delay);
        if let Some(missing) = self.missing(offset) {
            return Arrival { late: Duration::ZERO, missing: Some(missing) };
        }
        let target = self.quickest.iter().copied().min().unwrap_or(offset);
        let step = nanos(self.format.duration_of(frames)) / SLEW;
        self.offset = Some(offset + (target - offset).clamp(-step, step));
        Arrival { late: Duration::from_nanos(u64::try_from(delay - target).unwrap_or(0)), missing: None }
    }

    /// Begins anew where frame `at` is the next to come and is captured `now`.
    pub(super) fn restart(&mut self, at: u64, now: Instant) {
        self.quickest = [i64::MAX; WINDOW_S];
        self.second = self.second_of(at);
        self.offset = Some(self.delay(at, now));
    }

    /// When this frame arrived or will, had it been as quick as the quickest.
    pub(super) fn time_of(&self, frame: u64) -> Instant {
        let since = self.offset.unwrap_or(0).saturating_add(nanos(self.format.duration_of(frame)));
        Instant::from_nanos(u64::try_from(since).unwrap_or(0))
    }

    /// Whether anything has arrived yet.
    pub(super) const fn has_started(&self) -> bool {
        self.offset.is_some()
    }

    fn delay(&self, frame: u64, now: Instant) -> i64 {
        i64::try_from(now.as_nanos()).unwrap_or(i64::MAX) - nanos(self.format.duration_of(frame))
    }

    fn note(&mut self, end: u64, delay: i64) {
        let second = self.second_of(end);
        // However far it jumped, each place is cleared once.
        for passed in (self.second + 1..=second).take(WINDOW_S) {
            self.quickest[passed as usize % WINDOW_S] = i64::MAX;
        }
        self.second = second;
        let quickest = &mut self.quickest[second as usize % WINDOW_S];
        *quickest = delay.min(*quickest);
    }

    /// The two seconds before this one both lie behind, and this one does too.
    fn missing(&self, offset: i64) -> Option<Duration> {
        let recent = (0..=2).map(|back| self.second.checked_sub(back));
        let mut quickest = i64::MAX;
        for second in recent {
            quickest = quickest.min(self.quickest[second? as usize % WINDOW_S]);
        }
        let behind = quickest.checked_sub(offset).filter(|_| quickest != i64::MAX)?;
        (behind > nanos(MISSING_MIN)).then(|| Duration::from_nanos(behind as u64))
    }

    fn second_of(&self, frame: u64) -> u64 {
        frame / u64::from(self.format.sample_rate())
    }
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX / 4)
}

/// How far back the quickest arrival is looked for. A device whose clock is 100 ppm slow has then moved by 0.8 ms.
const WINDOW_S: usize = 8;

/// A correction is spread over at least this many times its length.
const SLEW: i64 = 4;

/// Less than this is not taken for a loss: a machine may be slow for seconds.
const MISSING_MIN: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use super::*;

    const CHUNK: u64 = 480;

    fn clock() -> DeviceClock {
        DeviceClock::new(Format::new(48_000, 2).unwrap())
    }

    fn at(micros: u64) -> Instant {
        Instant::from_nanos(micros * 1_000)
    }

    #[test]
    fn jitter_of_arrivals_stays_out_of_the_timestamps() {
        let mut clock = clock();
        let mut last = Instant::ZERO;
        for chunk in 1..=2_000 {
            let jitter = chunk * 7_919 % 9_000;
            clock.arrived(chunk * CHUNK, CHUNK, at(1_000_000 + chunk * 10_000 + jitter));
            let time = clock.time_of((chunk - 1) * CHUNK);
            assert!(time >= last);
            last = time;
            if chunk > 100 {
                let exact = at(1_000_000 + (chunk - 1) * 10_000);
                assert!(time.since(exact) < Duration::from_millis(1), "{chunk}");
            }
        }
    }

    #[test]
    fn a_device_that_runs_fast_or_slow_is_followed() {
        for ppm in [-200_i64, 200] {
            let mut clock = clock();
            for chunk in 1..=60_000_u64 {
                let real = (chunk as i64 * 10_000 + chunk as i64 * ppm / 100) as u64;
                clock.arrived(chunk * CHUNK, CHUNK, at(5_000_000 + real));
            }
            let exact = 5_000_000 + 600_000_000 + 60_000 * ppm / 100;
            let time = clock.time_of(60_000 * CHUNK).as_nanos() as i64 / 1_000;
            assert!((time - exact).abs() < 2_000, "{ppm}: {}", time - exact);
        }
    }

    #[test]
    fn a_stall_that_is_caught_up_loses_nothing() {
        let mut clock = clock();
        for chunk in 1..=1_000_u64 {
            let arrives =
                at(1_000_000 + if (300..400).contains(&chunk) { 4_000_000 } else { chunk * 10_000 });
            assert_eq!(clock.arrived(chunk * CHUNK, CHUNK, arrives).missing, None, "{chunk}");
        }
    }

    #[test]
    fn what_is_never_caught_up_is_missing() {
        let mut clock = clock();
        let mut missing = Vec::new();
        let mut skipped = 0;
        for chunk in 1..=1_000_u64 {
            let lost = if chunk > 300 { 2_000_000 } else { 0 };
            let end = (chunk * CHUNK) + skipped;
            if let Some(time) = clock.arrived(end, CHUNK, at(1_000_000 + chunk * 10_000 + lost)).missing {
                missing.push(time);
                skipped += 96_000;
                clock.restart(end + 96_000, at(1_000_000 + chunk * 10_000 + lost));
            }
        }
        assert_eq!(missing.len(), 1);
        assert!(missing[0].abs_diff(Duration::from_secs(2)) < Duration::from_millis(1), "{missing:?}");
    }

    #[test]
    fn lateness_is_what_an_arrival_was_behind_the_quickest() {
        let mut clock = clock();
        clock.arrived(CHUNK, CHUNK, at(1_000_000));
        assert_eq!(clock.arrived(2 * CHUNK, CHUNK, at(1_035_000)).late, Duration::from_millis(25));
    }
}
