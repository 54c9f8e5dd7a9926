//! Many steps in a row, packed: each in as many bits as the widest of its block needs.

use bytes::{BufMut, BytesMut};

use super::reader::{DecodeError, Reader};
use super::varint;

/// Appends a count and the steps, in blocks of a width byte and the zigzag numbers, the lowest bit first.
pub(super) fn put(out: &mut BytesMut, steps: &[i64]) {
    varint::put(out, steps.len() as u64);
    for block in steps.chunks(BLOCK) {
        let width = block.iter().fold(0, |bits, &step| bits | varint::zigzag(step));
        let width = (64 - width.leading_zeros()).max(1);
        out.put_u8(width as u8);
        let (mut bits, mut filled) = (0_u64, 0);
        for &step in block {
            bits |= varint::zigzag(step) << filled;
            filled += width;
            while filled >= 8 {
                out.put_u8(bits as u8);
                (bits, filled) = (bits >> 8, filled - 8);
            }
        }
        if filled > 0 {
            out.put_u8(bits as u8);
        }
    }
}

/// Reads what [`put`] wrote and hands each step on with its place. What is left over in a block's last byte is ignored.
pub(super) fn read(
    reader: &mut Reader<'_>,
    mut each: impl FnMut(&mut Reader<'_>, usize, i64) -> Result<(), DecodeError>,
) -> Result<usize, DecodeError> {
    let count = usize::try_from(reader.varint()?).map_err(|_| DecodeError::Truncated)?;
    let mut done = 0;
    while done < count {
        let in_block = BLOCK.min(count - done);
        let width = u32::from(reader.u8()?);
        if !(1..=WIDTH_MAX).contains(&width) {
            return Err(DecodeError::Number);
        }
        let mut bytes = reader.take((in_block * width as usize).div_ceil(8))?.iter();
        let (mut bits, mut filled) = (0_u64, 0);
        for place in done..done + in_block {
            while filled < width {
                bits |= u64::from(*bytes.next().ok_or(DecodeError::Truncated)?) << filled;
                filled += 8;
            }
            each(reader, place, varint::unzigzag(bits & ((1 << width) - 1)))?;
            (bits, filled) = (bits >> width, filled - width);
        }
        done += in_block;
    }
    Ok(count)
}

/// Whether a step can stand in a run.
pub(super) fn fits(step: i64) -> bool {
    varint::zigzag(step) >> WIDTH_MAX == 0
}

/// An outlier widens no more than its neighbours.
const BLOCK: usize = 32;

/// So that the numbers fit a double's integers, with what is left of the byte before.
const WIDTH_MAX: u32 = 32;

#[cfg(test)]
mod tests {
    use super::super::limits::Limits;
    use super::*;

    #[test]
    fn steps_round_trip_in_the_bits_that_they_need() {
        let mut steps: Vec<i64> = (0..100).map(|n| n % 7 - 3).collect();
        steps[40] = 1 << 30;
        steps[41] = -(1 << 31);
        let mut out = BytesMut::new();
        put(&mut out, &steps);
        assert_eq!(out.len(), 1 + 4 + (32 * 3 / 8) * 2 + 32 * 32 / 8 + 2);
        let (limits, mut read_back) = (Limits::default(), Vec::new());
        let count = read(&mut Reader::new(&out, &limits), |_, place, step| {
            assert_eq!(place, read_back.len());
            read_back.push(step);
            Ok(())
        });
        assert_eq!((count, read_back), (Ok(100), steps));
        for len in 0..out.len() {
            assert!(read(&mut Reader::new(&out[..len], &limits), |_, _, _| Ok(())).is_err());
        }
    }
}
