//! A topic's sound in real time, for a player that must always be fed.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use nyx_audio_capture::{Encoding, Format};
use nyx_client::Samples;
use nyx_core::Instant;

use super::timeline::Timeline;
use super::unpack::{Unpacker, Unreadable};

/// Makes one stream of 16-bit samples of what comes of a topic: as long as the time that passes, with silence where nothing is.
///
/// Silence comes from two sides. What is missing before a chunk is known when the chunk comes, see [`Timeline`]. And while nothing comes at all, a
/// player must not stand still: silence is made up then, and counted against what turns out to have been missing. A publisher that pauses for an hour
/// is so heard again when it speaks, and not an hour later.
///
/// Drive it so: hand it what has come, tell it the time, and write what [`poll_transmit`](Self::poll_transmit) yields until that is nothing.
pub(crate) struct Live {
    format: Format,
    unpacker: Unpacker,
    timeline: Timeline,
    out: VecDeque<Part>,
    /// Up to when there has been sound, or silence in its place.
    until: Instant,
    /// Nothing comes: silence is being made up.
    is_idle: bool,
    /// Frames of silence made up, of which nothing said yet that they were missing.
    ahead: u64,
    has_begun: bool,
    /// The hub has told of a gap since the last chunk.
    has_missed: bool,
    /// Gaps before that stay unfilled.
    fill_again: Instant,
}

enum Part {
    Silence { bytes: u64 },
    Pcm(Bytes),
}

impl Live {
    /// A stream that begins now. `newest`: how the newest chunk is written, if there is one.
    ///
    /// # Errors
    ///
    /// When that can't be read.
    pub(crate) fn new(now: Instant, format: Format, newest: Option<Samples>) -> Result<Self, Unreadable> {
        Ok(Self {
            format,
            unpacker: Unpacker::new(format, ENCODING, newest)?,
            timeline: Timeline::new(format),
            out: VecDeque::new(),
            until: now,
            is_idle: false,
            ahead: 0,
            has_begun: false,
            has_missed: false,
            fill_again: now,
        })
    }

    /// The hub has dropped so many chunks here, because the reader did not take them in time.
    pub(crate) fn handle_gap(&mut self, chunks: u64) {
        self.timeline.miss(chunks);
        self.has_missed = true;
    }

    /// A chunk has come.
    ///
    /// # Errors
    ///
    /// When neither it nor others like it can be read: the stream is at its end. A packet that is none becomes silence.
    pub(crate) fn handle_chunk(
        &mut self,
        now: Instant,
        samples: Samples,
        payload: &[u8],
        unix_micros: Option<u64>,
    ) -> Result<(), Unreadable> {
        let pcm = match self.unpacker.unpack(samples, payload) {
            Ok(pcm) => Bytes::copy_from_slice(pcm),
            Err(error) if error.is_final() => return Err(error),
            Err(_) => {
                self.timeline.miss(1);
                return Ok(());
            }
        };
        let frame_bytes = self.format.frame_bytes(ENCODING);
        let missing = self.timeline.next((pcm.len() / frame_bytes) as u64, unix_micros);
        let silence = self.owed(now, missing, unix_micros.is_some());
        self.put_silence(silence);
        self.out.push_back(Part::Pcm(pcm));
        (self.until, self.is_idle) = (now, false);
        Ok(())
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub(crate) fn poll_timeout(&self) -> Instant {
        self.until + if self.is_idle { MARGIN + STEP } else { IDLE_AFTER }
    }

    /// Makes up silence for the time in which nothing has come, if that is long enough.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if now < self.poll_timeout() {
            return;
        }
        let frames = self.format.frames_in(now.since(self.until + MARGIN));
        // Of a reader that was away for long, the rest is let go.
        let filled = frames.min(self.format.frames_in(FILL_MAX));
        self.put_silence(filled);
        self.ahead = self.ahead.saturating_add(frames);
        self.until = self.until + self.format.duration_of(frames);
        self.is_idle = true;
    }

    /// What is to be written next.
    pub(crate) fn poll_transmit(&mut self) -> Option<Bytes> {
        match self.out.front_mut()? {
            Part::Silence { bytes } if *bytes > PIECE => {
                *bytes -= PIECE;
                Some(Bytes::from_static(&SILENCE))
            }
            _ => match self.out.pop_front()? {
                Part::Silence { bytes } => Some(Bytes::from_static(&SILENCE[..bytes as usize])),
                Part::Pcm(pcm) => Some(pcm),
            },
        }
    }

    /// Frames of silence to put before a chunk before which so many are missing.
    fn owed(&mut self, now: Instant, missing: u64, is_stamped: bool) -> u64 {
        let ahead = std::mem::take(&mut self.ahead);
        let has_missed = std::mem::take(&mut self.has_missed);
        // Before the beginning nothing was missing, and without its time nobody knows how long a publisher was silent.
        if std::mem::replace(&mut self.has_begun, true) && is_stamped {
            self.ahead = ahead.saturating_sub(missing);
        }
        let silence = missing.saturating_sub(ahead).min(self.format.frames_in(FILL_MAX));
        if !has_missed || silence == 0 {
            return silence;
        }
        // Silence is as many bytes as sound. A reader whose link carries less would be sent ever more of it: it hears what it can instead.
        if now < self.fill_again {
            return 0;
        }
        self.fill_again = now + FILL_EVERY;
        silence
    }

    fn put_silence(&mut self, frames: u64) {
        if frames > 0 {
            let bytes = frames * self.format.frame_bytes(ENCODING) as u64;
            self.out.push_back(Part::Silence { bytes });
        }
    }
}

/// What every player of WAV takes.
const ENCODING: Encoding = Encoding::S16Le;

/// Sound that is late by less than this is waited for: hubs drop none that is younger than 500 ms.
const IDLE_AFTER: Duration = Duration::from_secs(1);

/// The chunk that comes next began before it comes: that time is not filled, so that not more silence is made up than there will have been.
const MARGIN: Duration = Duration::from_millis(100);

/// Short against what players buffer, and long against what a wake-up costs.
const STEP: Duration = Duration::from_millis(100);

/// A reader that takes nothing for 30 s is cut off, and a clock that was set must not become hours of silence.
const FILL_MAX: Duration = Duration::from_secs(60);

/// A reader that stalls more often than this is too slow, and hears less instead of later.
const FILL_EVERY: Duration = Duration::from_secs(10);

/// The most bytes of silence in a piece.
const PIECE: u64 = SILENCE.len() as u64;

static SILENCE: [u8; 16 * 1024] = [0; 16 * 1024];

#[cfg(test)]
mod tests {
    use super::*;

    /// 20 ms at 8 kHz, one channel.
    const CHUNK: [u8; 320] = [7; 320];

    fn at(millis: u64) -> Instant {
        Instant::from_nanos(millis * 1_000_000)
    }

    fn live() -> Live {
        Live::new(at(0), Format::new(8_000, 1).unwrap(), Some(Samples::S16Le)).unwrap()
    }

    /// A chunk that was captured, and comes, at this time.
    fn chunk(live: &mut Live, millis: u64) {
        live.handle_chunk(at(millis), Samples::S16Le, &CHUNK, Some(1_000_000 + millis * 1_000)).unwrap();
    }

    /// What there is to write, as milliseconds of silence (negative) and of sound.
    fn written(live: &mut Live) -> Vec<i64> {
        let mut runs: Vec<i64> = Vec::new();
        while let Some(bytes) = live.poll_transmit() {
            let sign = if bytes[0] == 0 { -1 } else { 1 };
            let millis = sign * (bytes.len() / 16) as i64;
            match runs.last_mut() {
                Some(last) if last.signum() == sign => *last += millis,
                _ => runs.push(millis),
            }
        }
        runs
    }

    #[test]
    fn chunks_in_order_are_written_as_they_come() {
        let mut live = live();
        for millis in [10, 30, 50] {
            chunk(&mut live, millis);
            live.handle_timeout(at(millis));
        }
        assert_eq!(written(&mut live), [60]);
        assert_eq!(live.poll_timeout(), at(1_050));
    }

    #[test]
    fn what_a_publisher_left_out_is_silence_of_the_same_length() {
        let mut live = live();
        chunk(&mut live, 0);
        chunk(&mut live, 520);
        assert_eq!(written(&mut live), [20, -500, 20]);
    }

    #[test]
    fn a_publisher_that_pauses_is_silence_in_real_time_and_the_timeline_stays_right() {
        let mut live = live();
        chunk(&mut live, 0);
        assert_eq!(written(&mut live), [20]);
        let mut silence = 0;
        for millis in (0..60_000).step_by(7) {
            live.handle_timeout(at(millis));
            silence -= written(&mut live).iter().sum::<i64>();
            assert!(
                millis < 1_000 || silence as u64 > millis - 220,
                "{silence} ms of silence at {millis} ms"
            );
        }
        chunk(&mut live, 60_000);
        let rest = written(&mut live);
        assert_eq!((silence - rest[0], rest[1]), (59_980, 20));
    }

    #[test]
    fn silence_before_the_first_chunk_is_owed_to_nobody() {
        let mut live = live();
        live.handle_timeout(at(3_000));
        chunk(&mut live, 3_010);
        assert_eq!(written(&mut live), [-2_900, 20]);
        chunk(&mut live, 3_530);
        assert_eq!(written(&mut live), [-500, 20]);
    }

    #[test]
    fn silence_for_what_was_only_late_is_made_up_for_by_the_next_pause() {
        let mut live = live();
        chunk(&mut live, 0);
        live.handle_timeout(at(1_000));
        assert_eq!(written(&mut live), [20, -900]);
        // It comes a second late, without a gap in its timestamps.
        live.handle_chunk(at(1_010), Samples::S16Le, &CHUNK, Some(1_020_000)).unwrap();
        assert_eq!(written(&mut live), [20]);
        live.handle_chunk(at(1_020), Samples::S16Le, &CHUNK, Some(2_140_000)).unwrap();
        assert_eq!(written(&mut live), [-200, 20]);
    }

    #[test]
    fn a_reader_that_stalled_once_gets_the_silence_and_one_that_stalls_always_does_not() {
        let mut live = live();
        chunk(&mut live, 0);
        live.handle_gap(24);
        chunk(&mut live, 500);
        assert_eq!(written(&mut live), [20, -480, 20]);
        for millis in [1_000, 1_500, 9_000] {
            live.handle_gap(24);
            chunk(&mut live, millis);
            assert_eq!(written(&mut live), [20]);
        }
        live.handle_gap(75);
        chunk(&mut live, 10_520);
        assert_eq!(written(&mut live), [-1_500, 20]);
    }

    #[test]
    fn a_clock_that_was_set_is_no_hour_of_silence() {
        let mut live = live();
        chunk(&mut live, 0);
        live.handle_chunk(at(20), Samples::S16Le, &CHUNK, Some(u64::MAX)).unwrap();
        assert_eq!(written(&mut live), [20, -60_000, 20]);
    }

    #[test]
    fn what_can_not_be_read_ends_the_stream_behind_what_could() {
        let mut live = live();
        chunk(&mut live, 0);
        assert!(live.handle_chunk(at(20), Samples::Unknown(9), &CHUNK, None).is_err());
        assert_eq!(written(&mut live), [20]);
    }
}
