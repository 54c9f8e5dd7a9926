//! The deserializer that reads documents, from a value or in place.

use serde::de::value::{BorrowedStrDeserializer, MapDeserializer, SeqDeserializer};
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer, Unexpected, VariantAccess,
    Visitor,
};
use serde::forward_to_deserialize_any;

use super::{TypedError, Value, View};

/// A part of a document.
#[derive(Clone, Copy)]
pub(super) enum Source<'de> {
    Value(&'de Value),
    View(View<'de>),
}

type Elements<'de> = Box<dyn Iterator<Item = Source<'de>> + 'de>;
type Entries<'de> = Box<dyn Iterator<Item = (Key<'de>, Source<'de>)> + 'de>;

/// What a part of a document is.
enum Shape<'de> {
    Leaf(&'de Value),
    List(Elements<'de>),
    Map(Entries<'de>),
}

impl<'de> Source<'de> {
    fn shape(self) -> Shape<'de> {
        match self {
            Self::Value(Value::List(values)) => Shape::List(Box::new(values.iter().map(Self::Value))),
            Self::Value(Value::Map(entries)) => {
                Shape::Map(Box::new(entries.iter().map(|(key, value)| (Key(key), Self::Value(value)))))
            }
            Self::Value(leaf) => Shape::Leaf(leaf),
            Self::View(view) => match view.leaf() {
                Some(leaf) => Shape::Leaf(leaf),
                None if view.is_map() => {
                    Shape::Map(Box::new(view.entries().map(|(key, view)| (Key(key), Self::View(view)))))
                }
                None => Shape::List(Box::new(view.elements().map(Self::View))),
            },
        }
    }

    /// What an unexpected thing is called in an error.
    fn wrong(self, expected: &'static str) -> TypedError {
        let unexpected = match self.shape() {
            Shape::Leaf(Value::Bool(value)) => Unexpected::Bool(*value),
            Shape::Leaf(Value::I64(n)) => Unexpected::Signed(*n),
            Shape::Leaf(Value::F64(x)) => Unexpected::Float(*x),
            Shape::Leaf(Value::Str(text)) => Unexpected::Str(text),
            Shape::Leaf(Value::Bytes(bytes)) => Unexpected::Bytes(bytes),
            Shape::Leaf(_) => Unexpected::Unit,
            Shape::List(_) => Unexpected::Seq,
            Shape::Map(_) => Unexpected::Map,
        };
        TypedError::invalid_type(unexpected, &expected)
    }
}

impl<'de> Deserializer<'de> for Source<'de> {
    type Error = TypedError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TypedError> {
        match self.shape() {
            Shape::Leaf(Value::Bool(value)) => visitor.visit_bool(*value),
            Shape::Leaf(Value::I64(n)) => visitor.visit_i64(*n),
            Shape::Leaf(Value::F64(x)) => visitor.visit_f64(*x),
            Shape::Leaf(Value::Str(text)) => visitor.visit_borrowed_str(text),
            Shape::Leaf(Value::Bytes(bytes)) => visitor.visit_borrowed_bytes(bytes),
            Shape::Leaf(_) => visitor.visit_unit(),
            Shape::List(elements) => visitor.visit_seq(SeqDeserializer::new(elements)),
            Shape::Map(entries) => visitor.visit_map(MapDeserializer::new(entries)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TypedError> {
        match self.shape() {
            Shape::Leaf(Value::Null) => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, TypedError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TypedError> {
        match self.shape() {
            Shape::Leaf(Value::Str(name)) => visitor.visit_enum(Variant { name, content: None }),
            Shape::Map(mut entries) => match (entries.next(), entries.next()) {
                (Some((Key(name), content)), None) => {
                    visitor.visit_enum(Variant { name, content: Some(content) })
                }
                _ => Err(self.wrong("a map of one variant's name")),
            },
            _ => Err(self.wrong("a variant's name, or a map of it")),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

impl<'de> IntoDeserializer<'de, TypedError> for Source<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

struct Variant<'de> {
    name: &'de str,
    content: Option<Source<'de>>,
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = TypedError;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), TypedError> {
        Ok((seed.deserialize(BorrowedStrDeserializer::new(self.name))?, self))
    }
}

impl<'de> Variant<'de> {
    fn content(self) -> Result<Source<'de>, TypedError> {
        self.content
            .ok_or_else(|| TypedError::invalid_type(Unexpected::UnitVariant, &"a variant with content"))
    }
}

impl<'de> VariantAccess<'de> for Variant<'de> {
    type Error = TypedError;

    fn unit_variant(self) -> Result<(), TypedError> {
        match self.content {
            None => Ok(()),
            Some(content) => Err(content.wrong("a variant without content")),
        }
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, TypedError> {
        seed.deserialize(self.content()?)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, TypedError> {
        self.content()?.deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TypedError> {
        self.content()?.deserialize_any(visitor)
    }
}

/// A map's key, which is text; where the type wants an integer or a boolean, it is read from that.
#[derive(Clone, Copy)]
struct Key<'de>(&'de str);

macro_rules! parsed {
    ($($method:ident => $visit:ident),* $(,)?) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TypedError> {
            match self.0.parse() {
                Ok(key) => visitor.$visit(key),
                Err(_) => Err(TypedError::invalid_value(Unexpected::Str(self.0), &visitor)),
            }
        })*
    };
}

impl<'de> Deserializer<'de> for Key<'de> {
    type Error = TypedError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TypedError> {
        visitor.visit_borrowed_str(self.0)
    }

    parsed! {
        deserialize_bool => visit_bool,
        deserialize_i8 => visit_i64,
        deserialize_i16 => visit_i64,
        deserialize_i32 => visit_i64,
        deserialize_i64 => visit_i64,
        deserialize_u8 => visit_u64,
        deserialize_u16 => visit_u64,
        deserialize_u32 => visit_u64,
        deserialize_u64 => visit_u64,
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TypedError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, TypedError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TypedError> {
        visitor.visit_enum(Variant { name: self.0, content: None })
    }

    forward_to_deserialize_any! {
        i128 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier
        ignored_any
    }
}

impl<'de> IntoDeserializer<'de, TypedError> for Key<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}
