//! Numbers in as many bits as they need, the lowest bit of a number and of a byte first.

use bytes::{BufMut, BytesMut};

use super::reader::{DecodeError, Reader};

/// Appends bits to bytes.
pub(super) struct BitWriter<'o> {
    out: &'o mut BytesMut,
    bits: u64,
    filled: u32,
}

impl<'o> BitWriter<'o> {
    pub(super) fn new(out: &'o mut BytesMut) -> Self {
        Self { out, bits: 0, filled: 0 }
    }

    /// Appends the low `width` bits, at most 64, of a number that has no others.
    pub(super) fn put(&mut self, number: u64, width: u32) {
        if width > HALF {
            self.put(number & LOW_HALF, HALF);
            return self.put(number >> HALF, width - HALF);
        }
        debug_assert!(number >> width == 0, "{number} in {width} bits");
        self.bits |= number << self.filled;
        self.filled += width;
        while self.filled >= 8 {
            self.out.put_u8(self.bits as u8);
            (self.bits, self.filled) = (self.bits >> 8, self.filled - 8);
        }
    }

    /// Appends a number by Rice's code (R. F. Rice, 1979): what is left of it without its low bits as so many ones and a zero, and
    /// its low bits.
    pub(super) fn put_rice(&mut self, number: u64, low: u32) {
        let mut ones = number >> low;
        while ones > 0 {
            let some = ones.min(u64::from(HALF));
            self.put((1 << some) - 1, some as u32);
            ones -= some;
        }
        self.put(0, 1);
        self.put(number & ((1 << low) - 1), low);
    }

    /// Fills the last byte with zeros.
    pub(super) fn finish(self) {
        if self.filled > 0 {
            self.out.put_u8(self.bits as u8);
        }
    }
}

/// The bits that [`put_rice`](BitWriter::put_rice) takes.
pub(super) const fn rice_len(number: u64, low: u32) -> u64 {
    (number >> low) + 1 + low as u64
}

/// Takes bits from a reader, byte by byte as they are needed.
#[derive(Debug, Default)]
pub(super) struct BitReader {
    bits: u64,
    filled: u32,
}

impl BitReader {
    /// The number in the next `width` bits, at most 64.
    pub(super) fn take(&mut self, reader: &mut Reader<'_>, width: u32) -> Result<u64, DecodeError> {
        if width > HALF {
            let low = self.take(reader, HALF)?;
            return Ok(self.take(reader, width - HALF)? << HALF | low);
        }
        while self.filled < width {
            self.fill(reader)?;
        }
        let number = self.bits & ((1 << width) - 1);
        self.skip(width);
        Ok(number)
    }

    /// Reads what [`put_rice`](BitWriter::put_rice) wrote. Each byte of the reader makes it larger by 8 × 2^`low` at most.
    pub(super) fn take_rice(&mut self, reader: &mut Reader<'_>, low: u32) -> Result<u64, DecodeError> {
        let mut ones = 0;
        loop {
            let some = self.bits.trailing_ones();
            ones += u64::from(some);
            self.skip(some);
            if self.filled > 0 {
                self.skip(1);
                return Ok(ones << low | self.take(reader, low)?);
            }
            self.fill(reader)?;
        }
    }

    /// Says that the rest of the last byte is zeros.
    pub(super) fn finish(self) -> Result<(), DecodeError> {
        if self.bits == 0 { Ok(()) } else { Err(DecodeError::Number) }
    }

    fn fill(&mut self, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
        self.bits |= u64::from(reader.u8()?) << self.filled;
        self.filled += 8;
        Ok(())
    }

    fn skip(&mut self, width: u32) {
        (self.bits, self.filled) = (self.bits >> width, self.filled - width);
    }
}

/// So many bits find room beside what is left of the byte before.
const HALF: u32 = 32;

const LOW_HALF: u64 = (1 << HALF) - 1;

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::super::limits::Limits;
    use super::*;

    proptest! {
        #[test]
        fn numbers_round_trip_in_the_bits_that_they_need(
            numbers in vec((any::<u64>(), 1..=64_u32, 0..12_u32), 0..50),
        ) {
            let numbers: Vec<_> = numbers
                .into_iter()
                .map(|(number, width, low)| (number >> (64 - width), number % 5000, width, low))
                .collect();
            let mut out = BytesMut::new();
            let mut writer = BitWriter::new(&mut out);
            let mut bits = 0;
            for &(number, small, width, low) in &numbers {
                writer.put(number, width);
                writer.put_rice(small, low);
                bits += u64::from(width) + rice_len(small, low);
            }
            writer.finish();
            prop_assert_eq!(out.len() as u64, bits.div_ceil(8));

            let limits = Limits::default();
            let (mut reader, mut taken) = (Reader::new(&out, &limits), BitReader::default());
            for &(number, small, width, low) in &numbers {
                prop_assert_eq!(taken.take(&mut reader, width), Ok(number));
                prop_assert_eq!(taken.take_rice(&mut reader, low), Ok(small));
            }
            prop_assert_eq!((taken.finish(), reader.finish()), (Ok(()), Ok(())));
        }
    }

    #[test]
    fn what_is_cut_off_or_not_filled_with_zeros_is_refused() {
        let limits = Limits::default();
        let mut reader = Reader::new(&[0xFF, 0xFF], &limits);
        assert_eq!(BitReader::default().take_rice(&mut reader, 0), Err(DecodeError::Truncated));
        assert_eq!(BitReader::default().take(&mut reader, 1), Err(DecodeError::Truncated));
        let mut taken = BitReader::default();
        assert_eq!(taken.take(&mut Reader::new(&[0b101], &limits), 2), Ok(1));
        assert_eq!(taken.finish(), Err(DecodeError::Number));
    }
}
