//! Opus packets (RFC 6716), by the crate `ropus`, a port of the reference in Rust.

use std::time::Duration;

use nyx_core::Bitrate;
use ropus::{Application, Channels, DecodeMode};
use thiserror::Error;

use crate::format::Format;

/// Turns chunks into packets, one each.
///
/// ```
/// use nyx_audio_capture::{Format, opus};
/// use nyx_core::Bitrate;
///
/// let format = Format::new(48_000, 1)?;
/// let mut encoder = opus::Encoder::new(format, 480, Bitrate::from_bits_per_second(96_000))?;
/// let packet = encoder.encode(&[0.0; 480])?;
/// let mut samples = Vec::new();
/// assert_eq!(opus::Decoder::new(format)?.decode(&packet, &mut samples)?, 480);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Encoder {
    inner: ropus::Encoder,
    /// A chunk that is too short, made as long as the others.
    padded: Vec<f32>,
    packet_samples: usize,
    delay: Duration,
}

impl Encoder {
    /// An encoder of chunks of `packet_frames` frames, for music and speech alike.
    ///
    /// # Errors
    ///
    /// [`OpusError::Format`], [`OpusError::Frames`] and [`OpusError::Bitrate`] for what Opus has not.
    pub fn new(format: Format, packet_frames: usize, bitrate: Bitrate) -> Result<Self, OpusError> {
        let channels = channels(format)?;
        if !PACKETS_MICROS.contains(&(packet_frames as u64 * 1_000_000 / u64::from(format.sample_rate()))) {
            return Err(OpusError::Frames { frames: packet_frames, sample_rate: format.sample_rate() });
        }
        let bits = u32::try_from(bitrate.bits_per_second()).ok().filter(|bits| RATES.contains(bits));
        let bits = bits.ok_or(OpusError::Bitrate(bitrate))?;
        let rate = ropus::Bitrate::try_bits(bits).map_err(|_| OpusError::Bitrate(bitrate))?;
        let inner = ropus::Encoder::builder(format.sample_rate(), channels, Application::Audio).bitrate(rate);
        let inner = inner.build().map_err(failed)?;
        let delay = format.duration_of(u64::from(inner.lookahead()));
        let packet_samples = packet_frames * usize::from(format.channels());
        Ok(Self { inner, padded: Vec::new(), packet_samples, delay })
    }

    /// The packet for a chunk of interleaved samples. One that is too short is followed by silence, of one that is too long the end is left out.
    ///
    /// # Errors
    ///
    /// [`OpusError::Codec`]; none is known.
    pub fn encode(&mut self, samples: &[f32]) -> Result<Vec<u8>, OpusError> {
        let samples = match samples.get(..self.packet_samples) {
            Some(samples) => samples,
            None => {
                self.padded.clear();
                self.padded.extend_from_slice(samples);
                self.padded.resize(self.packet_samples, 0.0);
                &self.padded
            }
        };
        let mut packet = vec![0; PACKET_BYTES_MAX];
        let len = self.inner.encode_float(samples, &mut packet).map_err(failed)?;
        packet.truncate(len);
        Ok(packet)
    }

    /// How much earlier than the chunk that it was made of the sound in a packet begins.
    pub const fn delay(&self) -> Duration {
        self.delay
    }
}

/// Turns packets into samples. It remembers the packets before: a stream has a decoder of its own.
pub struct Decoder {
    inner: ropus::Decoder,
    channels: usize,
    room: Vec<f32>,
}

impl Decoder {
    /// A decoder of packets in this format.
    ///
    /// # Errors
    ///
    /// [`OpusError::Format`] for what Opus has not.
    pub fn new(format: Format) -> Result<Self, OpusError> {
        let inner = ropus::Decoder::new(format.sample_rate(), channels(format)?).map_err(failed)?;
        let channels = usize::from(format.channels());
        let frames_max = format.frames_in(PACKET_MAX) as usize;
        Ok(Self { inner, channels, room: vec![0.0; frames_max * channels] })
    }

    /// Appends the samples of a packet, interleaved, and says how many frames these are.
    ///
    /// # Errors
    ///
    /// [`OpusError::Packet`]: the publisher erred. The next packet may be good.
    pub fn decode(&mut self, packet: &[u8], samples: &mut Vec<f32>) -> Result<usize, OpusError> {
        // To the library an empty one means that one was lost.
        if packet.is_empty() {
            return Err(OpusError::Packet("it is empty".to_owned()));
        }
        let frames = self.inner.decode_float(packet, &mut self.room, DecodeMode::Normal);
        let frames = frames.map_err(|error| OpusError::Packet(error.to_string()))?;
        samples.extend_from_slice(self.room.get(..frames * self.channels).unwrap_or(&self.room));
        Ok(frames)
    }
}

macro_rules! opaque {
    ($($type:ident),*) => {
        $(impl std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($type)).finish_non_exhaustive()
            }
        })*
    };
}

opaque!(Encoder, Decoder);

fn channels(format: Format) -> Result<Channels, OpusError> {
    match (format.sample_rate(), format.channels()) {
        (8_000 | 12_000 | 16_000 | 24_000 | 48_000, 1) => Ok(Channels::Mono),
        (8_000 | 12_000 | 16_000 | 24_000 | 48_000, 2) => Ok(Channels::Stereo),
        _ => Err(OpusError::Format(format)),
    }
}

fn failed(error: impl std::fmt::Display) -> OpusError {
    OpusError::Codec(error.to_string())
}

/// Why there is no Opus.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OpusError {
    /// Opus has no such format. Convert.
    #[error(
        "Opus has 8, 12, 16, 24 and 48 kHz and one or two channels, not {} Hz and {}: convert",
        .0.sample_rate(), .0.channels()
    )]
    Format(Format),
    /// Opus has no packets of such length. Take other chunks.
    #[error(
        "Opus has packets of 2.5, 5, 10, 20, 40 and 60 ms, and {frames} frames at {sample_rate} Hz are none of these"
    )]
    Frames {
        /// Frames of a chunk.
        frames: usize,
        /// Frames per second.
        sample_rate: u32,
    },
    /// Opus can't be made of so many bits. Take 6 to 510 kbit/s.
    #[error("Opus takes 6 to 510 kbit/s, not {0}")]
    Bitrate(Bitrate),
    /// What a publisher sent is no packet. It erred.
    #[error("a packet of Opus can't be decoded: {0}")]
    Packet(String),
    /// The codec failed for a reason of its own.
    #[error("the Opus codec failed: {0}")]
    Codec(String),
}

/// How long a packet may be.
const PACKETS_MICROS: [u64; 6] = [2_500, 5_000, 10_000, 20_000, 40_000, 60_000];

/// Bits per second.
const RATES: std::ops::RangeInclusive<u32> = 6_000..=510_000;

/// The most of a packet of three frames, which 60 ms may take.
const PACKET_BYTES_MAX: usize = 4_000;

/// The longest packet.
const PACKET_MAX: Duration = Duration::from_millis(120);
