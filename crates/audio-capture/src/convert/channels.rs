//! Another number of channels.
//!
//! | from | to | becomes |
//! | --- | --- | --- |
//! | any | 1 | the mean of all channels |
//! | 1 | any | the same in the first two, silence in the rest |
//! | more | fewer, two or more | front left and right as they are; of 5.1 and 7.1 the centre and surrounds are added to stereo at -3 dB, so that nothing is inaudible, and all is scaled to keep full scale |
//! | fewer | more | as they are, and silence in the rest |
//!
//! Order is that of WAVE and of most sound servers: front left, front right, front centre, low frequency, rear or side left, right, and so on.

/// How many of one format's samples become another's.
#[derive(Clone, Debug, PartialEq)]
pub struct Map {
    from: usize,
    /// By output channel and input channel.
    gains: Vec<f32>,
}

impl Map {
    /// The map from one number of channels to another, both at least 1.
    ///
    /// ```
    /// use nyx_audio_capture::convert::channels::Map;
    ///
    /// let mut mono = Vec::new();
    /// Map::new(2, 1).apply(&[0.5, 0.0, 1.0, 1.0], &mut mono);
    /// assert_eq!(mono, [0.25, 1.0]);
    /// ```
    pub fn new(from: u16, to: u16) -> Self {
        let (from, to) = (usize::from(from.max(1)), usize::from(to.max(1)));
        let gain = |output: usize, input: usize| match (from, to) {
            (_, 1) => 1.0 / from as f32,
            (1, _) => f32::from(u8::from(output < 2)),
            (6 | 8, 2) => surround_gain(from, output, input),
            _ => f32::from(u8::from(output == input)),
        };
        let gains = (0..to).flat_map(|output| (0..from).map(move |input| gain(output, input))).collect();
        Self { from, gains }
    }

    /// Appends what interleaved samples become. Half a frame at the end is left out.
    pub fn apply(&self, samples: &[f32], out: &mut Vec<f32>) {
        for frame in samples.chunks_exact(self.from) {
            out.extend(
                self.gains
                    .chunks_exact(self.from)
                    .map(|gains| frame.iter().zip(gains).map(|(sample, gain)| sample * gain).sum::<f32>()),
            );
        }
    }
}

/// Of 5.1 or 7.1 to stereo, scaled so that full scale on all channels stays full scale. The low-frequency channel is left out, as
/// ITU-R BS.775 has it.
fn surround_gain(from: usize, output: usize, input: usize) -> f32 {
    let weight = |input: usize| match input {
        0 | 1 if input == output => 1.0,
        2 => std::f32::consts::FRAC_1_SQRT_2,
        4.. if input % 2 == output => std::f32::consts::FRAC_1_SQRT_2,
        _ => 0.0,
    };
    weight(input) / (0..from).map(weight).sum::<f32>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(from: u16, to: u16, samples: &[f32]) -> Vec<f32> {
        let mut out = Vec::new();
        Map::new(from, to).apply(samples, &mut out);
        out
    }

    #[test]
    fn mono_is_heard_on_both_sides() {
        assert_eq!(map(1, 2, &[0.5, -0.5]), [0.5, 0.5, -0.5, -0.5]);
        assert_eq!(map(1, 3, &[0.5]), [0.5, 0.5, 0.0]);
    }

    #[test]
    fn stereo_of_surround_keeps_full_scale_and_sides() {
        let full = map(6, 2, &[1.0; 6]);
        assert!(full.iter().all(|sample| (sample - 1.0).abs() < 1e-6), "{full:?}");
        let left = map(8, 2, &[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0]);
        assert!(left[0] > 0.5 && left[1] == 0.0, "{left:?}");
    }

    #[test]
    fn other_numbers_keep_what_both_have() {
        assert_eq!(map(2, 4, &[0.1, 0.2]), [0.1, 0.2, 0.0, 0.0]);
        assert_eq!(map(4, 3, &[0.1, 0.2, 0.3, 0.4, 9.0]), [0.1, 0.2, 0.3]);
    }
}
