//! How much silence stands for what is missing.

use std::time::Duration;

use nyx_audio_capture::Format;

/// Follows the chunks of one audio topic.
///
/// What is missing is known in two ways. The hub counts the chunks of a [gap](Self::miss), which is exact as long as all chunks
/// are of one length. And capture timestamps tell how much time passed, which also holds when the publisher
/// left something out or the hub was restarted, but is only as exact as the publisher's clock. So the count is taken
/// where the timestamps do not contradict it by more than a chunk, and otherwise the timestamps.
#[derive(Debug)]
pub(crate) struct Timeline {
    format: Format,
    /// Chunks that the hub said are missing since the last one.
    missing: u64,
    last: Option<Last>,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    frames: u64,
    unix_micros: Option<u64>,
}

impl Timeline {
    pub(crate) const fn new(format: Format) -> Self {
        Self { format, missing: 0, last: None }
    }

    /// The hub said that so many chunks are missing here.
    pub(crate) fn miss(&mut self, chunks: u64) {
        self.missing = self.missing.saturating_add(chunks);
    }

    /// A chunk of so many frames comes. Returns the frames of silence that stand before it; at most [`SILENCE_MAX`].
    pub(crate) fn next(&mut self, frames: u64, unix_micros: Option<u64>) -> u64 {
        let missing = std::mem::take(&mut self.missing);
        let last = self.last.replace(Last { frames, unix_micros });
        // What came before the first chunk is before the beginning.
        let Some(last) = last else { return 0 };
        let counted = missing.saturating_mul(last.frames);
        let passed = self.passed(last, unix_micros);
        let silence = match passed {
            Some(passed) if missing == 0 => {
                if passed >= self.frames_in(JUMP) {
                    passed
                } else {
                    0
                }
            }
            Some(passed) if passed.abs_diff(counted) > last.frames => passed,
            _ => counted,
        };
        silence.min(self.frames_in(SILENCE_MAX))
    }

    /// Frames between the end of the last chunk and the start of this one, by their timestamps.
    fn passed(&self, last: Last, unix_micros: Option<u64>) -> Option<u64> {
        let micros = unix_micros?.saturating_sub(last.unix_micros?);
        let frames = (u128::from(micros) * u128::from(self.format.sample_rate()) + 500_000) / 1_000_000;
        Some(u64::try_from(frames).unwrap_or(u64::MAX).saturating_sub(last.frames))
    }

    fn frames_in(&self, time: Duration) -> u64 {
        self.format.frames_in(time)
    }
}

/// Where no gap was told, chunks that begin this much later than the last one ended left something out. Less is jitter.
const JUMP: Duration = Duration::from_millis(200);

/// A clock that was set must not fill the disk.
const SILENCE_MAX: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames of a chunk of 20 ms at 8 kHz.
    const CHUNK: u64 = 160;

    fn timeline() -> Timeline {
        Timeline::new(Format::new(8_000, 1).unwrap())
    }

    #[test]
    fn a_gap_is_as_long_as_its_chunks_were() {
        let mut timeline = timeline();
        timeline.miss(7);
        assert_eq!(timeline.next(CHUNK, None), 0);
        timeline.miss(2);
        timeline.miss(1);
        assert_eq!(timeline.next(CHUNK, None), 3 * CHUNK);
        assert_eq!(timeline.next(CHUNK, None), 0);
    }

    #[test]
    fn jitter_of_timestamps_does_not_make_a_gap_inexact() {
        let mut timeline = timeline();
        timeline.next(CHUNK, Some(1_000_000));
        timeline.miss(5);
        assert_eq!(timeline.next(CHUNK, Some(1_120_000 + 13_000)), 5 * CHUNK);
        assert_eq!(timeline.next(CHUNK, Some(1_140_000 - 9_000)), 0);
        assert_eq!(timeline.next(CHUNK, Some(1_160_000 + 150_000)), 0);
    }

    #[test]
    fn what_nobody_counted_is_known_by_its_time() {
        let mut timeline = timeline();
        timeline.next(CHUNK, Some(1_000_000));
        assert_eq!(timeline.next(CHUNK, Some(2_020_000)), 8_000);
        timeline.miss(1);
        assert_eq!(timeline.next(CHUNK, Some(3_040_000)), 8_000);
    }

    #[test]
    fn clocks_that_jump_do_no_harm() {
        let mut timeline = timeline();
        timeline.next(CHUNK, Some(u64::MAX));
        assert_eq!(timeline.next(CHUNK, Some(0)), 0);
        assert_eq!(timeline.next(CHUNK, Some(u64::MAX)), 3600 * 8_000);
        timeline.miss(u64::MAX);
        assert_eq!(timeline.next(CHUNK, None), 3600 * 8_000);
    }
}
