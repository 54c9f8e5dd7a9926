//! The `fmt ` chunk: what the bytes of the samples mean.

use super::header::OpenError;
use super::sample::Stored;
use super::{TAG_EXTENSIBLE, TAG_FLOAT, TAG_PCM};
use crate::format::Format;

/// A `fmt ` chunk that makes sense.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fmt {
    pub(super) format: Format,
    pub(super) stored: Stored,
}

impl Fmt {
    /// Parses the chunk's content: `WAVEFORMAT`, `WAVEFORMATEX` or `WAVEFORMATEXTENSIBLE`.
    pub(super) fn parse(body: &[u8]) -> Result<Self, OpenError> {
        let too_short = OpenError::Malformed("the format is shorter than 16 bytes");
        let Some(([tag, channels, rate_low, rate_high, _, _, frame_bytes, bits], rest)) = halves::<8>(body)
        else {
            return Err(too_short);
        };
        let tag = if tag == TAG_EXTENSIBLE { extension_tag(rest)? } else { tag };
        let format = Format::new(u32::from(rate_high) << 16 | u32::from(rate_low), channels.into())?;
        if !frame_bytes.is_multiple_of(channels) {
            return Err(OpenError::Malformed("the bytes of a frame are no multiple of its channels"));
        }
        // The width is that of the container. Fewer valid bits stand at its top, so nothing has to be known of them.
        let stored = match (tag, frame_bytes / channels) {
            (TAG_PCM, 1) => Stored::U8,
            (TAG_PCM, 2) => Stored::I16,
            (TAG_PCM, 3) => Stored::I24,
            (TAG_PCM, 4) => Stored::I32,
            (TAG_FLOAT, 4) => Stored::F32,
            (TAG_FLOAT, 8) => Stored::F64,
            _ => return Err(OpenError::Unsupported { tag, bits }),
        };
        Ok(Self { format, stored })
    }
}

/// The format tag that leads the sub-format's GUID, after extension size, valid bits and the channel mask.
fn extension_tag(rest: &[u8]) -> Result<u16, OpenError> {
    let too_short = OpenError::Malformed("the format's extension is shorter than 24 bytes");
    let Some(([_, _, _, _, tag], guid)) = halves::<5>(rest) else { return Err(too_short) };
    let guid = guid.get(..GUID_TAIL.len()).ok_or(too_short)?;
    if guid == GUID_TAIL { Ok(tag) } else { Err(OpenError::Unsupported { tag: TAG_EXTENSIBLE, bits: 0 }) }
}

/// The first `N` 16-bit numbers and what follows them.
fn halves<const N: usize>(bytes: &[u8]) -> Option<([u16; N], &[u8])> {
    let (head, rest) = bytes.split_at_checked(2 * N)?;
    let (halves, _) = head.as_chunks::<2>();
    Some((std::array::from_fn(|at| u16::from_le_bytes(halves[at])), rest))
}

/// What follows the tag in the GUID of every sub-format that is a format tag.
const GUID_TAIL: [u8; 14] = [0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xAA, 0, 0x38, 0x9B, 0x71];

#[cfg(test)]
mod tests {
    use super::*;

    fn fmt(tag: u16, channels: u16, frame_bytes: u16, bits: u16) -> Vec<u8> {
        let mut body = Vec::new();
        for half in [tag, channels, 48_000, 0, 0, 0, frame_bytes, bits] {
            body.extend(half.to_le_bytes());
        }
        body
    }

    fn extensible(tag: u16) -> Vec<u8> {
        let mut body = fmt(TAG_EXTENSIBLE, 2, 8, 32);
        for half in [22, 24, 3, 0, tag] {
            body.extend(u16::to_le_bytes(half));
        }
        body.extend(GUID_TAIL);
        body
    }

    #[test]
    fn an_extension_says_what_the_tag_does_not() {
        assert_eq!(Fmt::parse(&extensible(TAG_PCM)).unwrap().stored, Stored::I32);
        assert_eq!(Fmt::parse(&extensible(TAG_FLOAT)).unwrap().stored, Stored::F32);
    }

    #[test]
    fn compressed_formats_are_unsupported() {
        let error = Fmt::parse(&fmt(0x55, 2, 1, 0)).unwrap_err();
        assert!(
            matches!(error, OpenError::Unsupported { tag: 0x55, .. })
                || matches!(error, OpenError::Malformed(_))
        );
        assert!(matches!(Fmt::parse(&extensible(2)), Err(OpenError::Unsupported { tag: 2, bits: 32 })));
    }

    #[test]
    fn a_format_that_ends_early_is_malformed() {
        for whole in [fmt(TAG_PCM, 2, 4, 16), extensible(TAG_PCM)] {
            for len in 0..whole.len() {
                assert!(matches!(Fmt::parse(&whole[..len]), Err(OpenError::Malformed(_))), "{len}");
            }
        }
    }

    #[test]
    fn no_channels_no_rate_and_odd_frames_are_refused() {
        assert!(matches!(Fmt::parse(&fmt(TAG_PCM, 0, 4, 16)), Err(OpenError::Format(_))));
        assert!(matches!(Fmt::parse(&fmt(TAG_PCM, 3, 4, 16)), Err(OpenError::Malformed(_))));
        assert!(matches!(Fmt::parse(&fmt(TAG_PCM, 2, 0, 16)), Err(OpenError::Unsupported { .. })));
    }
}
