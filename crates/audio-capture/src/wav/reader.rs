//! WAV as a source.

use std::io::Read;

use super::header::{Header, OpenError};
use super::sample::Stored;
use super::{SIZE_DOUBTFUL, SIZE_UNKNOWN};
use crate::format::{Encoding, Format};
use crate::source::{self, Block, Source};

/// Reads WAV from anything that can be read, standard input included, without seeking.
///
/// | in the file | becomes |
/// | --- | --- |
/// | 16-bit integers | [`Encoding::S16Le`], bit for bit |
/// | 32-bit floats | [`Encoding::F32Le`], bit for bit |
/// | 8- and 24-bit integers | [`Encoding::F32Le`], exactly, full scale at -1.0 |
/// | 32-bit integers, 64-bit floats | [`Encoding::F32Le`], rounded to its 24 bits |
///
/// RF64, which holds more than 4 GiB, is read as well. Streams whose writer could not know their length (sizes of 2 GiB or 4 GiB, as `ffmpeg -f wav -`, `sox` and
/// `arecord` write them) end with the input. Reads are as long as a chunk, so a buffer around the input is not needed.
///
/// ```
/// use nyx_audio_capture::{Encoding, Format, Source, wav};
///
/// let format = Format::new(8_000, 1)?;
/// let mut writer = wav::Writer::to_pipe(Vec::new(), format, Encoding::S16Le)?;
/// writer.write(&[1, 0, 2, 0, 3, 0])?;
/// let file = writer.finish()?;
///
/// let mut reader = wav::Reader::open(&file[..])?;
/// assert_eq!((reader.format(), reader.encoding()), (format, Encoding::S16Le));
/// assert_eq!(reader.next_block(2)?.unwrap().pcm, &[1, 0, 2, 0][..]);
/// assert_eq!(reader.next_block(2)?.unwrap().pcm, &[3, 0][..]);
/// assert_eq!(reader.next_block(2)?, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    format: Format,
    stored: Stored,
    /// Bytes of samples that are still to come.
    remaining: u64,
    /// Whether the input may end before `remaining` is zero.
    open_ended: bool,
    next_frame: u64,
    failure: Option<source::Error>,
}

impl<R: Read> Reader<R> {
    /// Reads the header, up to the first sample.
    ///
    /// # Errors
    ///
    /// [`OpenError`] when the input is no WAV, or one that is not supported.
    pub fn open(mut input: R) -> Result<Self, OpenError> {
        let Header { fmt, data_bytes, is_long, .. } = Header::read(&mut input)?;
        let frame_bytes = stored_frame_bytes(fmt.format, fmt.stored);
        let endless = !is_long && data_bytes > u64::from(SIZE_UNKNOWN) - frame_bytes as u64;
        Ok(Self {
            input,
            format: fmt.format,
            stored: fmt.stored,
            remaining: if endless { u64::MAX } else { data_bytes },
            open_ended: !is_long && data_bytes >= SIZE_DOUBTFUL,
            next_frame: 0,
            failure: None,
        })
    }

    /// How many frames are left by the header's word, or `None` for a stream whose length nobody knew.
    pub fn frames_left(&self) -> Option<u64> {
        let frame_bytes = stored_frame_bytes(self.format, self.stored) as u64;
        (!self.open_ended).then_some(self.remaining / frame_bytes)
    }

    /// Fills `stored` with whole frames, at most `bytes`, and notes why there are fewer if there are.
    fn read_frames(&mut self, bytes: usize, frame_bytes: usize) -> Vec<u8> {
        let mut stored = Vec::with_capacity(bytes);
        let outcome = self.input.by_ref().take(bytes as u64).read_to_end(&mut stored);
        let ragged = stored.len() % frame_bytes;
        let complete = stored.len() == bytes;
        self.remaining -= stored.len() as u64;
        stored.truncate(stored.len() - ragged);
        let frames = self.next_frame + (stored.len() / frame_bytes) as u64;
        self.failure = match outcome {
            Err(error) => Some(source::Error::Io { frames, error }),
            Ok(_) if !complete && (ragged > 0 || !self.open_ended) => {
                Some(source::Error::Truncated { frames })
            }
            Ok(_) => None,
        };
        if !complete {
            self.remaining = 0;
        }
        stored
    }
}

impl<R: Read> Source for Reader<R> {
    fn format(&self) -> Format {
        self.format
    }

    fn encoding(&self) -> Encoding {
        self.stored.encoding()
    }

    fn next_block(&mut self, frames: usize) -> Result<Option<Block>, source::Error> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        let frame_bytes = stored_frame_bytes(self.format, self.stored);
        // Less than a frame can remain where the header's size is no multiple of one; nobody can play that.
        let left = usize::try_from(self.remaining / frame_bytes as u64).unwrap_or(usize::MAX);
        let wanted = frames.clamp(1, source::FRAMES_MAX).min(left);
        let stored = self.read_frames(wanted * frame_bytes, frame_bytes);
        if stored.is_empty() {
            return self.failure.take().map_or(Ok(None), Err);
        }
        let frames = stored.len() / frame_bytes;
        let first_frame = self.next_frame;
        self.next_frame += frames as u64;
        Ok(Some(Block { first_frame, frames, pcm: self.stored.convert(stored).into() }))
    }
}

fn stored_frame_bytes(format: Format, stored: Stored) -> usize {
    usize::from(format.channels()) * stored.bytes()
}
