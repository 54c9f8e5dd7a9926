//! Which chunks are silent.

use std::time::Duration;

use crate::format::Format;

/// What counts as silence.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// A chunk whose loudest sample is below this is quiet, in dB relative to full scale. Default -60: under the noise of most microphones,
    /// over the dither of a silent converter. Negative infinity: only digital zero is.
    pub threshold_dbfs: f32,
    /// How long sound is said to go on after the last loud sample. Default 10 ms, one chunk at most: enough for the zero crossings
    /// of anything above 25 Hz. Longer keeps the pauses of speech, at the price of silence that is called sound.
    pub hangover: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { threshold_dbfs: -60.0, hangover: Duration::from_millis(10) }
    }
}

/// Says of one chunk after the other whether it is silent.
///
/// ```
/// use nyx_audio_capture::{Format, silence};
///
/// let mut detector = silence::Detector::new(silence::Config::default(), Format::new(48_000, 1)?);
/// let (tone, nothing) = ([0.5; 480], [0.0; 480]);
/// assert!(detector.is_silent(&nothing));
/// assert!(!detector.is_silent(&tone));
/// assert!(!detector.is_silent(&nothing), "the hangover");
/// assert!(detector.is_silent(&nothing));
/// # Ok::<(), nyx_audio_capture::format::InvalidFormat>(())
/// ```
#[derive(Clone, Debug)]
pub struct Detector {
    threshold: f32,
    channels: usize,
    hangover_frames: u64,
    /// Frames since the last loud one, at the end of the last chunk.
    quiet_frames: u64,
}

impl Detector {
    /// A detector that has heard nothing yet.
    pub fn new(config: Config, format: Format) -> Self {
        let hangover_frames = format.frames_in(config.hangover);
        Self {
            threshold: linear(config.threshold_dbfs),
            channels: usize::from(format.channels()),
            hangover_frames,
            quiet_frames: hangover_frames,
        }
    }

    /// Whether this chunk of interleaved samples, which follows the last one, is silent: no loud sample in it, and none in the hangover before.
    pub fn is_silent(&mut self, samples: &[f32]) -> bool {
        let loud = samples.iter().rposition(|sample| sample.abs() >= self.threshold && *sample != 0.0);
        let frames = (samples.len() / self.channels) as u64;
        if let Some(at) = loud {
            self.quiet_frames = frames - (at / self.channels) as u64 - 1;
            return false;
        }
        let silent = self.quiet_frames >= self.hangover_frames;
        self.quiet_frames = self.quiet_frames.saturating_add(frames);
        silent
    }
}

/// The amplitude of a level in dB relative to full scale.
///
/// ```
/// assert_eq!(nyx_audio_capture::silence::linear(-20.0), 0.1);
/// ```
pub fn linear(dbfs: f32) -> f32 {
    10_f32.powf(dbfs / 20.0)
}

/// The level of an amplitude in dB relative to full scale; negative infinity for zero.
///
/// ```
/// assert_eq!(nyx_audio_capture::silence::dbfs(0.1), -20.0);
/// ```
pub fn dbfs(amplitude: f32) -> f32 {
    20.0 * amplitude.log10()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detector(threshold_dbfs: f32, hangover_ms: u64) -> Detector {
        let config = Config { threshold_dbfs, hangover: Duration::from_millis(hangover_ms) };
        Detector::new(config, Format::new(48_000, 2).unwrap())
    }

    #[test]
    fn the_hangover_counts_from_the_last_loud_frame() {
        let mut detector = detector(-60.0, 15);
        let mut chunk = [0.0; 960];
        chunk[0] = 0.1;
        assert!(!detector.is_silent(&chunk));
        // 9.98 ms after the loud frame this chunk begins, and 19.98 ms after it the next.
        assert!(!detector.is_silent(&[0.0; 960]));
        assert!(detector.is_silent(&[0.0; 960]));
    }

    #[test]
    fn what_is_below_the_threshold_is_silent() {
        let mut detector = detector(-40.0, 0);
        assert!(detector.is_silent(&[0.009; 960]) && !detector.is_silent(&[-0.011; 960]));
    }

    #[test]
    fn nothing_but_digital_zero_is_below_negative_infinity() {
        let mut detector = detector(f32::NEG_INFINITY, 0);
        assert!(detector.is_silent(&[0.0; 960]) && !detector.is_silent(&[1e-9; 960]));
    }
}
