//! WAV that is readable at any moment.

use std::io::{self, Seek, SeekFrom, Write};

use thiserror::Error;

use super::{SIZE_UNKNOWN, TAG_FLOAT, TAG_PCM};
use crate::format::{Encoding, Format};

/// Writes WAV as the samples come.
///
/// To a file, the header is true after each [`flush`](Self::flush): a process that is killed leaves a file that every
/// player reads up to there. To a pipe the sizes are 0xFFFFFFFF, which players take for "until it ends".
/// Nothing is buffered here; wrap the output in a [`std::io::BufWriter`] where chunks are small.
///
/// ```
/// use nyx_audio_capture::{Encoding, Format, Melody, Source, wav};
/// use std::io::Cursor;
///
/// let mut melody = Melody::new();
/// let mut writer = wav::Writer::to_file(Cursor::new(Vec::new()), melody.format(), melody.encoding())?;
/// while writer.frames() < 48_000 {
///     let chunk = melody.next_chunk(960)?.expect("a melody without end");
///     writer.write(&chunk.pcm)?;
///     writer.flush()?;
/// }
/// assert_eq!(writer.finish()?.into_inner().len(), 44 + 48_000 * 4);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Writer<W> {
    output: W,
    format: Format,
    encoding: Encoding,
    data_bytes: u64,
    /// Rewrites the header; there is one where the output can seek.
    amend: Option<Amend<W>>,
}

impl<W: Write + Seek> Writer<W> {
    /// Starts a WAV file at the beginning of `output`, which should be empty.
    ///
    /// # Errors
    ///
    /// [`WriteError::Io`] when the header could not be written.
    pub fn to_file(output: W, format: Format, encoding: Encoding) -> Result<Self, WriteError> {
        let mut writer = Self { output, format, encoding, data_bytes: 0, amend: Some(amend) };
        writer.flush()?;
        Ok(writer)
    }
}

impl<W: Write> Writer<W> {
    /// Starts a WAV stream of unknown length on an output that can't seek.
    ///
    /// # Errors
    ///
    /// [`WriteError::Io`] when the header could not be written.
    pub fn to_pipe(output: W, format: Format, encoding: Encoding) -> Result<Self, WriteError> {
        let mut writer = Self { output, format, encoding, data_bytes: 0, amend: None };
        writer.output.write_all(&header(format, encoding, None))?;
        writer.flush()?;
        Ok(writer)
    }

    /// Appends interleaved samples in this writer's encoding.
    ///
    /// # Errors
    ///
    /// [`WriteError::Ragged`] and [`WriteError::Full`] before anything is written, else [`WriteError::Io`]. After
    /// that a file is put right by the next flush that succeeds, without these samples.
    pub fn write(&mut self, pcm: &[u8]) -> Result<(), WriteError> {
        let frame_bytes = self.format.frame_bytes(self.encoding);
        if !pcm.len().is_multiple_of(frame_bytes) {
            return Err(WriteError::Ragged { bytes: pcm.len(), frame_bytes });
        }
        let data_bytes = self.data_bytes + pcm.len() as u64;
        if self.amend.is_some() && data_bytes > DATA_BYTES_MAX {
            return Err(WriteError::Full { frames: self.frames() });
        }
        self.output.write_all(pcm)?;
        self.data_bytes = data_bytes;
        Ok(())
    }

    /// Pushes everything out, and makes a file's header say what is there. Once a second or so is plenty.
    ///
    /// # Errors
    ///
    /// [`WriteError::Io`].
    pub fn flush(&mut self) -> Result<(), WriteError> {
        if let Some(amend) = self.amend {
            let header = header(self.format, self.encoding, Some(self.data_bytes));
            // Samples first: a header must not count what is not there yet.
            self.output.flush()?;
            amend(&mut self.output, &header, self.data_bytes)?;
        }
        Ok(self.output.flush()?)
    }

    /// Flushes and gives the output back.
    ///
    /// # Errors
    ///
    /// [`WriteError::Io`].
    pub fn finish(mut self) -> Result<W, WriteError> {
        self.flush()?;
        Ok(self.output)
    }

    /// Frames written so far.
    pub fn frames(&self) -> u64 {
        self.data_bytes / self.format.frame_bytes(self.encoding) as u64
    }
}

/// Why samples were not written.
#[derive(Debug, Error)]
pub enum WriteError {
    /// The samples end in the middle of a frame. The caller erred: pass whole frames.
    #[error("{bytes} bytes are no whole number of {frame_bytes}-byte frames")]
    Ragged {
        /// Bytes passed.
        bytes: usize,
        /// Bytes of a frame in this file.
        frame_bytes: usize,
    },
    /// The file is as long as its 32-bit sizes can say. Finish it and start another.
    #[error("the WAV file is full after {frames} frames, it can hold 4 GiB: finish it and start another")]
    Full {
        /// Frames in the file.
        frames: u64,
    },
    /// The output could not be written. Check the disk's free space, or the process that reads the pipe.
    #[error("cannot write WAV: {0}. Check the free space, or the process that reads the pipe")]
    Io(#[from] io::Error),
}

/// How a header is written where there is one already: output, header, bytes of samples after it.
type Amend<W> = fn(&mut W, &[u8], u64) -> io::Result<()>;

/// Writes `header` at the start, in one piece, and goes back to the end of the samples.
fn amend<W: Write + Seek>(output: &mut W, header: &[u8], data_bytes: u64) -> io::Result<()> {
    output.seek(SeekFrom::Start(0))?;
    output.write_all(header)?;
    output.seek(SeekFrom::Start(header.len() as u64 + data_bytes))?;
    Ok(())
}

/// All that stands before the samples, for so many bytes of them or for nobody knows how many.
fn header(format: Format, encoding: Encoding, data_bytes: Option<u64>) -> Vec<u8> {
    let frame_bytes = format.frame_bytes(encoding);
    let known = |size: u64| u32::try_from(size).unwrap_or(SIZE_UNKNOWN);
    let mut chunks = b"WAVEfmt ".to_vec();
    // Whatever is not PCM has an extension, be it empty, and a `fact` chunk with its length in frames.
    let (tag, fmt_bytes) = match encoding {
        Encoding::S16Le => (TAG_PCM, 16_u32),
        Encoding::F32Le => (TAG_FLOAT, 18),
    };
    chunks.extend(fmt_bytes.to_le_bytes());
    chunks.extend(tag.to_le_bytes());
    chunks.extend(format.channels().to_le_bytes());
    chunks.extend(format.sample_rate().to_le_bytes());
    chunks.extend((frame_bytes as u32 * format.sample_rate()).to_le_bytes());
    chunks.extend((frame_bytes as u16).to_le_bytes());
    chunks.extend((8 * encoding.sample_bytes() as u16).to_le_bytes());
    if encoding == Encoding::F32Le {
        chunks.extend(0_u16.to_le_bytes());
        chunks.extend(b"fact\x04\0\0\0");
        chunks
            .extend(data_bytes.map_or(SIZE_UNKNOWN, |bytes| known(bytes / frame_bytes as u64)).to_le_bytes());
    }
    chunks.extend(b"data");
    chunks.extend(data_bytes.map_or(SIZE_UNKNOWN, known).to_le_bytes());

    let riff_bytes = data_bytes.map_or(SIZE_UNKNOWN, |bytes| known(chunks.len() as u64 + bytes));
    [&b"RIFF"[..], &riff_bytes.to_le_bytes(), &chunks].concat()
}

/// The most bytes of samples in a file. The sizes in the header are 32 bits wide, and the outer one counts 50 bytes of
/// header too; beyond what is left readers take a size for "unknown".
const DATA_BYTES_MAX: u64 = SIZE_UNKNOWN as u64 - 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{CHANNELS_MAX, SAMPLE_RATE_MAX};

    /// A sink that counts and seeks, so that 4 GiB need no memory.
    struct Counter(u64);

    impl Write for Counter {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len() as u64;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Seek for Counter {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            if let SeekFrom::Start(at) = to {
                self.0 = at;
            }
            Ok(self.0)
        }
    }

    #[test]
    fn a_file_refuses_what_its_header_could_not_say() {
        let format = Format::new(SAMPLE_RATE_MAX, CHANNELS_MAX.into()).unwrap();
        let mut writer = Writer::to_file(Counter(0), format, Encoding::F32Le).unwrap();
        let block = vec![0; 1 << 24];
        let error = std::iter::repeat_with(|| writer.write(&block)).find_map(Result::err).unwrap();
        assert!(matches!(error, WriteError::Full { frames } if frames == 255 << 16), "{error}");
        assert_eq!(writer.finish().unwrap().0, 58 + (255 << 24));
    }

    #[test]
    fn half_frames_are_refused_and_not_written() {
        let format = Format::new(8_000, 2).unwrap();
        let mut writer = Writer::to_pipe(Vec::new(), format, Encoding::S16Le).unwrap();
        assert!(matches!(writer.write(&[0; 6]), Err(WriteError::Ragged { bytes: 6, frame_bytes: 4 })));
        assert_eq!(writer.finish().unwrap().len(), 44);
    }
}
