//! The values that a document is made of.

use std::collections::BTreeMap;

use bytes::Bytes;

/// A value of a state document.
///
/// Floats are finite: [`TryFrom<f64>`](#impl-TryFrom<f64>-for-Value) is the way to make one from an unknown
/// number. A float written into the variant by hand that is not finite, or a key over
/// [`KEY_BYTES_MAX`](super::KEY_BYTES_MAX), is refused by [`Document::patch`](super::Document::patch) and by
/// every decoder.
///
/// Two values are equal when they encode alike: an integer never equals a float, and `0.0` is not `-0.0`.
///
/// ```
/// use nyx_protocol::state::Value;
///
/// let player = Value::map([("name", Value::from("Ada")), ("hp", Value::from(100))]);
/// assert_eq!(player.get("hp").and_then(Value::as_i64), Some(100));
/// assert!(Value::try_from(f64::NAN).is_err());
/// ```
#[derive(Debug, Clone, Default)]
pub enum Value {
    /// Nothing.
    #[default]
    Null,
    /// True or false.
    Bool(bool),
    /// A 64-bit signed integer.
    I64(i64),
    /// A finite 64-bit float.
    F64(f64),
    /// Text.
    Str(String),
    /// Bytes without a meaning of their own.
    Bytes(Bytes),
    /// Values in an order.
    List(Vec<Self>),
    /// Values by key.
    Map(BTreeMap<String, Self>),
}

/// A float that no document can hold, because it is NaN or infinite. Use [`Value::Null`] instead.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("{0} is not finite")]
pub struct NotFinite(pub f64);

impl Value {
    /// A map of these entries; of several with the same key the last stays.
    pub fn map<K: Into<String>, V: Into<Self>>(entries: impl IntoIterator<Item = (K, V)>) -> Self {
        Self::Map(entries.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }

    /// A list of these values.
    pub fn list<V: Into<Self>>(values: impl IntoIterator<Item = V>) -> Self {
        Self::List(values.into_iter().map(Into::into).collect())
    }

    /// The value under `key`, if this is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.as_map()?.get(key)
    }

    /// The truth value, if this is one.
    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(value) = self { Some(*value) } else { None }
    }

    /// The integer, if this is one.
    pub fn as_i64(&self) -> Option<i64> {
        if let Self::I64(value) = self { Some(*value) } else { None }
    }

    /// The number, if this is one; an integer is rounded to the nearest float.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::I64(value) => Some(*value as f64),
            Self::F64(value) => Some(*value),
            _ => None,
        }
    }

    /// The text, if this is text.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::Str(value) = self { Some(value) } else { None }
    }

    /// The elements, if this is a list.
    pub fn as_list(&self) -> Option<&[Self]> {
        if let Self::List(values) = self { Some(values) } else { None }
    }

    /// The entries, if this is a map.
    pub fn as_map(&self) -> Option<&BTreeMap<String, Self>> {
        if let Self::Map(entries) = self { Some(entries) } else { None }
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::I64(a), Self::I64(b)) => a == b,
            (Self::F64(a), Self::F64(b)) => a.to_bits() == b.to_bits(),
            (Self::Str(a), Self::Str(b)) => a == b,
            (Self::Bytes(a), Self::Bytes(b)) => a == b,
            (Self::List(a), Self::List(b)) => a == b,
            (Self::Map(a), Self::Map(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Value {}

impl TryFrom<f64> for Value {
    type Error = NotFinite;

    fn try_from(value: f64) -> Result<Self, NotFinite> {
        if value.is_finite() { Ok(Self::F64(value)) } else { Err(NotFinite(value)) }
    }
}

impl From<()> for Value {
    fn from((): ()) -> Self {
        Self::Null
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::I64(value)
    }
}

impl From<i32> for Value {
    fn from(value: i32) -> Self {
        Self::I64(value.into())
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Self::I64(value.into())
    }
}

impl From<u64> for Value {
    /// Above `i64::MAX` this is the nearest float.
    fn from(value: u64) -> Self {
        i64::try_from(value).map_or(Self::F64(value as f64), Self::I64)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Str(value.into())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Str(value)
    }
}

impl From<Bytes> for Value {
    fn from(value: Bytes) -> Self {
        Self::Bytes(value)
    }
}

impl From<Vec<Self>> for Value {
    fn from(values: Vec<Self>) -> Self {
        Self::List(values)
    }
}

impl From<BTreeMap<String, Self>> for Value {
    fn from(entries: BTreeMap<String, Self>) -> Self {
        Self::Map(entries)
    }
}
