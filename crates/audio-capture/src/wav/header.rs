//! The way through a WAV file's chunks to its samples.

use std::io::{self, Read};

use thiserror::Error;

use super::SIZE_UNKNOWN;
use super::fmt::Fmt;
use super::layout::{Layout, ROOM_AT, ROOM_BYTES};
use crate::format::InvalidFormat;

/// Why an input can't be read as WAV.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The input is something else. Convert it.
    #[error("this is no WAV file, it starts with `{}`. {CONVERT}", .0.escape_ascii())]
    NotWav(
        /// The first four bytes.
        [u8; 4],
    ),
    /// The samples are compressed, or of a width that is never seen. Convert it.
    #[error("WAV with format tag {tag:#06x} and {bits} bits per sample is not supported. {CONVERT}")]
    Unsupported {
        /// The registered number of the format; 1 is PCM.
        tag: u16,
        /// Bits per sample as declared.
        bits: u16,
    },
    /// Rate or channels are out of bounds.
    #[error(transparent)]
    Format(#[from] InvalidFormat),
    /// The header contradicts itself. Whatever wrote the file erred; converting it may repair it.
    #[error("the WAV header is malformed: {0}. {CONVERT}")]
    Malformed(
        /// What is wrong.
        &'static str,
    ),
    /// The input ends inside the header. Get a whole copy, or see why the process that writes the pipe stopped.
    #[error(
        "the input ends inside the WAV header: get a whole copy, or see why the process that writes the pipe stopped"
    )]
    Truncated,
    /// The input could not be read. Check the disk, or the process at the other end of the pipe.
    #[error("cannot read the WAV header: {0}. Check the disk, or the process that writes the pipe")]
    Io(#[source] io::Error),
}

/// What stands before the samples.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) fmt: Fmt,
    pub(super) layout: Layout,
    /// Bytes of samples as declared, which may be a lie.
    pub(super) data_bytes: u64,
    /// Whether that is a 64-bit size, which is never a placeholder. Of others see [`super::SIZE_UNKNOWN`].
    pub(super) is_long: bool,
}

impl Header {
    /// Reads up to the first sample.
    pub(super) fn read(input: &mut impl Read) -> Result<Self, OpenError> {
        let mut input = input.take(HEADER_BYTES_MAX);
        let [riff, _, wave] = array::<12>(&mut input).map(|bytes| words(&bytes))?;
        let is_riff = &riff == b"RIFF" || &riff == b"RF64";
        if !is_riff || &wave != b"WAVE" {
            return Err(OpenError::NotWav(if is_riff { wave } else { riff }));
        }
        let mut chunks = Chunks::default();
        loop {
            let at = position(&input);
            let [kind, size] = array::<8>(&mut input).map(|bytes| words(&bytes))?;
            let size = u32::from_le_bytes(size);
            if &kind == b"data" {
                return chunks.finish(position(&input), size);
            }
            chunks.read(&mut input, at, kind, size)?;
        }
    }
}

/// What the chunks before the samples have told so far.
#[derive(Default)]
struct Chunks {
    fmt: Option<Fmt>,
    /// Bytes of samples by the chunk `ds64`.
    long: Option<u64>,
    fact_at: Option<u64>,
    /// Bytes of the chunk that says 64-bit sizes or has room for them.
    room: Option<u32>,
}

impl Chunks {
    fn read(
        &mut self,
        input: &mut io::Take<impl Read>,
        at: u64,
        kind: [u8; 4],
        size: u32,
    ) -> Result<(), OpenError> {
        // Others leave more room than we, whose size has to stay: what follows stands behind it.
        let room = (size >= ROOM_BYTES && at == ROOM_AT).then_some(size);
        match &kind {
            b"fmt " => self.fmt = Some(read_fmt(input, size)?),
            b"ds64" if size >= ROOM_BYTES => {
                let [_, data, _] = array::<24>(input).map(|bytes| [0, 8, 16].map(|at| long(&bytes, at)))?;
                (self.long, self.room) = (Some(data), self.room.or(room));
                skip(input, padded(size) - 24)?;
            }
            b"JUNK" => {
                self.room = self.room.or(room);
                skip(input, padded(size))?;
            }
            b"fact" => {
                self.fact_at = (size >= 4).then(|| position(input));
                skip(input, padded(size))?;
            }
            _ => skip(input, padded(size))?,
        }
        Ok(())
    }

    fn finish(self, data_at: u64, size: u32) -> Result<Header, OpenError> {
        let fmt = self.fmt.ok_or(OpenError::Malformed("the samples come before their format"))?;
        let layout = Layout { data_at, fact_at: self.fact_at, room: self.room };
        let long = self.long.filter(|_| size == SIZE_UNKNOWN);
        Ok(Header { fmt, layout, data_bytes: long.unwrap_or(size.into()), is_long: long.is_some() })
    }
}

fn position(input: &io::Take<impl Read>) -> u64 {
    HEADER_BYTES_MAX - input.limit()
}

fn long(bytes: &[u8; 24], at: usize) -> u64 {
    u64::from_le_bytes(std::array::from_fn(|index| bytes[at + index]))
}

fn read_fmt(input: &mut io::Take<impl Read>, size: u32) -> Result<Fmt, OpenError> {
    let mut body = Vec::new();
    let len = u64::from(size).min(FMT_BYTES_USED);
    input.by_ref().take(len).read_to_end(&mut body).map_err(OpenError::Io)?;
    if (body.len() as u64) < len {
        return Err(ended(input));
    }
    skip(input, padded(size) - len)?;
    Fmt::parse(&body)
}

/// The size of a chunk in the file: an odd one is followed by a byte that belongs to nothing.
pub(super) fn padded(size: u32) -> u64 {
    u64::from(size).next_multiple_of(2)
}

fn skip(input: &mut io::Take<impl Read>, bytes: u64) -> Result<(), OpenError> {
    let skipped = io::copy(&mut input.by_ref().take(bytes), &mut io::sink()).map_err(OpenError::Io)?;
    if skipped == bytes { Ok(()) } else { Err(ended(input)) }
}

fn array<const N: usize>(input: &mut io::Take<impl Read>) -> Result<[u8; N], OpenError> {
    let mut bytes = [0; N];
    input.read_exact(&mut bytes).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => ended(input),
        _ => OpenError::Io(error),
    })?;
    Ok(bytes)
}

/// Why there was no more: the input's end, or our own bound.
fn ended(input: &io::Take<impl Read>) -> OpenError {
    match input.limit() {
        0 => OpenError::Malformed("no samples in the first 64 MiB"),
        _ => OpenError::Truncated,
    }
}

fn words<const N: usize>(bytes: &[u8]) -> [[u8; 4]; N] {
    let (words, _) = bytes.as_chunks::<4>();
    std::array::from_fn(|at| words[at])
}

/// How to get a file that is read for sure.
const CONVERT: &str = "Convert it with `ffmpeg -i INPUT -c:a pcm_s16le OUTPUT.wav`";

/// Where the search for the samples ends, so that an endless input of nonsense does too. Tags with cover pictures
/// stay far below.
const HEADER_BYTES_MAX: u64 = 64 << 20;

/// The part of a `fmt ` chunk that means something to us: all of `WAVEFORMATEXTENSIBLE`.
const FMT_BYTES_USED: u64 = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_files_are_named_by_their_first_bytes() {
        let error = Header::read(&mut &b"ID3\x04 and then some music"[..]).unwrap_err();
        assert!(matches!(error, OpenError::NotWav(_)));
        assert!(error.to_string().contains(r"ID3\x04") && error.to_string().contains("ffmpeg"), "{error}");
    }

    #[test]
    fn endless_nonsense_is_given_up() {
        let mut input = b"RIFF\xff\xff\xff\xffWAVE".chain(io::repeat(0));
        assert!(matches!(Header::read(&mut input), Err(OpenError::Malformed(_))));
        let mut input = b"RIFF\xff\xff\xff\xffWAVE".chain(io::repeat(0xEE));
        assert!(matches!(Header::read(&mut input), Err(OpenError::Malformed(_))));
    }

    #[test]
    fn samples_without_a_format_are_malformed() {
        let error = Header::read(&mut &b"RIFF\0\0\0\0WAVEdata\x04\0\0\0abcd"[..]).unwrap_err();
        assert!(matches!(error, OpenError::Malformed(_)), "{error}");
    }
}
