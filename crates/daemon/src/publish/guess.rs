//! What an input is, by its first bytes.

use nyx_client::{FrameCodec, Kind};

use super::jpeg;

/// What the first bytes look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Jpeg,
    Png,
    WebP,
    Wav,
    /// Lines that begin with `{`.
    Json,
    /// Anything else.
    Lines,
}

impl Format {
    /// Looks at the first bytes of an input. `None`: they may still become several things, read on.
    pub(crate) fn of(head: &[u8]) -> Option<Self> {
        for (magic, format) in MAGICS {
            let known = head.len().min(magic.len());
            let fits = |(have, want): (&u8, &Option<u8>)| want.is_none_or(|want| *have == want);
            if !head.iter().zip(*magic).all(fits) {
                continue;
            }
            return (known == magic.len()).then_some(*format);
        }
        match head.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'{') => Some(Self::Json),
            _ => Some(Self::Lines),
        }
    }

    /// The kind of topic that it is published as, unless somebody says otherwise.
    pub(crate) const fn kind(self) -> Kind {
        match self {
            Self::Jpeg | Self::Png | Self::WebP => Kind::Frame,
            Self::Wav => Kind::Audio,
            Self::Json => Kind::State,
            Self::Lines => Kind::Event,
        }
    }

    /// Its name for people.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::WebP => "WebP",
            Self::Wav => "WAV",
            Self::Json => "JSON lines",
            Self::Lines => "lines",
        }
    }

    /// How its frames are encoded; `None` if it has none.
    pub(crate) const fn frame_codec(self) -> Option<FrameCodec> {
        match self {
            Self::Jpeg => Some(FrameCodec::Jpeg),
            Self::Png => Some(FrameCodec::Png),
            Self::WebP => Some(FrameCodec::WebP),
            _ => None,
        }
    }

    /// Its media type, where there is one.
    pub(crate) const fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::WebP => "image/webp",
            _ => "",
        }
    }
}

/// First bytes; `None` is any byte. No two fit the same input.
const MAGICS: &[(&[Option<u8>], Format)] = &[
    (&magic(jpeg::START), Format::Jpeg),
    (&magic(*b"\x89PNG\r\n\x1a\n"), Format::Png),
    (&form(*b"RIFF", *b"WAVE"), Format::Wav),
    // What a WAV file becomes past 4 GiB.
    (&form(*b"RF64", *b"WAVE"), Format::Wav),
    (&form(*b"RIFF", *b"WEBP"), Format::WebP),
];

const fn magic<const N: usize>(bytes: [u8; N]) -> [Option<u8>; N] {
    let mut magic = [None; N];
    let mut at = 0;
    while at < N {
        magic[at] = Some(bytes[at]);
        at += 1;
    }
    magic
}

/// A container that names its length and then its form.
const fn form(container: [u8; 4], form: [u8; 4]) -> [Option<u8>; 12] {
    let [r, i, f, g] = magic(container);
    let [a, b, c, d] = magic(form);
    [r, i, f, g, None, None, None, None, a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_known_by_their_first_bytes() {
        let cases: [(&[u8], Format); 10] = [
            (b"\xff\xd8\xff\xe0\0\x10JFIF", Format::Jpeg),
            (b"\x89PNG\r\n\x1a\n\0\0", Format::Png),
            (b"RIFF\x24\0\0\0WAVEfmt ", Format::Wav),
            (b"RF64\xff\xff\xff\xffWAVEds64", Format::Wav),
            (b"RIFF\x24\0\0\0WEBPVP8 ", Format::WebP),
            (b"RIFF\x24\0\0\0AVI LIST", Format::Lines),
            (b"RIFFLE shuffles\n", Format::Lines),
            (b"{\"a\": 1}\n", Format::Json),
            (b"  \n {\n", Format::Json),
            (b"hello\n", Format::Lines),
        ];
        for (head, format) in cases {
            assert_eq!(Format::of(head), Some(format), "{}", head.escape_ascii());
        }
    }

    #[test]
    fn a_beginning_that_may_become_several_things_is_not_decided() {
        for head in [&b"R"[..], b"RIFF", b"RIFF\x24\0\0\0W", b"\xff", b"\xff\xd8", b"\x89PN"] {
            assert_eq!(Format::of(head), None, "{}", head.escape_ascii());
        }
        assert_eq!(Format::of(b""), None);
    }
}
