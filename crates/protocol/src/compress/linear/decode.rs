//! A body in, samples out.

use prost::encoding::decode_varint;

use super::bits::Reader;
use super::{
    ALL_ZERO, CHANNELS_MAX, ESCAPE, FRAMES_MAX, ORDER_MAX, PARTITION, ParseError, YIELD_MAX, predict,
    samples, unzigzag,
};

/// The first fields of a body.
struct Head<'a> {
    channels: usize,
    frames: usize,
    scale: u8,
    bits: &'a [u8],
}

impl<'a> Head<'a> {
    fn parse(body: &'a [u8]) -> Result<Self, ParseError> {
        let (&channels, mut rest) = body.split_first().ok_or(ParseError::Truncated)?;
        if !(1..=CHANNELS_MAX).contains(&channels) {
            return Err(ParseError::Sound("its number of channels"));
        }
        let frames = decode_varint(&mut rest).map_err(|_| ParseError::Number)?;
        let frames = usize::try_from(frames).ok().filter(|frames| (1..=FRAMES_MAX).contains(frames));
        let frames = frames.ok_or(ParseError::Sound("its number of frames"))?;
        let (&scale, bits) = rest.split_first().ok_or(ParseError::Truncated)?;
        if scale > 24 {
            return Err(ParseError::Sound("its scale"));
        }
        Ok(Self { channels: channels.into(), frames, scale, bits })
    }

    const fn content_len(&self) -> usize {
        let width = if self.scale == 0 { 2 } else { 4 };
        self.channels * self.frames * width
    }
}

/// Bytes of the content, from the first bytes of a body. They are within `limit`, and no more than the rest can stand for.
pub(in crate::compress) fn content_len(body: &[u8], limit: usize) -> Result<usize, ParseError> {
    let head = Head::parse(body)?;
    let len = head.content_len();
    if len > limit {
        return Err(ParseError::TooLarge { size: len as u64, limit });
    }
    if len > head.bits.len().saturating_mul(YIELD_MAX) {
        return Err(ParseError::Truncated);
    }
    Ok(len)
}

/// Appends the content of a body, of which [`content_len`] was asked. `None` where it is corrupt; what was appended is of no use then.
pub(in crate::compress) fn decode(body: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let Head { channels, frames, scale, bits } = Head::parse(body).ok()?;
    let width = if scale == 0 { 2 } else { 4 };
    let start = out.len();
    out.resize(start + channels * frames * width, 0);
    let mut bits = Reader::new(bits);
    let (mut channel, mut before) = (vec![0; frames], vec![0; frames]);
    for number in 0..channels {
        take_channel(&mut bits, number > 0, &before, &mut channel)?;
        samples::put(scale, &channel, out.get_mut(start + number * width..)?, channels)?;
        std::mem::swap(&mut channel, &mut before);
    }
    bits.finish().then_some(())
}

fn take_channel(bits: &mut Reader<'_>, has_before: bool, before: &[i32], channel: &mut [i32]) -> Option<()> {
    let differs = bits.take(1) == 1;
    let order = bits.take(3) as usize;
    if (differs && !has_before) || order > ORDER_MAX.min(channel.len()) {
        return None;
    }
    take_residuals(bits, order, channel)?;
    let mut last = [0; ORDER_MAX];
    for (at, sample) in channel.iter_mut().enumerate() {
        *sample = sample.wrapping_add(predict(order.min(at), last));
        last.rotate_left(1);
        last[ORDER_MAX - 1] = *sample;
    }
    if differs {
        channel.iter_mut().zip(before).for_each(|(sample, before)| *sample = sample.wrapping_add(*before));
    }
    Some(())
}

fn take_residuals(bits: &mut Reader<'_>, order: usize, channel: &mut [i32]) -> Option<()> {
    let (first, rest) = channel.split_at_mut(order);
    if order > 0 {
        let width = bits.take(5) + 1;
        first.iter_mut().for_each(|residual| *residual = unzigzag(bits.take(width)));
    }
    for partition in rest.chunks_mut(PARTITION) {
        match bits.take(5) {
            ALL_ZERO => partition.fill(0),
            k => partition.iter_mut().for_each(|residual| *residual = unzigzag(take_one(bits, k))),
        }
        if bits.is_beyond() {
            return None;
        }
    }
    Some(())
}

#[inline]
fn take_one(bits: &mut Reader<'_>, k: u32) -> u32 {
    match bits.zeros(ESCAPE) {
        ESCAPE => bits.take(32),
        quotient => (quotient << k) | bits.take(k),
    }
}
