//! Samples at the edges: bytes to floats and back.
//!
//! Inside, a sample is an `f32`, nominally -1.0 to 1.0. Integers have their full scale at -1.0, and come back from a float as
//! they went in, bit for bit.

use crate::format::Encoding;

/// Appends the samples that `bytes` hold, and says how many. A sample that is cut off at the end is left out.
///
/// Allocates nothing where `samples` has the room.
///
/// ```
/// use nyx_audio_capture::{Encoding, pcm};
///
/// let mut samples = Vec::new();
/// assert_eq!(pcm::decode(Encoding::S16Le, &[0x00, 0x80, 0x00, 0x40], &mut samples), 2);
/// assert_eq!(samples, [-1.0, 0.5]);
/// ```
pub fn decode(encoding: Encoding, bytes: &[u8], samples: &mut Vec<f32>) -> usize {
    let before = samples.len();
    match encoding {
        Encoding::S16Le => samples
            .extend(bytes.as_chunks::<2>().0.iter().map(|bytes| f32::from(i16::from_le_bytes(*bytes)) / I16)),
        Encoding::S24Le => samples.extend(bytes.as_chunks::<3>().0.iter().map(|[a, b, c]| {
            // The sign comes down with the shift; 24 bits are all that a float holds.
            (i32::from_le_bytes([0, *a, *b, *c]) >> 8) as f32 / I24
        })),
        Encoding::F32Le => {
            samples.extend(bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)));
        }
    }
    samples.len() - before
}

/// Appends samples as bytes. What is beyond full scale of an integer is clipped; what is no number becomes silence.
///
/// ```
/// use nyx_audio_capture::{Encoding, pcm};
///
/// let mut bytes = Vec::new();
/// pcm::encode(Encoding::S16Le, &[-1.0, 0.5, 7.0], &mut bytes);
/// assert_eq!(bytes, [0x00, 0x80, 0x00, 0x40, 0xFF, 0x7F]);
/// ```
pub fn encode(encoding: Encoding, samples: &[f32], bytes: &mut Vec<u8>) {
    match encoding {
        Encoding::S16Le => {
            bytes.extend(samples.iter().flat_map(|sample| integer(*sample, I16).to_le_bytes()));
        }
        Encoding::S24Le => bytes.extend(samples.iter().flat_map(|sample| {
            let [a, b, c, _] = integer24(*sample).to_le_bytes();
            [a, b, c]
        })),
        Encoding::F32Le => bytes.extend(samples.iter().flat_map(|sample| sample.to_le_bytes())),
    }
}

/// Casts saturate, and turn what is no number into zero.
fn integer(sample: f32, full_scale: f32) -> i16 {
    (sample * full_scale).round() as i16
}

fn integer24(sample: f32) -> i32 {
    ((sample * I24).round() as i32).clamp(-(1 << 23), (1 << 23) - 1)
}

const I16: f32 = 32_768.0;
const I24: f32 = 8_388_608.0;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn integers_come_back_bit_for_bit(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            for encoding in [Encoding::S16Le, Encoding::S24Le] {
                let whole = bytes.len() / encoding.sample_bytes() * encoding.sample_bytes();
                let (mut samples, mut back) = (Vec::new(), Vec::new());
                prop_assert_eq!(decode(encoding, &bytes, &mut samples), whole / encoding.sample_bytes());
                encode(encoding, &samples, &mut back);
                prop_assert_eq!(&back[..], &bytes[..whole]);
            }
        }

        #[test]
        fn no_float_panics_or_wraps(bits in any::<u32>()) {
            let sample = f32::from_bits(bits);
            for encoding in [Encoding::S16Le, Encoding::S24Le] {
                let (mut bytes, mut back) = (Vec::new(), Vec::new());
                encode(encoding, &[sample], &mut bytes);
                decode(encoding, &bytes, &mut back);
                prop_assert!(sample.is_nan() && back[0] == 0.0 || (back[0] - sample.clamp(-1.0, 1.0)).abs() <= 1.0 / I16);
            }
        }
    }
}
