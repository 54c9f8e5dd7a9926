//! FLAC as the samples come (RFC 9639), by the encoder of the crate `flacenc`.
//!
//! Blocks go to the output as soon as they are full, so a file whose writer was killed can be played up to its last whole block. Until it is
//! [finished](Writer::finish), its header says that nobody knows how long it is, which every decoder takes for "until it ends".

use std::io::{self, Seek, SeekFrom, Write};

use flacenc::bitsink::ByteSink;
use flacenc::component::{BitRepr as _, Frame, StreamInfo};
use flacenc::config;
use flacenc::error::{Verified, Verify as _};
use flacenc::source::{Context, Fill as _, FrameBuf};
use thiserror::Error;

use crate::format::{Encoding, Format};

/// Writes a FLAC file.
///
/// ```
/// use nyx_audio_capture::{Encoding, Melody, Source, flac};
/// use std::io::Cursor;
///
/// let mut melody = Melody::new();
/// let mut writer = flac::Writer::new(Cursor::new(Vec::new()), melody.format(), melody.encoding())?;
/// while writer.frames() < 48_000 {
///     writer.write(&melody.next_block(960)?.expect("a melody without end").pcm)?;
/// }
/// writer.finish()?;
/// let file = writer.into_output().into_inner();
/// assert!(file.starts_with(b"fLaC") && file.len() < 48_000 * 4 / 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Writer<W> {
    output: W,
    encoder: Verified<config::Encoder>,
    info: StreamInfo,
    /// Counts what is in the file, and sums it up for the header.
    written: Context,
    block: FrameBuf,
    encoding: Encoding,
    frame_bytes: usize,
    /// Less than a block.
    pending: Vec<u8>,
    /// Bytes of the header and of whole blocks.
    whole_bytes: u64,
    is_finished: bool,
}

impl<W: Write + Seek> Writer<W> {
    /// Starts a FLAC file at the beginning of `output`, which should be empty.
    ///
    /// # Errors
    ///
    /// [`CreateError`].
    pub fn new(output: W, format: Format, encoding: Encoding) -> Result<Self, CreateError> {
        let mut writer = Self::prepare(output, format, encoding)?;
        writer.put_header()?;
        writer.whole_bytes = (HEAD.len() + INFO_BYTES) as u64;
        Ok(writer)
    }

    /// Appends interleaved samples in this writer's encoding. What fills no block waits for more.
    ///
    /// # Errors
    ///
    /// Of the output. What is in it is right up to [`whole_bytes`](Self::whole_bytes). Half a frame, and anything after
    /// [`finish`](Self::finish), is invalid input.
    pub fn write(&mut self, mut pcm: &[u8]) -> io::Result<()> {
        if self.is_finished || !pcm.len().is_multiple_of(self.frame_bytes) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "half a frame, or a file that is finished",
            ));
        }
        let block_bytes = BLOCK * self.frame_bytes;
        while self.pending.len() + pcm.len() >= block_bytes {
            let (now, rest) = pcm.split_at(block_bytes - self.pending.len());
            self.pending.extend_from_slice(now);
            pcm = rest;
            self.put_block()?;
        }
        self.pending.extend_from_slice(pcm);
        Ok(())
    }

    /// Writes what waits for a block, and makes the header say how long the file is and what sum its samples have. Nothing follows then.
    ///
    /// # Errors
    ///
    /// Of the output.
    pub fn finish(&mut self) -> io::Result<()> {
        if !self.pending.is_empty() {
            self.put_block()?;
        }
        self.is_finished = true;
        self.amend()
    }

    /// Makes the header say what is in the whole blocks so far, after the output has failed.
    ///
    /// # Errors
    ///
    /// Of the output.
    pub fn amend(&mut self) -> io::Result<()> {
        self.info.set_md5_digest(&self.written.md5_digest());
        self.info.set_total_samples(self.written.total_samples());
        self.output.flush()?;
        self.output.seek(SeekFrom::Start(0))?;
        self.put_header()?;
        self.output.seek(SeekFrom::Start(self.whole_bytes))?;
        self.output.flush()
    }

    fn put_block(&mut self) -> io::Result<()> {
        let frame = self.encode()?;
        let mut bytes = ByteSink::with_capacity(frame.count_bits());
        frame.write(&mut bytes).map_err(unexpected)?;
        self.output.write_all(bytes.as_slice())?;
        // Only what is there is counted.
        self.whole_bytes += bytes.as_slice().len() as u64;
        self.info.update_frame_info(&frame);
        self.written.fill_le_bytes(&self.pending, self.encoding.sample_bytes()).map_err(unexpected)?;
        self.pending.clear();
        Ok(())
    }

    fn encode(&mut self) -> io::Result<Frame> {
        let number = self.written.current_frame_number().map_or(0, |last| last + 1);
        let len = self.pending.len() / self.frame_bytes;
        if len != self.block.size() {
            self.block.resize(len);
        }
        self.block.fill_le_bytes(&self.pending, self.encoding.sample_bytes()).map_err(unexpected)?;
        flacenc::encode_fixed_size_frame(&self.encoder, &self.block, number, &self.info).map_err(unexpected)
    }

    fn put_header(&mut self) -> io::Result<()> {
        // All blocks are as long but the last, which does not count.
        self.info.set_block_sizes(BLOCK, BLOCK).map_err(unexpected)?;
        let mut info = self.info.clone();
        if self.written.total_samples() == 0 {
            info.set_frame_sizes(0, 0).map_err(unexpected)?;
        }
        let mut bytes = ByteSink::new();
        info.write(&mut bytes).map_err(unexpected)?;
        self.output.write_all(&[HEAD, bytes.as_slice()].concat())
    }
}

impl<W> Writer<W> {
    /// All but the header, which is the first thing that is written.
    fn prepare(output: W, format: Format, encoding: Encoding) -> Result<Self, CreateError> {
        let bits = match encoding {
            Encoding::S16Le => 16,
            Encoding::S24Le => 24,
            Encoding::F32Le => return Err(CreateError::Floats),
        };
        let channels = usize::from(format.channels());
        let unfit = |_| CreateError::Format(format);
        let info = StreamInfo::new(format.sample_rate() as usize, channels, bits).map_err(unfit)?;
        let block = FrameBuf::with_size(channels, BLOCK).map_err(unfit)?;
        let mut encoder = config::Encoder::default();
        encoder.block_size = BLOCK;
        encoder.multithread = false;
        let encoder = encoder.into_verified().map_err(|_| CreateError::Format(format))?;
        Ok(Self {
            output,
            encoder,
            info,
            written: Context::new(bits, channels),
            block,
            encoding,
            frame_bytes: format.frame_bytes(encoding),
            pending: Vec::new(),
            whole_bytes: 0,
            is_finished: false,
        })
    }

    /// Frames so far, those that wait for a block included.
    pub fn frames(&self) -> u64 {
        (self.written.total_samples() + self.pending.len() / self.frame_bytes) as u64
    }

    /// Frames in whole blocks, which are in the output.
    pub fn whole_frames(&self) -> u64 {
        self.written.total_samples() as u64
    }

    /// Bytes of the header and the whole blocks: what is behind them after an error is of no use.
    pub const fn whole_bytes(&self) -> u64 {
        self.whole_bytes
    }

    /// The output.
    pub fn into_output(self) -> W {
        self.output
    }
}

impl<W> std::fmt::Debug for Writer<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("frames", &self.frames()).finish_non_exhaustive()
    }
}

/// Whether FLAC can hold this, before there is an output.
///
/// # Errors
///
/// [`CreateError::Floats`] and [`CreateError::Format`].
pub fn check(format: Format, encoding: Encoding) -> Result<(), CreateError> {
    Writer::prepare(io::empty(), format, encoding).map(drop)
}

/// Why a FLAC file can't begin.
#[derive(Debug, Error)]
pub enum CreateError {
    /// FLAC has no floats. Record 16 or 24 bits.
    #[error("FLAC has no floats: record 16 or 24 bits, or a WAV file")]
    Floats,
    /// The format is beyond the encoder.
    #[error(
        "FLAC is written for up to 8 channels and 96,000 Hz, not for {} and {}: convert, or record a WAV file",
        .0.channels(), .0.sample_rate()
    )]
    Format(Format),
    /// The output could not be written.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The encoder refuses what it was checked for before: none is known.
fn unexpected(error: impl std::fmt::Debug) -> io::Error {
    io::Error::other(format!("the FLAC encoder failed: {error:?}"))
}

/// Frames of a block: as the format's own encoder has them, 85 ms at 48 kHz.
const BLOCK: usize = 4096;

/// The format's name, and the head of the only block of metadata: the last one, of type 0, 34 bytes long.
const HEAD: &[u8] = b"fLaC\x80\x00\x00\x22";

const INFO_BYTES: usize = 34;
