//! The 16 bytes in front of each message.

use thiserror::Error;

use super::Kind;

/// Bytes of a header.
pub const HEADER_LEN: usize = 16;

/// The flag bits of a header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(u8);

impl Flags {
    /// None set.
    pub const NONE: Self = Self(0);
    /// The payload starts with the capture time.
    pub const TIMESTAMP: Self = Self(1);
    /// The frame can be decoded alone.
    pub const KEYFRAME: Self = Self(2);
    /// The state payload needs no base.
    pub const SNAPSHOT: Self = Self(4);
    /// The payload, behind the capture time, is a block: see [`compress`](crate::compress).
    pub const BLOCK: Self = Self(8);

    /// The bit of [`KEYFRAME`](Self::KEYFRAME) in the header's second byte, for those who look at it in place.
    pub const KEYFRAME_BIT: u8 = Self::KEYFRAME.0;

    /// The bit of [`BLOCK`](Self::BLOCK), likewise.
    pub(super) const BLOCK_BIT: u8 = Self::BLOCK.0;

    const KNOWN: u8 = 15;

    /// Whether all of `other`'s bits are set.
    #[inline]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The set as the header's second byte.
    pub(super) const fn bits(self) -> u8 {
        self.0
    }

    /// Both sets together.
    #[inline]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// This set without all of `other`'s bits.
    #[inline]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

/// A message's first 16 bytes.
///
/// ```
/// use nyx_protocol::wire::{Header, Kind};
///
/// let header = Header { topic: 7, length: 5, ..Header::data(Kind::Event) };
/// assert_eq!(Header::parse(&header.to_bytes()), Ok(header));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the message carries; `None` for a control message.
    pub kind: Option<Kind>,
    /// The flags.
    pub flags: Flags,
    /// How the payload is encoded, see [`codec`](super::codec).
    pub codec: u8,
    /// A publisher's alias, or the hub's topic id.
    pub topic: u32,
    /// The low 32 bits of the item's number in its topic.
    pub sequence: u32,
    /// Bytes of the payload.
    pub length: u32,
}

impl Header {
    /// The header of an empty control message.
    pub const CONTROL: Self =
        Self { kind: None, flags: Flags::NONE, codec: 0, topic: 0, sequence: 0, length: 0 };

    /// The header of an empty message of this kind.
    #[inline]
    pub const fn data(kind: Kind) -> Self {
        Self { kind: Some(kind), ..Self::CONTROL }
    }

    /// Reads a header.
    ///
    /// # Errors
    /// When the type is unknown or a reserved bit is set: what follows can't be trusted then.
    #[inline]
    pub fn parse(bytes: &[u8; HEADER_LEN]) -> Result<Self, DecodeError> {
        let [kind, flags, codec, reserved, t0, t1, t2, t3, s0, s1, s2, s3, l0, l1, l2, l3] = *bytes;
        if kind > 4 {
            return Err(DecodeError::UnknownType(kind));
        }
        if flags & !Flags::KNOWN != 0 || reserved != 0 {
            return Err(DecodeError::ReservedBits);
        }
        Ok(Self {
            kind: Kind::from_byte(kind),
            flags: Flags(flags),
            codec,
            topic: u32::from_be_bytes([t0, t1, t2, t3]),
            sequence: u32::from_be_bytes([s0, s1, s2, s3]),
            length: u32::from_be_bytes([l0, l1, l2, l3]),
        })
    }

    /// The header as it travels.
    #[inline]
    pub fn to_bytes(&self) -> [u8; HEADER_LEN] {
        let [t0, t1, t2, t3] = self.topic.to_be_bytes();
        let [s0, s1, s2, s3] = self.sequence.to_be_bytes();
        let [l0, l1, l2, l3] = self.length.to_be_bytes();
        let kind = self.kind.map_or(0, |kind| kind as u8);
        [kind, self.flags.0, self.codec, 0, t0, t1, t2, t3, s0, s1, s2, s3, l0, l1, l2, l3]
    }

    /// Bytes of the whole message.
    #[inline]
    pub const fn message_len(&self) -> usize {
        HEADER_LEN + self.length as usize
    }
}

/// Why a stream of bytes is no stream of messages. The peer erred; nothing after this point can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The first byte of a header is none of the known types.
    #[error("message type {0} is unknown: the peer does not speak the Nyx protocol, version 1")]
    UnknownType(u8),
    /// A reserved bit is set.
    #[error("a reserved header bit is set: the peer speaks a later version of the protocol")]
    ReservedBits,
    /// A message is longer than the receiver takes.
    #[error(
        "a message of {length} bytes is over the limit of {limit}: send smaller ones or raise limits.message_bytes"
    )]
    TooLarge {
        /// Bytes of the payload.
        length: u32,
        /// What the receiver takes.
        limit: usize,
    },
    /// A message with a timestamp flag is too short to hold one.
    #[error("a message says that it has a timestamp, but its payload has under 8 bytes")]
    NoTimestamp,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_header() -> impl Strategy<Value = Header> {
        (0u8..=4, 0u8..=15, any::<u8>(), any::<u32>(), any::<u32>(), any::<u32>()).prop_map(
            |(kind, flags, codec, topic, sequence, length)| Header {
                kind: Kind::from_byte(kind),
                flags: Flags(flags),
                codec,
                topic,
                sequence,
                length,
            },
        )
    }

    proptest! {
        #[test]
        fn headers_round_trip(header in any_header()) {
            prop_assert_eq!(Header::parse(&header.to_bytes()), Ok(header));
        }
    }
}
