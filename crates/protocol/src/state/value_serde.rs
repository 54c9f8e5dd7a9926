//! Values from and to any data format that serde speaks.
//!
//! Unsigned integers above `i64::MAX` become floats. Bytes are serde bytes: a binary format keeps them, while JSON
//! writes an array of numbers, which comes back as a list. Floats that are not finite and keys that are too long are
//! refused when read.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};

use super::limits::KEY_BYTES_MAX;
use super::value::Value;

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::I64(value) => serializer.serialize_i64(*value),
            Self::F64(value) => serializer.serialize_f64(*value),
            Self::Str(value) => serializer.serialize_str(value),
            Self::Bytes(value) => serializer.serialize_bytes(value),
            Self::List(values) => serializer.collect_seq(values),
            Self::Map(entries) => serializer.collect_map(entries),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("null, a boolean, a finite number, text, bytes, a list or a map with text keys")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Value::try_from(value).map_err(E::custom)
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_bytes<E>(self, value: &[u8]) -> Result<Value, E> {
        Ok(Value::Bytes(Bytes::copy_from_slice(value)))
    }

    fn visit_byte_buf<E>(self, value: Vec<u8>) -> Result<Value, E> {
        Ok(Value::Bytes(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = access.next_element()? {
            values.push(value);
        }
        Ok(Value::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut entries = BTreeMap::new();
        while let Some((key, value)) = access.next_entry::<String, Value>()? {
            if key.len() > KEY_BYTES_MAX {
                return Err(A::Error::custom(format_args!("a map key is longer than {KEY_BYTES_MAX} bytes")));
            }
            entries.insert(key, value);
        }
        Ok(Value::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_round_trips() {
        let text = r#"{"a":[1,-2,0.5,null,true],"b":{"c":"text"}}"#;
        let value: Value = serde_json::from_str(text).unwrap();
        assert_eq!(value.get("a").and_then(Value::as_list).map(<[_]>::len), Some(5));
        assert_eq!(serde_json::to_string(&value).unwrap(), text);
    }

    #[test]
    fn integers_that_do_not_fit_become_floats() {
        let value: Value = serde_json::from_str("[9223372036854775807, 9223372036854775808]").unwrap();
        assert_eq!(value, Value::List(vec![Value::I64(i64::MAX), Value::F64(9_223_372_036_854_775_808.0)]));
    }

    #[test]
    fn refuses_what_no_document_holds() {
        let key = "k".repeat(KEY_BYTES_MAX + 1);
        assert!(serde_json::from_str::<Value>(&format!(r#"{{"{key}":1}}"#)).is_err());
        let nan = serde::de::value::F64Deserializer::<serde::de::value::Error>::new(f64::NAN);
        assert!(Value::deserialize(nan).is_err());
    }

    #[test]
    fn bytes_are_an_array_in_json() {
        let value = Value::Bytes(Bytes::from_static(&[1, 255]));
        assert_eq!(serde_json::to_string(&value).unwrap(), "[1,255]");
    }
}
