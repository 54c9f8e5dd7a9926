//! Numbers that change a little: decimals, and the step from one number to the next.

use bytes::{BufMut, BytesMut};

use super::reader::{DecodeError, Reader};
use super::value::Value;
use super::varint;

/// A float that is a decimal fraction: `mantissa / 10^scale`, rounded once as IEEE 754 does, is its every bit.
///
/// Sensors, prices and positions are mostly that, and take two to four bytes so, where the float takes eight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Decimal {
    pub(super) mantissa: i64,
    pub(super) scale: u8,
}

impl Decimal {
    /// The decimal of the least scale that is this float, if there is one.
    pub(super) fn of(x: f64) -> Option<Self> {
        let mut scale = (0..=SCALE_MAX).rev().find(|&scale| x.abs() < LIMITS[usize::from(scale)])?;
        // A decimal of a lesser scale is one of this scale as well, so that one look tells.
        let mut mantissa = mantissa(x, scale)?;
        while scale > 0 && mantissa % 10 == 0 {
            (mantissa, scale) = (mantissa / 10, scale - 1);
        }
        Some(Self { mantissa, scale })
    }

    /// The float, if mantissa and scale are in range.
    pub(super) fn value(self) -> Option<f64> {
        let power = POWERS.get(usize::from(self.scale))?;
        (self.mantissa.unsigned_abs() < MANTISSA_END).then(|| self.mantissa as f64 / power)
    }

    fn at_scale(self, scale: u8) -> Option<i64> {
        let factor = 10_i64.pow(u32::from(scale.checked_sub(self.scale)?));
        self.mantissa.checked_mul(factor).filter(|mantissa| mantissa.unsigned_abs() < MANTISSA_END)
    }
}

/// The mantissa of a float at this very scale. Below 2^50 the two roundings that lead to it are off by less than a
/// half, and the division tells whether it is the float. Any language with IEEE doubles gets the same.
fn mantissa(x: f64, scale: u8) -> Option<i64> {
    let power = POWERS[usize::from(scale)];
    let mantissa = (x * power + 0.5_f64.copysign(x)) as i64;
    let exact = (mantissa as f64 / power).to_bits() == x.to_bits();
    (exact && mantissa.unsigned_abs() < MANTISSA_END).then_some(mantissa)
}

/// What kind of step leads from a number to the next. Of two decimals that of the greater scale is the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// A float, at a decimal scale.
    Decimal(u8),
    /// A float, by its bits.
    Bits,
    Integer,
}

/// A step from a number to the next of its sort.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) kind: Kind,
    /// What to add to the integer or mantissa; for [`Kind::Bits`], what to XOR with the bits.
    pub(super) by: i64,
}

impl Step {
    /// The step between two numbers of one sort, given by their [bits](bits).
    pub(super) fn between(old: u64, new: &Value) -> Option<Self> {
        match *new {
            Value::I64(new) => Some(Self { kind: Kind::Integer, by: new.checked_sub(old as i64)? }),
            Value::F64(new) => {
                let bits = Self { kind: Kind::Bits, by: (old ^ new.to_bits()) as i64 };
                Some(Self::between_decimals(f64::from_bits(old), new).unwrap_or(bits))
            }
            _ => None,
        }
    }

    fn between_decimals(old: f64, new: f64) -> Option<Self> {
        let (old, new) = (Decimal::of(old)?, Decimal::of(new)?);
        let scale = old.scale.max(new.scale);
        Some(Self { kind: Kind::Decimal(scale), by: new.at_scale(scale)? - old.at_scale(scale)? })
    }

    /// The same step of another kind, if that can tell it.
    pub(super) fn as_kind(self, kind: Kind) -> Option<Self> {
        match (self.kind, kind) {
            _ if self.kind == kind => Some(self),
            (Kind::Decimal(from), Kind::Decimal(to)) if from < to => {
                let by = self.by.checked_mul(10_i64.pow(u32::from(to - from)))?;
                (by.unsigned_abs() < MANTISSA_END).then_some(Self { kind, by })
            }
            _ => None,
        }
    }

    /// The number that this step leads to; `None` where it is not of the step's sort, or out of range.
    pub(super) fn apply(self, value: &Value) -> Option<Value> {
        match (self.kind, value) {
            (Kind::Integer, Value::I64(n)) => n.checked_add(self.by).map(Value::I64),
            (Kind::Decimal(scale), Value::F64(x)) => {
                let mantissa = mantissa(*x, scale)?.checked_add(self.by)?;
                Decimal { mantissa, scale }.value().map(Value::F64)
            }
            (Kind::Bits, Value::F64(x)) => {
                Some(f64::from_bits(x.to_bits() ^ self.by as u64)).filter(|x| x.is_finite()).map(Value::F64)
            }
            _ => None,
        }
    }

    /// What tells the step to whoever knows its kind: near zero for a small one.
    pub(super) const fn number(self) -> u64 {
        match self.kind {
            Kind::Bits => self.by as u64,
            _ => varint::zigzag(self.by),
        }
    }

    /// The inverse of [`number`](Self::number).
    pub(super) const fn of_number(kind: Kind, number: u64) -> Self {
        let by = if matches!(kind, Kind::Bits) { number as i64 } else { varint::unzigzag(number) };
        Self { kind, by }
    }

    /// Appends what the kind does not tell.
    pub(super) fn put(self, out: &mut BytesMut) {
        if self.kind != Kind::Bits {
            return varint::put(out, self.number());
        }
        let (lead, len) = significant(self.number());
        out.put_u8((lead << 4 | len) as u8);
        out.put_slice(&self.number().to_be_bytes()[lead..lead + len]);
    }

    /// The bytes that [`put`](Self::put) takes.
    pub(super) fn len(self) -> usize {
        if self.kind == Kind::Bits { 1 + significant(self.number()).1 } else { varint::len(self.number()) }
    }

    pub(super) fn read(reader: &mut Reader<'_>, kind: Kind) -> Result<Self, DecodeError> {
        if kind != Kind::Bits {
            return Ok(Self::of_number(kind, reader.varint()?));
        }
        let shape = usize::from(reader.u8()?);
        let (lead, len) = (shape >> 4, shape & 15);
        let mut bytes = [0; 8];
        let part = bytes.get_mut(lead..lead + len).ok_or(DecodeError::Number)?;
        part.copy_from_slice(reader.take(len)?);
        Ok(Self::of_number(kind, u64::from_be_bytes(bytes)))
    }
}

impl Kind {
    /// The same for kinds whose steps can be told by one of them.
    pub(super) const fn sort(self) -> Self {
        if let Self::Decimal(_) = self { Self::Decimal(SCALE_MAX) } else { self }
    }

    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Decimal(scale) => scale,
            Self::Bits => BITS,
            Self::Integer => INTEGER,
        }
    }

    pub(super) fn of_code(code: u8) -> Result<Self, DecodeError> {
        match code {
            0..=SCALE_MAX => Ok(Self::Decimal(code)),
            BITS => Ok(Self::Bits),
            INTEGER => Ok(Self::Integer),
            other => Err(DecodeError::Tag(other)),
        }
    }
}

/// A number as 64 bits; `None` if it is not a number.
pub(super) fn bits(value: &Value) -> Option<u64> {
    match value {
        Value::I64(n) => Some(*n as u64),
        Value::F64(x) => Some(x.to_bits()),
        _ => None,
    }
}

/// How many bytes are zero in front, and how many lie between those and the zeros at the end.
fn significant(bits: u64) -> (usize, usize) {
    if bits == 0 {
        return (0, 0);
    }
    let (lead, trail) = (bits.leading_zeros() as usize / 8, bits.trailing_zeros() as usize / 8);
    (lead, 8 - lead - trail)
}

/// Degrees with seven decimals tell two centimetres on the ground; finer data is seldom decimal.
pub(super) const SCALE_MAX: u8 = 7;

/// Mantissas end here, where the arithmetic that finds them still has bits to spare.
const MANTISSA_END: u64 = 1 << 50;

const POWERS: [f64; 8] = [1.0, 10.0, 100.0, 1e3, 1e4, 1e5, 1e6, 1e7];

/// Floats below have a mantissa in range at the scale.
const LIMITS: [f64; 8] = {
    let mut limits = [0.0; 8];
    let mut scale = 0;
    while scale < 8 {
        limits[scale] = MANTISSA_END as f64 / POWERS[scale];
        scale += 1;
    }
    limits
};

const BITS: u8 = 8;
const INTEGER: u8 = 9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_found_at_their_least_scale_and_give_the_float_back() {
        for (x, mantissa, scale) in [
            (12.34, 1234, 2),
            (-0.5, -5, 1),
            (3.0, 3, 0),
            (0.0, 0, 0),
            (52.520_006_6, 525_200_066, 7),
            (1e12, 10_i64.pow(12), 0),
        ] {
            let decimal = Decimal::of(x).unwrap();
            assert_eq!((decimal, decimal.value()), (Decimal { mantissa, scale }, Some(x)));
        }
        for x in [-0.0, 0.1 + 0.2, std::f64::consts::PI, 1e300, 1e-9, f64::MIN_POSITIVE] {
            assert_eq!(Decimal::of(x), None, "{x}");
        }
    }

    #[test]
    fn a_step_leads_from_one_number_to_the_other() {
        let floats = [0.0, -0.0, 1.5, 1.25, -3.75, 1e15, 0.1 + 0.2, 1e-300, f64::MAX, 99.99, 100.0];
        for (old, new) in floats.iter().flat_map(|old| floats.iter().map(move |new| (*old, Value::F64(*new))))
        {
            let step = Step::between(old.to_bits(), &new).unwrap();
            assert_eq!(step.apply(&Value::F64(old)), Some(new), "{step:?}");
        }
        assert_eq!(Step::between(i64::MAX as u64, &Value::I64(-2)), None);
        assert_eq!(Step { kind: Kind::Integer, by: 1 }.apply(&Value::I64(i64::MAX)), None);
        assert_eq!(Step { kind: Kind::Integer, by: 1 }.apply(&Value::F64(1.0)), None);
        assert_eq!(Step { kind: Kind::Decimal(1), by: 1 }.apply(&Value::F64(0.25)), None);
    }

    #[test]
    fn a_step_of_a_lesser_scale_can_be_told_at_a_greater_one() {
        let step = Step::between(1.5_f64.to_bits(), &Value::F64(1.8)).unwrap();
        assert_eq!(step, Step { kind: Kind::Decimal(1), by: 3 });
        let finer = step.as_kind(Kind::Decimal(3)).unwrap();
        assert_eq!(finer.apply(&Value::F64(1.5)), Some(Value::F64(1.8)));
        assert_eq!(finer.as_kind(Kind::Decimal(1)), None);
    }
}
