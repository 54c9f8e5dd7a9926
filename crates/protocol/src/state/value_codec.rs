//! Values as bytes, with each map key spelled out (the form inside of patches).

use std::collections::BTreeMap;

use bytes::{BufMut, Bytes, BytesMut};

use super::limits::Limits;
use super::number::{Decimal, SCALE_MAX};
use super::reader::{DecodeError, Reader};
use super::value::Value;
use super::varint;

impl Value {
    /// Appends the encoded value.
    ///
    /// A value that breaks a rule (a float that is not finite, a key that is too long) is written as it is and
    /// refused by whoever reads it.
    pub fn encode(&self, out: &mut BytesMut) {
        match self {
            Self::List(values) => {
                out.put_u8(tag::LIST);
                varint::put(out, values.len() as u64);
                values.iter().for_each(|value| value.encode(out));
            }
            Self::Map(entries) => {
                out.put_u8(tag::MAP);
                varint::put(out, entries.len() as u64);
                for (key, value) in entries {
                    put_bytes(out, key.as_bytes());
                    value.encode(out);
                }
            }
            scalar => put_scalar(out, scalar),
        }
    }

    /// Reads exactly one value.
    ///
    /// # Errors
    /// What is wrong with the bytes; memory spent until then is bounded by their length and by `limits`
    /// ([`depth`](Limits::depth) and [`nodes`](Limits::nodes)).
    pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes, limits);
        let value = read_value(&mut reader)?;
        reader.finish()?;
        Ok(value)
    }
}

pub(super) fn read_value(reader: &mut Reader<'_>) -> Result<Value, DecodeError> {
    reader.charge_value()?;
    match reader.u8()? {
        tag::LIST => {
            reader.enter()?;
            let mut values = Vec::new();
            for _ in 0..reader.count()? {
                values.push(read_value(reader)?);
            }
            reader.leave();
            Ok(Value::List(values))
        }
        tag::MAP => read_entries(reader, read_value).map(Value::Map),
        scalar => read_scalar(reader, scalar),
    }
}

/// Reads a count and that many entries with keys in ascending order.
pub(super) fn read_entries<T>(
    reader: &mut Reader<'_>,
    mut read: impl FnMut(&mut Reader<'_>) -> Result<T, DecodeError>,
) -> Result<BTreeMap<String, T>, DecodeError> {
    reader.enter()?;
    let mut entries = BTreeMap::new();
    let mut previous = None;
    for _ in 0..reader.count()? {
        let key = reader.key()?;
        if previous.replace(key).is_some_and(|previous| previous >= key) {
            return Err(DecodeError::Order);
        }
        entries.insert(key.to_owned(), read(reader)?);
    }
    reader.leave();
    Ok(entries)
}

/// Reads what follows the tag of a value that is neither list nor map.
pub(super) fn read_scalar(reader: &mut Reader<'_>, tag: u8) -> Result<Value, DecodeError> {
    let float = |value: f64| Value::try_from(value).map_err(|_| DecodeError::NotFinite);
    match tag {
        tag::NULL => Ok(Value::Null),
        tag::FALSE => Ok(Value::Bool(false)),
        tag::TRUE => Ok(Value::Bool(true)),
        tag::INTEGER => Ok(Value::I64(varint::unzigzag(reader.varint()?))),
        tag::FLOAT => float(f64::from_be_bytes(reader.array()?)),
        tag::FLOAT32 => float(f32::from_be_bytes(reader.array()?).into()),
        tag::STRING => Ok(Value::Str(reader.str()?.to_owned())),
        tag::BYTES => Ok(Value::Bytes(Bytes::copy_from_slice(reader.bytes()?))),
        decimal @ tag::DECIMAL..=tag::DECIMAL_LAST => {
            let mantissa = varint::unzigzag(reader.varint()?);
            let decimal = Decimal { mantissa, scale: decimal - tag::DECIMAL };
            decimal.value().map(Value::F64).ok_or(DecodeError::Number)
        }
        small @ 0x80.. => Ok(Value::I64(i64::from(small) - SMALL_ZERO)),
        other => Err(DecodeError::Tag(other)),
    }
}

/// Appends a value that is neither list nor map.
pub(super) fn put_scalar(out: &mut BytesMut, value: &Value) {
    match value {
        Value::Bool(false) => out.put_u8(tag::FALSE),
        Value::Bool(true) => out.put_u8(tag::TRUE),
        Value::I64(n) => match small(*n) {
            Some(byte) => out.put_u8(byte),
            None => {
                out.put_u8(tag::INTEGER);
                varint::put(out, varint::zigzag(*n));
            }
        },
        Value::F64(x) => match Float::of(*x) {
            Float::Decimal(decimal) => {
                out.put_u8(tag::DECIMAL + decimal.scale);
                varint::put(out, varint::zigzag(decimal.mantissa));
            }
            Float::Narrow(x) => {
                out.put_u8(tag::FLOAT32);
                out.put_f32(x);
            }
            Float::Whole => {
                out.put_u8(tag::FLOAT);
                out.put_f64(*x);
            }
        },
        Value::Str(text) => {
            out.put_u8(tag::STRING);
            put_bytes(out, text.as_bytes());
        }
        Value::Bytes(bytes) => {
            out.put_u8(tag::BYTES);
            put_bytes(out, bytes);
        }
        Value::Null | Value::List(_) | Value::Map(_) => out.put_u8(tag::NULL),
    }
}

/// The bytes that [`put_scalar`] takes.
pub(super) fn scalar_len(value: &Value) -> usize {
    match value {
        Value::I64(n) if small(*n).is_none() => 1 + varint::len(varint::zigzag(*n)),
        Value::F64(x) => 1 + Float::of(*x).len(),
        Value::Str(text) => sized_len(text.len()),
        Value::Bytes(bytes) => sized_len(bytes.len()),
        _ => 1,
    }
}

/// The bytes that text or bytes of this length take.
pub(super) const fn sized_len(len: usize) -> usize {
    1 + varint::len(len as u64) + len
}

pub(super) fn put_bytes(out: &mut BytesMut, bytes: &[u8]) {
    varint::put(out, bytes.len() as u64);
    out.put_slice(bytes);
}

fn small(n: i64) -> Option<u8> {
    (-64..=63).contains(&n).then(|| (n + SMALL_ZERO) as u8)
}

/// The shortest form of a float.
enum Float {
    Decimal(Decimal),
    Narrow(f32),
    Whole,
}

impl Float {
    fn of(x: f64) -> Self {
        let narrow = x as f32;
        let other =
            if f64::from(narrow).to_bits() == x.to_bits() { Self::Narrow(narrow) } else { Self::Whole };
        Decimal::of(x).map(Self::Decimal).filter(|decimal| decimal.len() <= other.len()).unwrap_or(other)
    }

    /// The bytes that follow the tag.
    const fn len(&self) -> usize {
        match self {
            Self::Decimal(decimal) => varint::len(varint::zigzag(decimal.mantissa)),
            Self::Narrow(_) => 4,
            Self::Whole => 8,
        }
    }
}

/// The byte of the integer 0; its neighbours from -64 to 63 lie around it.
const SMALL_ZERO: i64 = 0xC0;

/// First bytes of values.
pub(super) mod tag {
    pub(crate) const NULL: u8 = 0x00;
    pub(crate) const FALSE: u8 = 0x01;
    pub(crate) const TRUE: u8 = 0x02;
    pub(crate) const INTEGER: u8 = 0x03;
    pub(crate) const FLOAT: u8 = 0x04;
    pub(crate) const FLOAT32: u8 = 0x05;
    pub(crate) const STRING: u8 = 0x06;
    pub(crate) const BYTES: u8 = 0x07;
    pub(crate) const LIST: u8 = 0x08;
    pub(crate) const MAP: u8 = 0x09;
    /// A decimal of scale 0; those of greater scales follow.
    pub(crate) const DECIMAL: u8 = 0x10;
    pub(crate) const DECIMAL_LAST: u8 = DECIMAL + super::SCALE_MAX;
}
