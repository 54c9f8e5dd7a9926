//! WAV that is readable at any moment.

use std::io::{self, Seek, SeekFrom, Write};

use thiserror::Error;

use super::layout::{Layout, ROOM_BYTES, room};
use super::{SIZE_UNKNOWN, TAG_FLOAT, TAG_PCM};
use crate::format::{Encoding, Format};

/// Writes WAV as the samples come.
///
/// To a file, the header is true after each [`flush`](Self::flush): a process that is killed leaves a file that every
/// player reads up to there. Past 4 GiB it becomes RF64. To a pipe the sizes are 0xFFFFFFFF, which players take for "until it ends".
/// Nothing is buffered here; wrap the output in a [`std::io::BufWriter`] where chunks are small.
///
/// ```
/// use nyx_audio_capture::{Encoding, Format, Melody, Source, wav};
/// use std::io::Cursor;
///
/// let mut melody = Melody::new();
/// let mut writer = wav::Writer::to_file(Cursor::new(Vec::new()), melody.format(), melody.encoding())?;
/// while writer.frames() < 48_000 {
///     let chunk = melody.next_block(960)?.expect("a melody without end");
///     writer.write(&chunk.pcm)?;
///     writer.flush()?;
/// }
/// assert_eq!(writer.finish()?.into_inner().len(), 80 + 48_000 * 4);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Writer<W> {
    output: W,
    format: Format,
    encoding: Encoding,
    data_bytes: u64,
    /// Makes the header true; there is one where the output can seek.
    amend: Option<(Layout, Amend<W>)>,
}

impl<W: Write + Seek> Writer<W> {
    /// Starts a WAV file at the beginning of `output`, which should be empty.
    ///
    /// # Errors
    ///
    /// [`WriteError::Io`] when the header could not be written.
    pub fn to_file(output: W, format: Format, encoding: Encoding) -> Result<Self, WriteError> {
        let (header, layout) = header(format, encoding, Some(0));
        let mut writer =
            Self { output, format, encoding, data_bytes: 0, amend: Some((layout, Layout::write)) };
        writer.output.write_all(&header)?;
        writer.flush()?;
        Ok(writer)
    }

    /// Goes on with a WAV file that ends with its samples, in whose header sizes stand as `layout` says.
    pub(super) fn resume(
        mut output: W,
        format: Format,
        encoding: Encoding,
        layout: Layout,
        data_bytes: u64,
    ) -> io::Result<Self> {
        output.seek(SeekFrom::Start(layout.data_at + data_bytes))?;
        Ok(Self { output, format, encoding, data_bytes, amend: Some((layout, Layout::write)) })
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
        writer.output.write_all(&header(format, encoding, None).0)?;
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
        if self.amend.as_ref().is_some_and(|(layout, _)| !layout.can_say(data_bytes)) {
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
        if let Some((layout, amend)) = self.amend {
            // Samples first: a header must not count what is not there yet.
            self.output.flush()?;
            amend(&layout, &mut self.output, self.data_bytes, self.format.frame_bytes(self.encoding))?;
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
    /// The file was begun by another program, which left no room for 64-bit sizes, and is as long as 32 bits can say. Finish it and start
    /// another.
    #[error("the WAV file is full after {frames} frames, it can hold 4 GiB: finish it and start another")]
    Full {
        /// Frames in the file.
        frames: u64,
    },
    /// The output could not be written. Check the disk's free space, or the process that reads the pipe.
    #[error("cannot write WAV: {0}. Check the free space, or the process that reads the pipe")]
    Io(#[from] io::Error),
}

/// [`Layout::write`] for an output of this type.
type Amend<W> = fn(&Layout, &mut W, u64, usize) -> io::Result<()>;

/// All that stands before the samples, for so many bytes of them or for nobody knows how many, and where in it the sizes are. A
/// file, of which one knows, has room for 64-bit sizes.
fn header(format: Format, encoding: Encoding, data_bytes: Option<u64>) -> (Vec<u8>, Layout) {
    let frame_bytes = format.frame_bytes(encoding);
    let mut header = [&b"RIFF"[..], &SIZE_UNKNOWN.to_le_bytes(), b"WAVE"].concat();
    if data_bytes.is_some() {
        header.extend(room(b"JUNK", ROOM_BYTES, [0; 3]));
    }
    header.extend(b"fmt ");
    // Whatever is not PCM has an extension, be it empty, and a `fact` chunk with its length in frames.
    let (tag, fmt_bytes) = match encoding {
        Encoding::S16Le | Encoding::S24Le => (TAG_PCM, 16_u32),
        Encoding::F32Le => (TAG_FLOAT, 18),
    };
    header.extend(fmt_bytes.to_le_bytes());
    header.extend(tag.to_le_bytes());
    header.extend(format.channels().to_le_bytes());
    header.extend(format.sample_rate().to_le_bytes());
    header.extend((frame_bytes as u32 * format.sample_rate()).to_le_bytes());
    header.extend((frame_bytes as u16).to_le_bytes());
    header.extend((8 * encoding.sample_bytes() as u16).to_le_bytes());
    let mut fact_at = None;
    if encoding == Encoding::F32Le {
        header.extend(0_u16.to_le_bytes());
        header.extend(b"fact\x04\0\0\0");
        fact_at = Some(header.len() as u64);
        header.extend(SIZE_UNKNOWN.to_le_bytes());
    }
    header.extend(b"data");
    header.extend(SIZE_UNKNOWN.to_le_bytes());
    let layout = Layout { data_at: header.len() as u64, fact_at, room: data_bytes.map(|_| ROOM_BYTES) };
    (header, layout)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{CHANNELS_MAX, SAMPLE_RATE_MAX};

    /// A sink that keeps what comes first, and of the rest the position alone, so that 4 GiB need no memory.
    #[derive(Default)]
    struct Sparse {
        head: Vec<u8>,
        at: u64,
    }

    impl Write for Sparse {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            for (index, byte) in bytes.iter().enumerate().take(200) {
                let at = self.at as usize + index;
                if at < 200 {
                    self.head.resize(self.head.len().max(at + 1), 0);
                    self.head[at] = *byte;
                }
            }
            self.at += bytes.len() as u64;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Seek for Sparse {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            if let SeekFrom::Start(at) = to {
                self.at = at;
            }
            Ok(self.at)
        }
    }

    #[test]
    fn past_four_gib_a_file_becomes_rf64() {
        let format = Format::new(SAMPLE_RATE_MAX, CHANNELS_MAX.into()).unwrap();
        let mut writer = Writer::to_file(Sparse::default(), format, Encoding::F32Le).unwrap();
        let block = vec![0; 1 << 24];
        for _ in 0..257 {
            writer.write(&block).unwrap();
        }
        let header = writer.finish().unwrap().head;
        assert_eq!((&header[..4], &header[8..16]), (&b"RF64"[..], &b"WAVEds64"[..]));
        let reader = crate::wav::Reader::open(&header[..]).unwrap();
        assert_eq!(reader.frames_left(), Some((257 << 24) / 256));
    }

    #[test]
    fn the_room_that_others_left_keeps_its_size_when_it_comes_to_hold_sizes() {
        let format = Format::new(48_000, 2).unwrap();
        let (ours, _) = header(format, Encoding::S16Le, None);
        for size in [28, 34, 92] {
            let mut theirs = [&ours[..12], b"JUNK", &u32::to_le_bytes(size)].concat();
            theirs.resize(theirs.len() + size as usize, 0);
            theirs.extend(&ours[12..]);
            let layout = crate::wav::header::Header::read(&mut &theirs[..]).unwrap().layout;
            let mut output = Sparse { head: theirs, at: 0 };
            let data_bytes = 5 << 30;
            layout.write(&mut output, data_bytes, 4).unwrap();
            let header = crate::wav::header::Header::read(&mut &output.head[..]).unwrap();
            assert_eq!(
                (header.data_bytes, header.is_long, header.layout),
                (data_bytes, true, layout),
                "{size}"
            );
            // And back, as a file is repaired that was cut.
            layout.write(&mut output, 400, 4).unwrap();
            let header = crate::wav::header::Header::read(&mut &output.head[..]).unwrap();
            assert_eq!((header.data_bytes, header.is_long, header.layout), (400, false, layout), "{size}");
        }
    }

    #[test]
    fn a_header_without_room_refuses_what_it_could_not_say() {
        let layout = Layout { data_at: 44, fact_at: None, room: None };
        let format = Format::new(48_000, 2).unwrap();
        let full = u64::from(u32::MAX) / 4 * 4 - 8_000;
        let mut writer = Writer::resume(Sparse::default(), format, Encoding::S16Le, layout, full).unwrap();
        writer.write(&[0; 3_000]).unwrap();
        assert!(matches!(writer.write(&[0; 3_000]), Err(WriteError::Full { .. })));
    }

    #[test]
    fn half_frames_are_refused_and_not_written() {
        let format = Format::new(8_000, 2).unwrap();
        let mut writer = Writer::to_pipe(Vec::new(), format, Encoding::S16Le).unwrap();
        assert!(matches!(writer.write(&[0; 6]), Err(WriteError::Ragged { bytes: 6, frame_bytes: 4 })));
        assert_eq!(writer.finish().unwrap().len(), 44);
    }
}
