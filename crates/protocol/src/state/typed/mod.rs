//! One's own types as documents, and documents as one's own types.
//!
//! Whatever derives serde's traits goes in and comes out: structs are maps by field name, so that two versions of one differ
//! in the fields that changed. That includes prost messages that derive them as well (`type_attribute` of prost-build). A
//! message that does not is [one value of bytes](Value::from_message), of which the part that changed travels.

mod from_value;
mod to_value;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::value::Value;
use super::view::View;
use from_value::Source;

/// Why a type is not a document, or a document not of that type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TypedError {
    /// A float is NaN or infinite. Make it an `Option`, and `None` where there is no number.
    #[error("a float is not finite")]
    NotFinite,
    /// An integer is beyond the 64 signed bits that a document holds. Send it as text.
    #[error("the integer {0} does not fit 64 signed bits")]
    Integer(String),
    /// A map's key is neither text, an integer, a boolean nor a variant's name. Use one of them.
    #[error("a map's key is not text and can't be made text")]
    Key,
    /// What serde or the type itself says.
    #[error("{0}")]
    Other(String),
}

impl serde::ser::Error for TypedError {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self::Other(message.to_string())
    }
}

impl serde::de::Error for TypedError {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self::Other(message.to_string())
    }
}

impl Value {
    /// The document that a value of one's own type is.
    ///
    /// Structs and maps become maps, sequences and tuples lists, an enum's variant its name or a map of that one name;
    /// `None` and `()` become null.
    ///
    /// ```
    /// use nyx_protocol::state::{Patch, Value};
    ///
    /// #[derive(serde::Serialize, serde::Deserialize, PartialEq, Debug)]
    /// struct Player { name: String, hp: i64, at: (f64, f64) }
    ///
    /// let before = Player { name: "Ada".into(), hp: 100, at: (1.0, 2.5) };
    /// let after = Player { hp: 93, name: "Ada".into(), at: (1.0, 2.5) };
    /// let value = Value::from_serialize(&after)?;
    /// let difference = Patch::diff(&Value::from_serialize(&before)?, &value);
    /// assert_eq!(difference, Some(Patch::Map([("hp".into(), Patch::Set(93.into()))].into())));
    /// assert_eq!(value.to_typed::<Player>()?, after);
    /// # Ok::<_, nyx_protocol::state::TypedError>(())
    /// ```
    ///
    /// # Errors
    /// When it holds what no document does.
    pub fn from_serialize<T: Serialize + ?Sized>(typed: &T) -> Result<Self, TypedError> {
        typed.serialize(to_value::ToValue)
    }

    /// The value of one's own type that this document is.
    ///
    /// # Errors
    /// When the type is another.
    pub fn to_typed<T: DeserializeOwned>(&self) -> Result<T, TypedError> {
        T::deserialize(Source::Value(self))
    }
}

impl View<'_> {
    /// The value of one's own type that this part of a document is, without a copy in between.
    ///
    /// # Errors
    /// When the type is another.
    pub fn to_typed<T: DeserializeOwned>(&self) -> Result<T, TypedError> {
        T::deserialize(Source::View(*self))
    }
}
