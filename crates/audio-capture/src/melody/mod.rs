//! A source that plays by itself.

mod score;
mod voice;

use crate::format::{Encoding, Format};
use crate::source::{self, Block, Source};

/// An endless, quiet piece for bells and bass: 48 kHz, stereo, signed 16-bit.
///
/// The harmony goes round every 20 s, the tune over it never repeats. Frame `n` is always the same samples, on every
/// machine and however the piece is cut into chunks, so whoever receives it can tell what is missing. It never clips
/// and has no clicks. A second of it takes about 15 ms of one core.
///
/// ```
/// use nyx_audio_capture::{Melody, Source};
///
/// let whole = Melody::new().next_block(960)?.unwrap();
/// let mut melody = Melody::new();
/// let (first, second) = (melody.next_block(480)?.unwrap(), melody.next_block(480)?.unwrap());
/// assert_eq!(second.first_frame, 480);
/// assert_eq!(whole.pcm, [first.pcm, second.pcm].concat());
/// # Ok::<(), nyx_audio_capture::source::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Melody {
    next_frame: u64,
    /// Left and right, kept for its memory alone.
    mix: Vec<[f64; 2]>,
}

impl Melody {
    /// The piece from its beginning.
    pub fn new() -> Self {
        Self::default()
    }

    /// The piece from this frame on.
    pub fn from_frame(frame: u64) -> Self {
        Self { next_frame: frame, ..Self::default() }
    }
}

impl Source for Melody {
    fn format(&self) -> Format {
        FORMAT
    }

    fn encoding(&self) -> Encoding {
        Encoding::S16Le
    }

    /// Never fails and never ends.
    fn next_block(&mut self, frames: usize) -> Result<Option<Block>, source::Error> {
        let frames = frames.clamp(1, source::FRAMES_MAX);
        let first_frame = self.next_frame;
        self.next_frame = first_frame.wrapping_add(frames as u64);
        self.mix.clear();
        self.mix.resize(frames, [0.0; 2]);
        // The order of the notes is that of the score for every cut, so that the sums round alike.
        for note in score::sounding(first_frame, frames as u64) {
            voice::add(&mut self.mix, first_frame, &note);
        }
        let pcm: Vec<u8> =
            self.mix.as_flattened().iter().flat_map(|sample| quantize(*sample).to_le_bytes()).collect();
        Ok(Some(Block { first_frame, frames, pcm: pcm.into() }))
    }
}

fn quantize(sample: f64) -> i16 {
    (sample * f64::from(i16::MAX)).round() as i16
}

const FORMAT: Format = Format::known(SAMPLE_RATE, 2);

const SAMPLE_RATE: u32 = 48_000;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn samples(melody: &mut Melody, frames: usize) -> Vec<i16> {
        let mut samples = Vec::new();
        while samples.len() < 2 * frames {
            let chunk = melody.next_block(frames - samples.len() / 2).unwrap().unwrap();
            samples.extend(chunk.pcm.as_chunks::<2>().0.iter().map(|bytes| i16::from_le_bytes(*bytes)));
        }
        samples
    }

    #[test]
    fn it_is_heard_all_the_time_and_never_clips() {
        let mut melody = Melody::new();
        for second in 0..20 {
            let samples = samples(&mut melody, 48_000);
            let square: f64 = samples.iter().map(|sample| f64::from(*sample).powi(2)).sum();
            let rms = (square / samples.len() as f64).sqrt();
            assert!((500.0..12_000.0).contains(&rms), "second {second}: {rms}");
            assert!(samples.iter().all(|sample| sample.unsigned_abs() < 30_000), "second {second}");
        }
    }

    #[test]
    fn it_does_not_click() {
        let samples = samples(&mut Melody::new(), 48_000 * 20);
        let steepest = samples.windows(3).map(|window| window[2].abs_diff(window[0])).max().unwrap();
        assert!(steepest < 4_000, "{steepest}");
        assert_eq!(samples[..2], [0, 0]);
    }

    #[test]
    fn the_tune_changes_from_round_to_round() {
        let round = 20 * u64::from(SAMPLE_RATE);
        let first = samples(&mut Melody::from_frame(round), 3 * 48_000);
        let second = samples(&mut Melody::from_frame(2 * round), 3 * 48_000);
        assert_ne!(first, second);
    }

    #[test]
    fn the_end_of_the_numbers_is_no_end() {
        let mut melody = Melody::from_frame(u64::MAX - 10);
        for _ in 0..3 {
            assert_eq!(melody.next_block(10).unwrap().unwrap().frames, 10);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

        #[test]
        fn cuts_change_nothing(start in 0_u64..1 << 40, cuts in prop::collection::vec(1_usize..5_000, 1..8)) {
            let whole = samples(&mut Melody::from_frame(start), cuts.iter().sum());
            let mut melody = Melody::from_frame(start);
            let cut: Vec<i16> = cuts.iter().flat_map(|frames| samples(&mut melody, *frames)).collect();
            prop_assert_eq!(whole, cut);
        }
    }
}
