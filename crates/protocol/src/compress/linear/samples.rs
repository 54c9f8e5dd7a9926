//! Samples as integers, and back.

use super::Shape;

/// Floats are integers up to this over a power of two; more has no room in their mantissa.
const INTEGER_MAX: u32 = 1 << 24;

/// Fractions smaller than 2^-24 are none that a converter made.
const SCALE_MAX: i32 = 24;

/// The scale at which all samples are integers, if there is one.
pub(super) fn scale(shape: Shape, pcm: &[u8]) -> Option<u8> {
    if !shape.is_float {
        return Some(0);
    }
    let mut scale = 1;
    let mut loudest = 0.0_f32;
    for sample in floats(pcm) {
        scale = scale.max(digits(sample)?);
        loudest = loudest.max(sample.abs());
    }
    let fits = f64::from(loudest) * f64::from(1_u32 << scale) <= f64::from(INTEGER_MAX);
    fits.then_some(scale as u8)
}

/// Binary digits behind the point. What is no such number, or is minus zero, would not come back the same.
fn digits(sample: f32) -> Option<i32> {
    if sample.to_bits() == 0 {
        return Some(0);
    }
    if !sample.is_normal() {
        return None;
    }
    let (mantissa, exponent) = (sample.to_bits() & 0x7F_FFFF | 0x80_0000, sample.to_bits() >> 23 & 0xFF);
    let digits = 150 - exponent as i32 - mantissa.trailing_zeros() as i32;
    (digits <= SCALE_MAX).then_some(digits)
}

fn floats(pcm: &[u8]) -> impl Iterator<Item = f32> {
    pcm.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes))
}

/// All samples as integers at this scale.
pub(super) fn integers(scale: u8, pcm: &[u8], out: &mut Vec<i32>) {
    out.clear();
    if scale == 0 {
        out.extend(pcm.as_chunks().0.iter().map(|bytes| i32::from(i16::from_le_bytes(*bytes))));
    } else {
        let factor = (1_u32 << scale) as f32;
        out.extend(floats(pcm).map(|sample| (sample * factor) as i32));
    }
}

/// Writes integers of one channel into every `stride`-th sample of `out`. `None` where one is out of range.
pub(super) fn put(scale: u8, integers: &[i32], out: &mut [u8], stride: usize) -> Option<()> {
    if scale == 0 {
        for (sample, integer) in out.as_chunks_mut().0.iter_mut().step_by(stride).zip(integers) {
            *sample = i16::try_from(*integer).ok()?.to_le_bytes();
        }
        return Some(());
    }
    // A power of two, so nothing is rounded.
    let factor = 1.0 / (1_u32 << scale) as f32;
    for (sample, integer) in out.as_chunks_mut().0.iter_mut().step_by(stride).zip(integers) {
        if integer.unsigned_abs() > INTEGER_MAX {
            return None;
        }
        *sample = (*integer as f32 * factor).to_le_bytes();
    }
    Some(())
}
