//! Samples in, a body out.

use prost::encoding::encode_varint;

use super::bits::Writer;
use super::{ALL_ZERO, ESCAPE, FRAMES_MAX, ORDER_MAX, PARTITION, Shape, predict, samples, zigzag};

/// Packs sound. It holds room for the integers of one payload.
#[derive(Debug, Default)]
pub struct Coder {
    integers: Vec<i32>,
    channel: Vec<i32>,
    before: Vec<i32>,
    residuals: Vec<u32>,
}

impl Coder {
    /// Appends the body that stands for `pcm`, samples of this shape. Says whether there is one: there is none of what is no whole number of frames or more
    /// than [`FRAMES_MAX`], and of floats that are no integers over a power of two.
    ///
    /// A body may be longer than what it stands for; of noise it is.
    pub fn encode(&mut self, pcm: &[u8], shape: Shape, out: &mut Vec<u8>) -> bool {
        let channels = usize::from(shape.channels);
        let frame_bytes = channels * shape.width();
        let frames = pcm.len() / frame_bytes;
        if !pcm.len().is_multiple_of(frame_bytes) || !(1..=FRAMES_MAX).contains(&frames) {
            return false;
        }
        let Some(scale) = samples::scale(shape, pcm) else { return false };
        samples::integers(scale, pcm, &mut self.integers);
        out.push(shape.channels);
        encode_varint(frames as u64, out);
        out.push(scale);
        let mut bits = Writer::new(out);
        for channel in 0..channels {
            self.channel.clear();
            self.channel.extend(self.integers.iter().skip(channel).step_by(channels));
            self.put_channel(channel > 0, &mut bits);
            std::mem::swap(&mut self.channel, &mut self.before);
        }
        bits.finish();
        true
    }

    /// Writes `channel`, or what it differs by from `before`, whichever is less.
    fn put_channel(&mut self, has_before: bool, bits: &mut Writer<'_>) {
        let (mut order, sum) = best_order(self.channel.iter().copied());
        let mut differs = false;
        if has_before {
            let other = best_order(difference(&self.channel, &self.before));
            if other.1 < sum {
                (order, differs) = (other.0, true);
            }
        }
        bits.put(differs.into(), 1);
        bits.put(order as u32, 3);
        self.residuals.clear();
        if differs {
            residuals(order, difference(&self.channel, &self.before), &mut self.residuals);
        } else {
            residuals(order, self.channel.iter().copied(), &mut self.residuals);
        }
        let (first, rest) = self.residuals.split_at(order);
        put_first(first, bits);
        rest.chunks(PARTITION).for_each(|partition| put_partition(partition, bits));
    }

    /// Bytes of memory that it holds, about.
    pub fn held_bytes(&self) -> usize {
        4 * (self.integers.capacity()
            + self.channel.capacity()
            + self.before.capacity()
            + self.residuals.capacity())
    }
}

fn difference<'a>(channel: &'a [i32], before: &'a [i32]) -> impl Iterator<Item = i32> + 'a {
    channel.iter().zip(before).map(|(sample, before)| sample - before)
}

/// The order whose residuals are the smallest, and their sum. The first samples are left out: they are told apart.
fn best_order(samples: impl Iterator<Item = i32>) -> (usize, u64) {
    let mut sums = [0_u64; ORDER_MAX + 1];
    let mut before = [0_i32; ORDER_MAX];
    let mut count = 0;
    for (at, sample) in samples.enumerate() {
        count = at + 1;
        // The difference of each order is that of the one below, less the last one of it.
        let mut residual = sample;
        for (order, sum) in sums.iter_mut().enumerate() {
            if at >= ORDER_MAX {
                *sum += u64::from(residual.unsigned_abs());
            }
            if let Some(last) = before.get_mut(order) {
                residual -= std::mem::replace(last, residual);
            }
        }
    }
    if count <= ORDER_MAX {
        return (0, u64::MAX);
    }
    // The lowest of equals, which has the fewest samples in front.
    sums.into_iter().enumerate().min_by_key(|(_, sum)| *sum).unwrap_or((0, 0))
}

/// The residuals of all samples, those in front by as many as are before them.
fn residuals(order: usize, samples: impl Iterator<Item = i32>, out: &mut Vec<u32>) {
    let mut before = [0; ORDER_MAX];
    for (at, sample) in samples.enumerate() {
        out.push(zigzag(sample.wrapping_sub(predict(order.min(at), before))));
        before.rotate_left(1);
        before[ORDER_MAX - 1] = sample;
    }
}

fn put_first(residuals: &[u32], bits: &mut Writer<'_>) {
    let Some(largest) = residuals.iter().max() else { return };
    let width = (32 - largest.leading_zeros()).max(1);
    bits.put(width - 1, 5);
    residuals.iter().for_each(|residual| bits.put(*residual, width));
}

fn put_partition(residuals: &[u32], bits: &mut Writer<'_>) {
    let sum: u64 = residuals.iter().map(|residual| u64::from(*residual)).sum();
    if sum == 0 {
        return bits.put(ALL_ZERO, 5);
    }
    let k = parameter(residuals, sum);
    bits.put(k, 5);
    for residual in residuals {
        let quotient = residual >> k;
        if quotient < ESCAPE {
            // The zeros and the one, then the low bits.
            bits.put(1, quotient + 1);
            bits.put(residual & ((1 << k) - 1), k);
        } else {
            bits.put(0, ESCAPE);
            bits.put(*residual, 32);
        }
    }
}

/// The parameter at which these are shortest: near the logarithm of their mean, of which the neighbours are tried.
fn parameter(residuals: &[u32], sum: u64) -> u32 {
    let mean = sum / residuals.len() as u64;
    let near = mean.checked_ilog2().unwrap_or(0);
    let cost = |k: &u32| -> u64 {
        let each = |residual: &u32| match residual >> k {
            quotient if quotient < ESCAPE => u64::from(quotient + 1 + k),
            _ => u64::from(ESCAPE + 32),
        };
        residuals.iter().map(each).sum()
    };
    let first = near.saturating_sub(1);
    (first..=(near + 1).min(ALL_ZERO - 1)).min_by_key(cost).unwrap_or(near)
}
