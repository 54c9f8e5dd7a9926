//! Protobuf messages as documents.

use prost::{DecodeError, Message};

use super::value::Value;

impl Value {
    /// A protobuf message as one value of bytes. Of two versions the part that changed travels; in which field it is, nobody
    /// sees. Where that matters, let the message derive serde's traits and use `Value::from_serialize`.
    ///
    /// ```
    /// use nyx_protocol::control::AudioFormat;
    /// use nyx_protocol::state::Value;
    ///
    /// let format = AudioFormat { sample_rate: 48_000, channels: 2 };
    /// let document = Value::from_message(&format);
    /// assert_eq!(document.to_message::<AudioFormat>()?, format);
    /// # Ok::<_, prost::DecodeError>(())
    /// ```
    pub fn from_message<M: Message>(message: &M) -> Self {
        Self::Bytes(message.encode_to_vec().into())
    }

    /// The message that this value of bytes is.
    ///
    /// # Errors
    /// When it is not of that type, or not bytes, which no message is either.
    pub fn to_message<M: Message + Default>(&self) -> Result<M, DecodeError> {
        M::decode(if let Self::Bytes(bytes) = self { &bytes[..] } else { NO_MESSAGE })
    }
}

/// Cut off within a tag.
const NO_MESSAGE: &[u8] = &[0x80];
