//! Sources that are computed: what a test or a demo knows every sample of.

use crate::format::{Encoding, Format};
use crate::source::{self, Block, Source};

/// A sine of one frequency, the same on all channels, without end.
///
/// ```
/// use nyx_audio_capture::{Format, Source, synth};
///
/// let mut tone = synth::Tone::new(Format::new(48_000, 1)?, 1_000.0, 0.5);
/// let block = tone.next_block(48)?.unwrap();
/// assert_eq!(block.pcm[..4], 0_f32.to_le_bytes());
/// assert_eq!(block.pcm[4 * 12..4 * 13], 0.5_f32.to_le_bytes());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Tone {
    format: Format,
    hertz: f64,
    amplitude: f32,
    next_frame: u64,
}

impl Tone {
    /// A tone of `hertz` and of this amplitude, where 1.0 is full scale.
    pub const fn new(format: Format, hertz: f64, amplitude: f32) -> Self {
        Self { format, hertz, amplitude, next_frame: 0 }
    }
}

impl Source for Tone {
    fn format(&self) -> Format {
        self.format
    }

    fn encoding(&self) -> Encoding {
        Encoding::F32Le
    }

    /// Never fails and never ends.
    fn next_block(&mut self, frames: usize) -> Result<Option<Block>, source::Error> {
        let (step, amplitude) = (self.hertz / f64::from(self.format.sample_rate()), self.amplitude);
        Ok(Some(block(self.format, &mut self.next_frame, frames, |frame| {
            // The phase is a remainder, so that it is as exact after a day as at the start.
            (std::f64::consts::TAU * (frame as f64 * step).fract()).sin() as f32 * amplitude
        })))
    }
}

/// Counts frames: each holds its own number, modulo [`RAMP_PERIOD`], so that whoever receives it sees what is missing, and how much.
///
/// [`Ramp::number`] tells the number again; it stands 16 bits and the way through a mixer.
///
/// ```
/// use nyx_audio_capture::{Encoding, Format, Source, pcm, synth::Ramp};
///
/// let mut ramp = Ramp::new(Format::new(48_000, 2)?);
/// let block = ramp.next_block(100)?.unwrap();
/// let mut samples = Vec::new();
/// pcm::decode(Encoding::F32Le, &block.pcm, &mut samples);
/// assert_eq!((Ramp::number(samples[0]), Ramp::number(samples[2 * 99])), (0, 99));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Ramp {
    format: Format,
    next_frame: u64,
}

impl Ramp {
    /// A ramp from frame 0 on.
    pub const fn new(format: Format) -> Self {
        Self { format, next_frame: 0 }
    }

    /// The sample that says this number.
    pub fn sample(number: u64) -> f32 {
        (number % RAMP_PERIOD) as f32 / RAMP_SCALE - 0.5
    }

    /// The number that a sample says, modulo [`RAMP_PERIOD`].
    pub fn number(sample: f32) -> u64 {
        (((sample + 0.5) * RAMP_SCALE).round().max(0.0) as u64) % RAMP_PERIOD
    }
}

impl Source for Ramp {
    fn format(&self) -> Format {
        self.format
    }

    fn encoding(&self) -> Encoding {
        Encoding::F32Le
    }

    /// Never fails and never ends.
    fn next_block(&mut self, frames: usize) -> Result<Option<Block>, source::Error> {
        Ok(Some(block(self.format, &mut self.next_frame, frames, Self::sample)))
    }
}

/// A sine that rises from one frequency to another, evenly in octaves, and begins again.
///
/// ```
/// use nyx_audio_capture::{Format, Source, synth};
///
/// let mut sweep = synth::Sweep::new(Format::new(48_000, 1)?, 20.0..20_000.0, std::time::Duration::from_secs(2));
/// assert_eq!(sweep.next_block(480)?.unwrap().frames, 480);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Sweep {
    format: Format,
    from_hertz: f64,
    /// The natural logarithm of how many times higher it ends.
    growth: f64,
    period_frames: u64,
    next_frame: u64,
}

impl Sweep {
    /// A sweep from the start to the end of `hertz`, both raised to at least 1 Hz, once in `period`.
    pub fn new(format: Format, hertz: std::ops::Range<f64>, period: std::time::Duration) -> Self {
        let (from_hertz, to) = (hertz.start.max(1.0), hertz.end.max(1.0));
        let period_frames = format.frames_in(period).max(1);
        Self { format, from_hertz, growth: (to / from_hertz).ln(), period_frames, next_frame: 0 }
    }

    /// The integral of the frequency from the start of a period on, in turns.
    fn turns(&self, frame: u64) -> f64 {
        let rate = f64::from(self.format.sample_rate());
        let share = (frame % self.period_frames) as f64 / self.period_frames as f64;
        let seconds = self.period_frames as f64 / rate;
        if self.growth.abs() < 1e-9 {
            return self.from_hertz * share * seconds;
        }
        self.from_hertz * seconds / self.growth * (self.growth * share).exp_m1()
    }
}

impl Source for Sweep {
    fn format(&self) -> Format {
        self.format
    }

    fn encoding(&self) -> Encoding {
        Encoding::F32Le
    }

    /// Never fails and never ends.
    fn next_block(&mut self, frames: usize) -> Result<Option<Block>, source::Error> {
        let mut next_frame = self.next_frame;
        let block = block(self.format, &mut next_frame, frames, |frame| {
            (std::f64::consts::TAU * self.turns(frame).fract()).sin() as f32 * SWEEP_AMPLITUDE
        });
        self.next_frame = next_frame;
        Ok(Some(block))
    }
}

/// The next block, the same sample on all channels.
fn block(format: Format, next_frame: &mut u64, frames: usize, sample: impl Fn(u64) -> f32) -> Block {
    let frames = frames.clamp(1, source::FRAMES_MAX);
    let first_frame = *next_frame;
    *next_frame = first_frame.wrapping_add(frames as u64);
    let mut pcm = Vec::with_capacity(frames * format.frame_bytes(Encoding::F32Le));
    for frame in 0..frames as u64 {
        let bytes = sample(first_frame.wrapping_add(frame)).to_le_bytes();
        (0..format.channels()).for_each(|_| pcm.extend(bytes));
    }
    Block { first_frame, frames, pcm: pcm.into() }
}

/// The numbers of a [`Ramp`] begin again here: 0.68 s at 48 kHz. Each step is one of 16 bits, and half the scale is free
/// on both sides.
pub const RAMP_PERIOD: u64 = 32_768;

const RAMP_SCALE: f32 = 32_768.0;

/// 6 dB below full scale.
const SWEEP_AMPLITUDE: f32 = 0.5;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pcm;

    fn samples(source: &mut impl Source, frames: usize) -> Vec<f32> {
        let mut samples = Vec::new();
        pcm::decode(Encoding::F32Le, &source.next_block(frames).unwrap().unwrap().pcm, &mut samples);
        samples
    }

    fn mono() -> Format {
        Format::new(48_000, 1).unwrap()
    }

    #[test]
    fn a_ramp_counts_through_its_end_and_survives_sixteen_bits() {
        let mut bytes = Vec::new();
        let samples = samples(&mut Ramp::new(mono()), 40_000);
        pcm::encode(Encoding::S16Le, &samples, &mut bytes);
        let mut back = Vec::new();
        pcm::decode(Encoding::S16Le, &bytes, &mut back);
        for (frame, sample) in back.iter().enumerate() {
            assert_eq!(Ramp::number(*sample), frame as u64 % RAMP_PERIOD);
        }
    }

    #[test]
    fn a_sweep_rises_without_a_click() {
        let mut sweep = Sweep::new(mono(), 100.0..1_000.0, std::time::Duration::from_secs(1));
        let samples = samples(&mut sweep, 48_000);
        let crossings = |part: &[f32]| part.windows(2).filter(|pair| pair[0] < 0.0 && pair[1] >= 0.0).count();
        let (first, last) = (crossings(&samples[..4_800]), crossings(&samples[43_200..]));
        assert!((8..=13).contains(&first) && (75..=95).contains(&last), "{first} {last}");
        assert!(samples.windows(2).all(|pair| (pair[1] - pair[0]).abs() < 0.07));
    }

    #[test]
    fn a_tone_has_its_frequency_and_amplitude() {
        let samples = samples(&mut Tone::new(mono(), 440.0, 0.25), 48_000);
        let crossings = samples.windows(2).filter(|pair| pair[0] < 0.0 && pair[1] >= 0.0).count();
        assert!((439..=440).contains(&crossings), "{crossings}");
        assert!(samples.iter().all(|sample| sample.abs() <= 0.25));
    }
}
