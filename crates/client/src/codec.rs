//! How payloads are encoded: the codec byte as types.

use nyx_protocol::wire::codec;

/// Rate and channels of an audio topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioFormat {
    /// Samples per second and channel.
    pub sample_rate: u32,
    /// Channels, interleaved.
    pub channels: u32,
}

/// How a frame's image is encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FrameCodec {
    /// The topic's content type tells.
    #[default]
    Other,
    /// JPEG.
    Jpeg,
    /// PNG.
    Png,
    /// WebP.
    WebP,
    /// A codec that this version of the library has no name for.
    Unknown(u8),
}

/// What an event's payload is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EventCodec {
    /// Arbitrary bytes.
    #[default]
    Bytes,
    /// UTF-8 text.
    Text,
    /// JSON text.
    Json,
    /// A codec that this version of the library has no name for.
    Unknown(u8),
}

/// How sound is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Samples {
    /// Signed 16-bit little-endian.
    S16Le,
    /// 32-bit float, little-endian.
    F32Le,
    /// Packets of Opus, one to a chunk. Neither library nor hub decode them.
    Opus,
    /// A codec that this version of the library has no name for.
    Unknown(u8),
}

macro_rules! codec_byte {
    ($type:ident { $($variant:ident = $byte:ident),* $(,)? }) => {
        impl From<u8> for $type {
            fn from(byte: u8) -> Self {
                match byte {
                    $(codec::$byte => Self::$variant,)*
                    other => Self::Unknown(other),
                }
            }
        }

        impl From<$type> for u8 {
            fn from(codec: $type) -> Self {
                match codec {
                    $($type::$variant => codec::$byte,)*
                    $type::Unknown(byte) => byte,
                }
            }
        }
    };
}

codec_byte!(FrameCodec { Other = FRAME_OTHER, Jpeg = FRAME_JPEG, Png = FRAME_PNG, WebP = FRAME_WEBP });
codec_byte!(EventCodec { Bytes = EVENT_BYTES, Text = EVENT_TEXT, Json = EVENT_JSON });
codec_byte!(Samples { S16Le = AUDIO_S16LE, F32Le = AUDIO_F32LE, Opus = AUDIO_OPUS });
