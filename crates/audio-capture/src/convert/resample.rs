//! Another rate, by the Fourier transform.

use std::time::Duration;

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler as _};

use super::RequestError;
use crate::format::Format;

/// Resamples blocks of a fixed size, and keeps what does not fill one until more comes. The two rates stay locked to each other.
pub(super) struct Resampler {
    inner: Fft<f32>,
    format: Format,
    /// Samples that wait for more.
    input: Vec<f32>,
    block_samples: usize,
    output: Vec<f32>,
    rate: u32,
    /// Frames that were pushed since it began, and that have come out.
    pushed: u64,
    produced: u64,
}

impl Resampler {
    /// From `rate` to the rate of `format`, for all of its channels.
    pub(super) fn new(rate: u32, format: Format) -> Result<Self, RequestError> {
        let (wanted, channels) = (format.sample_rate(), usize::from(format.channels()));
        let ratio = RequestError::Ratio { device: rate, wanted };
        // Before anything is allocated: rates without a common divisor need blocks as long as the rates.
        if rate.max(wanted) / gcd(rate, wanted) > RATIO_MAX {
            return Err(ratio);
        }
        let inner = Fft::new(rate as usize, wanted as usize, BLOCK_FRAMES, channels, FixedSync::Both)
            .map_err(|_| ratio)?;
        let block_samples = inner.input_frames_max() * channels;
        let output = vec![0.0; inner.output_frames_max() * channels];
        Ok(Self {
            inner,
            format,
            input: Vec::with_capacity(block_samples + INPUT_MAX),
            block_samples,
            output,
            rate,
            pushed: 0,
            produced: 0,
        })
    }

    /// Appends what can be told of the output by now.
    pub(super) fn push(&mut self, samples: &[f32], out: &mut Vec<f32>) {
        self.input.extend_from_slice(samples);
        self.pushed += self.frames(samples.len());
        let before = out.len();
        let mut done = 0;
        while let Some(block) = self.input.get(done..done + self.block_samples) {
            out.extend_from_slice(process(&mut self.inner, self.format, block, &mut self.output));
            done += self.block_samples;
        }
        self.input.drain(..done);
        self.produced += self.frames(out.len() - before);
    }

    /// Appends what has been kept back, up to where the last of what was pushed is heard, and begins anew.
    pub(super) fn finish(&mut self, out: &mut Vec<f32>) {
        let missing = self.due().saturating_sub(self.produced);
        let end = out.len() + missing as usize * usize::from(self.format.channels());
        let blocks = missing.div_ceil(self.inner.output_frames_max().max(1) as u64);
        for _ in 0..blocks {
            self.input.resize(self.block_samples, 0.0);
            out.extend_from_slice(process(&mut self.inner, self.format, &self.input, &mut self.output));
            self.input.clear();
        }
        out.truncate(end);
        self.input.clear();
        self.inner.reset();
        (self.pushed, self.produced) = (0, 0);
    }

    /// How many frames there are of all that was pushed, those that are the delay included.
    fn due(&self) -> u64 {
        let frames = u128::from(self.pushed) * u128::from(self.format.sample_rate());
        let frames = u64::try_from(frames.div_ceil(self.rate.into())).unwrap_or(u64::MAX);
        if frames == 0 { 0 } else { frames + self.inner.output_delay() as u64 }
    }

    fn frames(&self, samples: usize) -> u64 {
        (samples / usize::from(self.format.channels())) as u64
    }

    /// By how much later a sound is in the output, what is kept back not counted.
    pub(super) fn delay(&self) -> Duration {
        self.format.duration_of(self.inner.output_delay() as u64)
    }
}

/// What a block of just the right size becomes. Sizes are all that this can fail of.
fn process<'a>(inner: &mut Fft<f32>, format: Format, block: &[f32], output: &'a mut [f32]) -> &'a [f32] {
    let channels = usize::from(format.channels());
    let (frames_in, frames_out) = (block.len() / channels, output.len() / channels);
    let input = InterleavedSlice::new(block, channels, frames_in);
    let room = InterleavedSlice::new_mut(&mut *output, channels, frames_out);
    let produced = match (input, room) {
        (Ok(input), Ok(mut room)) => {
            inner.process_into_buffer(&input, &mut room, None).map_or(0, |(_, produced)| produced)
        }
        _ => 0,
    };
    &output[..produced * channels]
}

const fn gcd(mut a: u32, mut b: u32) -> u32 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// Some 5 ms of input at a time: half of that is delay.
const BLOCK_FRAMES: usize = 256;

/// 44,100 to 48,000 Hz is 147 to 160, and 11,025 to 48,000 is 147 to 640.
const RATIO_MAX: u32 = 4_096;

/// Samples that are pushed at a time.
const INPUT_MAX: usize = 16_384;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synth::Tone;
    use crate::{Encoding, Source as _, pcm};

    /// The level of a frequency in dB relative to full scale, by the Goertzel algorithm over whole periods.
    fn level(samples: &[f32], rate: u32, hertz: f64) -> f64 {
        let step = std::f64::consts::TAU * hertz / f64::from(rate);
        let (mut re, mut im) = (0.0, 0.0);
        for (index, sample) in samples.iter().enumerate() {
            re += f64::from(*sample) * (step * index as f64).cos();
            im += f64::from(*sample) * (step * index as f64).sin();
        }
        20.0 * (2.0 * re.hypot(im) / samples.len() as f64).log10()
    }

    fn resampled(from: u32, to: u32, hertz: f64) -> Vec<f32> {
        let mut source = Tone::new(Format::new(from, 1).unwrap(), hertz, 0.5);
        let mut resampler = Resampler::new(from, Format::new(to, 1).unwrap()).unwrap();
        let mut out = Vec::new();
        for _ in 0..100 {
            let mut samples = Vec::new();
            pcm::decode(
                Encoding::F32Le,
                &source.next_block(from as usize / 100).unwrap().unwrap().pcm,
                &mut samples,
            );
            resampler.push(&samples, &mut out);
        }
        out
    }

    #[test]
    fn a_tone_keeps_its_frequency_level_and_length() {
        for (from, to) in [(44_100, 48_000), (48_000, 44_100), (48_000, 16_000), (8_000, 48_000)] {
            let out = resampled(from, to, 1_000.0);
            let whole = to as usize / 2;
            assert!(out.len() > to as usize - to as usize / 20 && out.len() <= to as usize, "{from} {to}");
            let level = level(&out[to as usize / 4..][..whole], to, 1_000.0);
            assert!((level + 6.02).abs() < 0.1, "{from} to {to}: {level}");
        }
    }

    #[test]
    fn all_that_went_in_comes_out_at_the_end_and_nothing_of_it_afterwards() {
        for (from, to) in [(44_100, 48_000), (48_000, 44_100), (48_000, 16_000), (8_000, 48_000)] {
            let mut resampler = Resampler::new(from, Format::new(to, 1).unwrap()).unwrap();
            let delay = resampler.inner.output_delay();
            for frames in [1_usize, 1_000, 44_101] {
                let mut out = Vec::new();
                // The last thing that is heard is loud.
                let mut samples = vec![0.0; frames];
                *samples.last_mut().unwrap() = 1.0;
                resampler.push(&samples, &mut out);
                resampler.finish(&mut out);
                assert_eq!(out.len(), (frames * to as usize).div_ceil(from as usize) + delay);
                let loudest = (0..out.len()).max_by(|a, b| out[*a].abs().total_cmp(&out[*b].abs())).unwrap();
                assert!(loudest + to as usize / 1_000 > out.len(), "{loudest} of {}", out.len());
                let mut after = Vec::new();
                resampler.push(&[0.0; 4_410], &mut after);
                assert!(after.iter().all(|sample| *sample == 0.0));
                resampler.finish(&mut after);
            }
        }
    }

    #[test]
    fn what_the_lower_rate_can_not_hold_is_filtered_out() {
        let out = resampled(48_000, 16_000, 11_000.0);
        assert!(level(&out[4_000..12_000], 16_000, 5_000.0) < -70.0);
    }

    #[test]
    fn rates_without_a_practical_ratio_are_refused() {
        assert!(Resampler::new(48_001, Format::new(48_000, 2).unwrap()).is_err());
    }
}
