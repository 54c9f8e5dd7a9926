//! Sound without loss, by linear prediction and Rice codes, as FLAC's fixed predictors and Shorten do it.
//!
//! A general compressor finds nothing in samples, since hardly two are the same; but most are close to where a line or a parabola through those
//! before would put them, and what is left is small. A [`Coder`] turns whole frames of interleaved samples into a block's body, which a
//! chunk of 10 ms needs nothing but itself to be read from: chunks may be lost, and are not made to wait for each other.
//!
//! # The body
//!
//! | field | |
//! | --- | --- |
//! | channels | a byte, 1 to [`CHANNELS_MAX`] |
//! | frames | a varint, 1 to [`FRAMES_MAX`] |
//! | scale | a byte. 0: samples are 16-bit integers, little-endian. 1 to 24: they are 32-bit floats, little-endian, each an integer of at most 2^24 over 2^scale |
//! | channels | a stream of bits, the highest of each byte first, the last byte filled up with zeros: one channel after the other |
//!
//! A channel begins with one bit, which says whether its integers are told less those of the channel before it, three bits for its order, 0 to 4,
//! and, if the order is not 0, five bits for a width less 1 and as many residuals of this width as the order says. The residuals that follow come
//! in partitions of [`PARTITION`] (the last may be shorter): five bits, which are 31 where all of them are 0 and otherwise *k*, and then each
//! one by a Rice code: the value over 2^k as so many zero bits, a one, and the *k* low bits. 32 zero bits mean that the value stands in the 32 bits that follow.
//!
//! A residual is written as an unsigned number, `(n << 1) ^ (n >> 31)`. It is what the prediction of this order lacks: 0, the sample before,
//! 2a − b, 3a − 3b + c, or 4a − 6b + 4c − d, of the samples *a*, *b*, *c* and *d* before, the nearest first. Samples before the first are 0, and of the residuals in front
//! the first is of order 0, the second of order 1, and so on.
//!
//! Robinson, *SHORTEN: Simple lossless and near-lossless waveform compression* (1994); RFC 9639, section 4.2.

mod bits;
mod decode;
mod encode;
mod samples;

pub use encode::Coder;

pub(super) use decode::{content_len, decode};

use super::block::ParseError;
use crate::wire::codec;

/// The most channels of a body.
pub const CHANNELS_MAX: u8 = 32;

/// The most frames of a body: 1.4 s at 48 kHz.
pub const FRAMES_MAX: usize = 1 << 16;

/// Residuals that share a parameter. Sound changes more slowly than this, and its five bits cost one part in four hundred.
pub const PARTITION: usize = 128;

/// What a payload of sound is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    channels: u8,
    is_float: bool,
}

impl Shape {
    /// That of payloads with this codec byte of audio, in so many channels, if the samples of such can be packed at all.
    pub fn new(audio_codec: u8, channels: u32) -> Option<Self> {
        let is_float = match audio_codec {
            codec::AUDIO_S16LE => false,
            codec::AUDIO_F32LE => true,
            _ => return None,
        };
        let channels =
            u8::try_from(channels).ok().filter(|channels| (1..=CHANNELS_MAX).contains(channels))?;
        Some(Self { channels, is_float })
    }

    /// Bytes of one sample.
    const fn width(self) -> usize {
        if self.is_float { 4 } else { 2 }
    }
}

/// The most bytes of content that a byte of a body can stand for: five bits for a partition of silence.
const YIELD_MAX: usize = PARTITION * 4 * 8 / 5 + 1;

const ORDER_MAX: usize = 4;

/// The parameter of a partition in which all is 0.
const ALL_ZERO: u32 = 31;

/// The quotient that says that the value follows as it is.
const ESCAPE: u32 = 32;

/// What the prediction of `order` expects after `before`, the nearest last.
#[inline]
const fn predict(order: usize, [d, c, b, a]: [i32; ORDER_MAX]) -> i32 {
    // Integers of 25 bits, or differences of such: nothing overflows but what a peer has made up, and that is found when it is done.
    match order {
        0 => 0,
        1 => a,
        2 => a.wrapping_mul(2).wrapping_sub(b),
        3 => a.wrapping_sub(b).wrapping_mul(3).wrapping_add(c),
        _ => a.wrapping_add(c).wrapping_mul(4).wrapping_sub(b.wrapping_mul(6)).wrapping_sub(d),
    }
}

const fn zigzag(value: i32) -> u32 {
    ((value << 1) ^ (value >> 31)) as u32
}

const fn unzigzag(value: u32) -> i32 {
    (value >> 1) as i32 ^ -((value & 1) as i32)
}
