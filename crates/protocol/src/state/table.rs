//! Tables: the same numbers that change by steps in many entries of a container, packed by the bit.
//!
//! Positions of things that move are one: their rows are maps, their columns two keys. So are gauges: their rows are the numbers
//! themselves.

use bytes::BytesMut;

use super::bits::{BitReader, BitWriter, rice_len};
use super::number::Kind;
use super::reader::{DecodeError, Reader};
use super::varint;

/// What the rows of a table are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rows {
    /// Numbers, in a single column.
    Numbers,
    Maps,
    /// Lists that stand as before.
    Lists,
}

/// Which numbers change in each row, and by what kind of step.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) rows: Rows,
    /// Key number, or index, and kind; ascending. At most [`COLUMNS_MAX`].
    pub(super) columns: Vec<(u32, Kind)>,
}

impl Shape {
    fn put(&self, out: &mut BytesMut) {
        let head = match self.rows {
            Rows::Numbers => 0,
            Rows::Maps => self.columns.len() << 1,
            Rows::Lists => self.columns.len() << 1 | 1,
        };
        varint::put(out, head as u64);
        let mut next = 0;
        for &(key, kind) in &self.columns {
            varint::put(out, u64::from(key - next) << 4 | u64::from(kind.code()));
            next = key + 1;
        }
    }

    /// Appends what rows have in common, and then each.
    fn put_block(&self, bits: &mut BitWriter<'_>, gaps: &[u64], numbers: &[u64]) {
        let columns = self.columns.len();
        let spacing = Spacing::of(gaps);
        bits.put(spacing.code(), Spacing::BITS);
        let mut fields = [Field::default(); COLUMNS_MAX];
        for (at, (field, (_, kind))) in fields.iter_mut().zip(&self.columns).enumerate() {
            *field = Field::of(*kind, numbers.iter().skip(at).step_by(columns).copied());
            field.put(*kind, bits);
        }
        for (row, &gap) in numbers.chunks(columns).zip(gaps) {
            if let Spacing::Gaps { low } = spacing {
                bits.put_rice(gap, low);
            }
            row.iter().zip(fields).for_each(|(number, field)| bits.put(number >> field.shift, field.width));
        }
    }

    /// `keys` is the length of the key table, `index_end` that of the longest list.
    pub(super) fn read(reader: &mut Reader<'_>, keys: u64, index_end: u64) -> Result<Self, DecodeError> {
        let head = reader.varint()?;
        let (rows, count, end) = match (head, head & 1) {
            (0, _) => (Rows::Numbers, 1, 1),
            (_, 0) => (Rows::Maps, head >> 1, keys),
            _ => (Rows::Lists, head >> 1, index_end),
        };
        if !(1..=COLUMNS_MAX as u64).contains(&count) {
            return Err(DecodeError::Number);
        }
        let (mut columns, mut next) = (Vec::with_capacity(count as usize), 0_u64);
        for _ in 0..count {
            let column = reader.varint()?;
            let kind = Kind::of_code((column & 15) as u8)?;
            let key = next.checked_add(column >> 4).filter(|&key| key < end).ok_or(DecodeError::KeyNumber)?;
            columns.push((key as u32, kind));
            next = key + 1;
        }
        Ok(Self { rows, columns })
    }
}

/// Appends a table, whose first index the head of its entry tells. Indices ascend, and there is one at least. The
/// [numbers](super::number::Step::number) of the steps stand row by row.
pub(super) fn put(out: &mut BytesMut, shape: &Shape, indices: &[u64], numbers: &[u64]) {
    shape.put(out);
    varint::put(out, indices.len() as u64);
    let (mut bits, mut next) = (BitWriter::new(out), indices[0]);
    for (indices, numbers) in indices.chunks(BLOCK).zip(numbers.chunks(BLOCK * shape.columns.len())) {
        let mut gaps = [0; BLOCK];
        for (gap, &index) in gaps.iter_mut().zip(indices) {
            (*gap, next) = (index - next, index + 1);
        }
        shape.put_block(&mut bits, &gaps[..indices.len()], numbers);
    }
    bits.finish();
}

/// Reads the rows that [`put`] wrote behind the shape, and hands each on with its index and numbers. The indices ascend, and begin
/// with `first`.
pub(super) fn read(
    reader: &mut Reader<'_>,
    shape: &Shape,
    first: u64,
    mut each: impl FnMut(&mut Reader<'_>, u64, &[u64]) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    let mut left = reader.varint()?;
    let (mut bits, mut next) = (BitReader::default(), first);
    while left > 0 {
        let rows = left.min(BLOCK as u64);
        let spacing = Spacing::of_code(bits.take(reader, Spacing::BITS)?);
        let mut fields = [Field::default(); COLUMNS_MAX];
        for (field, (_, kind)) in fields.iter_mut().zip(&shape.columns) {
            *field = Field::read(*kind, &mut bits, reader)?;
        }
        for _ in 0..rows {
            if let Spacing::Gaps { low } = spacing {
                next = next.checked_add(bits.take_rice(reader, low)?).ok_or(DecodeError::Number)?;
            }
            let mut numbers = [0; COLUMNS_MAX];
            for (number, field) in numbers.iter_mut().zip(&fields[..shape.columns.len()]) {
                *number = bits.take(reader, field.width)? << field.shift;
            }
            each(reader, next, &numbers[..shape.columns.len()])?;
            next += 1;
        }
        left -= rows;
    }
    bits.finish()
}

/// Where the bits of a block's numbers in one column lie.
#[derive(Debug, Clone, Copy, Default)]
struct Field {
    /// So many zeros follow.
    shift: u32,
    width: u32,
}

impl Field {
    const BITS: u32 = 6;

    fn of(kind: Kind, numbers: impl Iterator<Item = u64>) -> Self {
        let all = numbers.fold(0, |all, number| all | number);
        // Steps near zero have no zeros at their end. Floats that came from 32 bits have.
        let shift = if kind == Kind::Bits && all != 0 { all.trailing_zeros() } else { 0 };
        Self { shift, width: width(all >> shift).max(1) }
    }

    fn put(self, kind: Kind, bits: &mut BitWriter<'_>) {
        if kind == Kind::Bits {
            bits.put(self.shift.into(), Self::BITS);
        }
        bits.put(u64::from(self.width) - 1, Self::BITS);
    }

    fn read(kind: Kind, bits: &mut BitReader, reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let shift = if kind == Kind::Bits { bits.take(reader, Self::BITS)? as u32 } else { 0 };
        let width = bits.take(reader, Self::BITS)? as u32 + 1;
        if shift + width > u64::BITS { Err(DecodeError::Number) } else { Ok(Self { shift, width }) }
    }
}

/// The bits that a number takes.
pub(super) const fn width(number: u64) -> u32 {
    u64::BITS - number.leading_zeros()
}

/// How the rows of a block lie.
#[derive(Debug, Clone, Copy)]
enum Spacing {
    /// Each follows the one before.
    Dense,
    /// The gap before each is told by Rice's code.
    Gaps { low: u32 },
}

impl Spacing {
    const BITS: u32 = 4;

    /// What takes the fewest bits.
    fn of(gaps: &[u64]) -> Self {
        if gaps.iter().all(|&gap| gap == 0) {
            return Self::Dense;
        }
        let len = |low: &u32| gaps.iter().map(|&gap| rice_len(gap, *low)).sum::<u64>();
        Self::Gaps { low: (0..15).min_by_key(len).unwrap_or(0) }
    }

    const fn code(self) -> u64 {
        match self {
            Self::Dense => 0,
            Self::Gaps { low } => low as u64 + 1,
        }
    }

    const fn of_code(code: u64) -> Self {
        match code.checked_sub(1) {
            None => Self::Dense,
            Some(low) => Self::Gaps { low: low as u32 },
        }
    }
}

/// Position, direction and speed in space, and some more.
pub(super) const COLUMNS_MAX: usize = 16;

/// Rows that share widths: an outlier widens no more than these.
const BLOCK: usize = 32;

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::super::limits::Limits;
    use super::*;

    proptest! {
        #[test]
        fn rows_round_trip(
            gaps in vec(prop_oneof![4 => Just(0), 2 => 0..9_u64, 1 => 0..9_000_u64], 1..100),
            columns in vec((0..40_u32, 0..=9_u8), 1..=COLUMNS_MAX),
            numbers in vec(prop_oneof![0..20_u64, any::<u64>()], 100 * COLUMNS_MAX),
            dense in any::<bool>(),
            rows in prop_oneof![Just(Rows::Maps), Just(Rows::Lists)],
        ) {
            let columns: Vec<_> = columns.iter().scan(0, |next, &(gap, code)| {
                *next += gap + 1;
                Some((*next - 1, Kind::of_code(code).unwrap()))
            }).collect();
            let shape = Shape { rows, columns };
            let indices: Vec<_> = gaps.iter().scan(7, |next, gap| {
                *next += if dense { 1 } else { gap + 1 };
                Some(*next - 1)
            }).collect();
            let numbers = &numbers[..indices.len() * shape.columns.len()];
            let mut out = BytesMut::new();
            put(&mut out, &shape, &indices, numbers);

            let limits = Limits::default();
            let mut reader = Reader::new(&out, &limits);
            let known = Shape::read(&mut reader, 1 << 16, 1 << 16).unwrap();
            prop_assert_eq!((known.rows, &known.columns), (shape.rows, &shape.columns));
            let mut rows = indices.iter().zip(numbers.chunks(shape.columns.len()));
            read(&mut reader, &known, indices[0], |_, index, numbers| {
                assert_eq!(rows.next(), Some((&index, numbers)));
                Ok(())
            }).unwrap();
            prop_assert_eq!((rows.next(), reader.finish()), (None, Ok(())));

            let step = out.len() / 8 + 1;
            for len in (0..out.len()).step_by(step).chain([out.len() - 1]) {
                let mut reader = Reader::new(&out[..len], &limits);
                let cut = Shape::read(&mut reader, 1 << 16, 1 << 16)
                    .and_then(|shape| read(&mut reader, &shape, indices[0], |_, _, _| Ok(())));
                prop_assert!(cut.is_err());
            }
        }
    }

    #[test]
    fn a_shape_that_is_none_is_refused() {
        let limits = Limits::default();
        let read = |bytes: &[u8]| Shape::read(&mut Reader::new(bytes, &limits), 10, 20).map(|_| ());
        assert_eq!(read(&[0, 0x09]), Ok(()));
        assert_eq!(read(&[0, 0x19]), Err(DecodeError::KeyNumber));
        assert_eq!(read(&[0, 0x08]), Ok(()));
        assert_eq!(read(&[0, 0x0A]), Err(DecodeError::Tag(0x0A)));
        assert_eq!(read(&[1]), Err(DecodeError::Number));
        assert_eq!(read(&[34]), Err(DecodeError::Number));
        assert_eq!(read(&[2, 0x92, 0x01]), Ok(()));
        assert_eq!(read(&[2, 0xA2, 0x01]), Err(DecodeError::KeyNumber));
        assert_eq!(read(&[3, 0xA2, 0x01]), Ok(()));
        assert_eq!(
            read(&[2, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01]),
            Err(DecodeError::Tag(15))
        );
    }
}
