//! From the samples that files hold to the two encodings that we pass on.

use crate::format::Encoding;

/// How a WAV file writes a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stored {
    /// Unsigned, 128 is silence.
    U8,
    I16,
    I24,
    I32,
    F32,
    F64,
}

impl Stored {
    /// Bytes of one sample in the file.
    pub(super) const fn bytes(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::I16 => 2,
            Self::I24 => 3,
            Self::I32 | Self::F32 => 4,
            Self::F64 => 8,
        }
    }

    /// What these samples are passed on as.
    pub(super) const fn encoding(self) -> Encoding {
        match self {
            Self::I16 => Encoding::S16Le,
            _ => Encoding::F32Le,
        }
    }

    /// Whole samples as the file has them, in [`Self::encoding`]. Full scale of an integer becomes -1.0.
    pub(super) fn convert(self, stored: Vec<u8>) -> Vec<u8> {
        match self {
            Self::I16 | Self::F32 => stored,
            Self::U8 => floats(&stored, |[byte]| (f32::from(byte) - 128.0) / 128.0),
            Self::I24 => floats(&stored, |[a, b, c]| full_scale(i32::from_le_bytes([0, a, b, c]))),
            Self::I32 => floats(&stored, |bytes| full_scale(i32::from_le_bytes(bytes))),
            Self::F64 => floats(&stored, |bytes| f64::from_le_bytes(bytes) as f32),
        }
    }
}

fn floats<const N: usize>(stored: &[u8], sample: impl Fn([u8; N]) -> f32) -> Vec<u8> {
    stored.as_chunks::<N>().0.iter().flat_map(|bytes| sample(*bytes).to_le_bytes()).collect()
}

fn full_scale(sample: i32) -> f32 {
    // A power of two: dividing by it loses nothing beyond the rounding to 24 bits.
    sample as f32 / 2_147_483_648.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn convert(stored: Stored, bytes: &[u8]) -> Vec<f32> {
        let floats = stored.convert(bytes.to_vec());
        floats.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
    }

    #[test]
    fn full_scale_and_silence_of_every_width() {
        assert_eq!(convert(Stored::U8, &[0, 64, 128, 255]), [-1.0, -0.5, 0.0, 127.0 / 128.0]);
        assert_eq!(convert(Stored::I24, &[0, 0, 0x80, 0, 0, 0, 0, 0, 0x40]), [-1.0, 0.0, 0.5]);
        assert_eq!(convert(Stored::I24, &[0xFF, 0xFF, 0x7F]), [8_388_607.0 / 8_388_608.0]);
        assert_eq!(convert(Stored::I32, &[0, 0, 0, 0x80, 0, 0, 0, 0xC0]), [-1.0, -0.5]);
        assert_eq!(convert(Stored::F64, &0.25_f64.to_le_bytes()), [0.25]);
    }

    #[test]
    fn sixteen_bits_and_floats_pass_untouched() {
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(Stored::I16.convert(bytes.clone()), bytes);
        assert_eq!(Stored::F32.convert(bytes.clone()), bytes);
    }
}
