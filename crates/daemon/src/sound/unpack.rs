//! Whatever a chunk carries as PCM of one encoding.

use nyx_audio_capture::{Encoding, Format, pcm};
use nyx_client::Samples;
use thiserror::Error;

use crate::opus;

/// Turns the chunks of one topic into whole frames of one encoding, whichever way its publishers write them.
pub(crate) struct Unpacker {
    format: Format,
    into: Encoding,
    /// Made for the first packet.
    opus: Option<opus::Decoder>,
    samples: Vec<f32>,
    pcm: Vec<u8>,
}

/// Why a chunk has no samples.
#[derive(Debug, Error)]
pub(crate) enum Unreadable {
    /// Neither this chunk nor others like it can be read.
    #[error("its samples are of codec {0}, which this version can't read")]
    Codec(u8),
    /// Neither this packet nor others can be read.
    #[error("{0}")]
    NoOpus(#[source] opus::Error),
    /// The publisher erred. The next packet may be good.
    #[error("{0}")]
    Packet(#[source] opus::Error),
}

impl Unreadable {
    /// Whether the chunks that follow can't be read either, as long as they are written the same way.
    pub(crate) const fn is_final(&self) -> bool {
        matches!(self, Self::Codec(_) | Self::NoOpus(_))
    }
}

impl Unpacker {
    /// What makes `into` of the chunks of a topic of this format. `first`: how the first is written, if that is known.
    ///
    /// # Errors
    ///
    /// When that can't be read.
    pub(crate) fn new(format: Format, into: Encoding, first: Option<Samples>) -> Result<Self, Unreadable> {
        let opus = match first {
            Some(Samples::Unknown(codec)) => return Err(Unreadable::Codec(codec)),
            Some(Samples::Opus) => Some(opus::Decoder::new(format).map_err(Unreadable::NoOpus)?),
            _ => None,
        };
        Ok(Self { format, into, opus, samples: Vec::new(), pcm: Vec::new() })
    }

    /// The frames of a chunk. Half a frame at its end is the publisher's mistake, and left out; the rest is good.
    ///
    /// # Errors
    ///
    /// When there are none.
    pub(crate) fn unpack<'a>(
        &'a mut self,
        samples: Samples,
        payload: &'a [u8],
    ) -> Result<&'a [u8], Unreadable> {
        let encoding = match samples {
            Samples::S16Le => Encoding::S16Le,
            Samples::F32Le => Encoding::F32Le,
            Samples::Opus => return self.unpack_opus(payload),
            Samples::Unknown(codec) => return Err(Unreadable::Codec(codec)),
        };
        let frame_bytes = self.format.frame_bytes(encoding);
        let whole = &payload[..payload.len() / frame_bytes * frame_bytes];
        if encoding == self.into {
            return Ok(whole);
        }
        self.samples.clear();
        pcm::decode(encoding, whole, &mut self.samples);
        Ok(self.encode())
    }

    fn unpack_opus(&mut self, packet: &[u8]) -> Result<&[u8], Unreadable> {
        let decoder = match &mut self.opus {
            Some(decoder) => decoder,
            none => none.insert(opus::Decoder::new(self.format).map_err(Unreadable::NoOpus)?),
        };
        self.samples.clear();
        decoder.decode(packet, &mut self.samples).map_err(Unreadable::Packet)?;
        Ok(self.encode())
    }

    fn encode(&mut self) -> &[u8] {
        self.pcm.clear();
        pcm::encode(self.into, &self.samples, &mut self.pcm);
        &self.pcm
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stereo() -> Format {
        Format::new(48_000, 2).unwrap()
    }

    #[test]
    fn what_is_written_the_right_way_is_handed_on_without_half_a_frame() {
        let mut unpacker = Unpacker::new(stereo(), Encoding::S16Le, None).unwrap();
        assert_eq!(unpacker.unpack(Samples::S16Le, &[1, 2, 3, 4, 5, 6]).unwrap(), [1, 2, 3, 4]);
    }

    #[test]
    fn publishers_that_write_differently_make_one_stream() {
        let mut unpacker = Unpacker::new(stereo(), Encoding::S16Le, Some(Samples::S16Le)).unwrap();
        let floats = [0.5_f32, -1.0, 7.0, f32::NAN].map(f32::to_le_bytes).concat();
        assert_eq!(unpacker.unpack(Samples::F32Le, &floats).unwrap(), [0, 0x40, 0, 0x80, 0xFF, 0x7F, 0, 0]);
        assert_eq!(unpacker.unpack(Samples::S16Le, &[9; 4]).unwrap(), [9; 4]);
        let mut floats = Unpacker::new(stereo(), Encoding::F32Le, None).unwrap();
        let half = 0.5_f32.to_le_bytes();
        assert_eq!(floats.unpack(Samples::S16Le, &[0, 0x40, 0, 0x40]).unwrap(), [half, half].concat());
    }

    #[test]
    fn a_codec_without_a_name_is_said_by_its_number() {
        assert!(Unpacker::new(stereo(), Encoding::S16Le, Some(Samples::Unknown(9))).is_err());
        let mut unpacker = Unpacker::new(stereo(), Encoding::S16Le, None).unwrap();
        let error = unpacker.unpack(Samples::Unknown(9), &[]).unwrap_err();
        assert!(error.is_final() && error.to_string().contains("codec 9"), "{error}");
    }

    #[cfg(feature = "opus")]
    #[test]
    fn a_packet_that_is_none_costs_itself_alone() {
        let rate = nyx_core::Bitrate::from_bits_per_second(64_000);
        let packet = opus::Encoder::new(stereo(), 480, rate).unwrap().encode(&[0.25; 960]).unwrap();
        let mut unpacker = Unpacker::new(stereo(), Encoding::S16Le, Some(Samples::Opus)).unwrap();
        assert!(!unpacker.unpack(Samples::Opus, &[]).unwrap_err().is_final());
        assert_eq!(unpacker.unpack(Samples::Opus, &packet).unwrap().len(), 480 * 4);
    }

    #[cfg(not(feature = "opus"))]
    #[test]
    fn a_build_without_opus_says_how_to_get_it() {
        let mut unpacker = Unpacker::new(stereo(), Encoding::S16Le, None).unwrap();
        let error = unpacker.unpack(Samples::Opus, &[1, 2]).unwrap_err();
        assert!(error.is_final() && error.to_string().contains("--features opus"), "{error}");
    }
}
