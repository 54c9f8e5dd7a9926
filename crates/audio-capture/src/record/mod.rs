//! Chunks into a WAV or FLAC file.

mod container;
mod error;

use std::fs::File;
use std::io::{self, Seek as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

#[cfg(feature = "flac")]
use crate::flac;
use crate::format::{Encoding, Format};
use crate::pcm;
use crate::queue::Chunk;
use crate::wav::{self, RepairError, WriteError};

use container::Output;
pub use error::{CreateError, RecordError};

/// What kind of file is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Container {
    /// WAV, which becomes RF64 past 4 GiB.
    #[default]
    Wav,
    /// FLAC, of 16 or 24 bits: without loss, and for music about half as long.
    #[cfg(feature = "flac")]
    Flac,
}

/// How to record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// What kind of file is written. Default: WAV.
    pub container: Container,
    /// How samples are written. Default: signed 16-bit.
    pub encoding: Encoding,
    /// How much a recorder that is killed may lose. Default half a second; each time costs a few writes.
    pub flush_every: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { container: Container::Wav, encoding: Encoding::S16Le, flush_every: Duration::from_millis(500) }
    }
}

/// Writes chunks as they come. What was dropped, missing or left out as silence between two of them becomes silence of the same length, so every sound stays
/// where it belongs in time; of a gap that is longer than an hour an hour is written, so that a night in which the machine slept does not fill the disk. The file is readable up to the last flush however the process ends; of FLAC up to the last block of 4,096 frames.
///
/// ```
/// use nyx_audio_capture::{Capture, Format, capture, input, record, synth, wav};
///
/// let path = tempfile::NamedTempFile::new()?.into_temp_path();
/// let source = synth::Tone::new(Format::new(48_000, 1)?, 440.0, 0.5);
/// let (capture, mut reader) = Capture::start(input::Paced::new(source), capture::Config::default())?;
/// let mut recorder = record::Recorder::create(&path, capture.format(), record::Config::default())?;
/// for _ in 0..3 {
///     recorder.write(&reader.recv().expect("it goes on"))?;
/// }
/// assert_eq!(recorder.finish()?, 3 * 480);
/// assert_eq!(wav::Reader::open(std::fs::File::open(&path)?)?.frames_left(), Some(3 * 480));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Recorder {
    path: PathBuf,
    file: File,
    output: Output,
    format: Format,
    encoding: Encoding,
    /// Encoded samples that are not written yet.
    pending: Vec<u8>,
    pending_max: usize,
    /// Whether whoever hears it wants to hear it now.
    is_pipe: bool,
    /// Where the next chunk begins if nothing is missing; `None` before the first.
    next_frame: Option<u64>,
    /// Frames in the file, once nothing more is written: it was ended, or it failed and its header was made true.
    kept: Option<u64>,
}

impl Recorder {
    /// Begins a file, in the place of what may be there: that is gone once the file could be opened, and stays where the format is refused.
    ///
    /// # Errors
    ///
    /// [`CreateError::Write`], [`CreateError::Pipe`], and `CreateError::Flac` where FLAC can't hold what is recorded.
    pub fn create(path: &Path, format: Format, config: Config) -> Result<Self, CreateError> {
        #[cfg(feature = "flac")]
        if config.container == Container::Flac {
            // Before the file is emptied, which may be a good recording.
            let unfit = |error| CreateError::Flac { path: path.to_owned(), error };
            flac::check(format, config.encoding).map_err(unfit)?;
        }
        let file = File::options().read(true).write(true).create(true).truncate(true).open(path);
        let mut file = file.map_err(|error| CreateError::write(path, error))?;
        // A pipe is found out before there is something in it.
        file.stream_position().map_err(|error| CreateError::write(path, error))?;
        let copy = file.try_clone().map_err(|error| CreateError::write(path, error))?;
        let output = Output::begin(path, copy, format, &config)?;
        Ok(Self::new(path, file, output, format, config))
    }

    /// Goes on with a WAV file, which is repaired first if its writer was killed, or begins it if there is none. Samples are written as
    /// the file has them.
    ///
    /// # Errors
    ///
    /// [`CreateError`].
    pub fn append(path: &Path, format: Format, config: Config) -> Result<Self, CreateError> {
        let file = match File::options().read(true).write(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Self::create(path, format, config);
            }
            file => file.map_err(|error| CreateError::write(path, error))?,
        };
        if config.container != Container::Wav {
            return Err(CreateError::Continue { path: path.to_owned() });
        }
        let copy = file.try_clone().map_err(|error| CreateError::write(path, error))?;
        let repair = |error| CreateError::Repair { path: path.to_owned(), error };
        let repaired = wav::repair(copy).map_err(repair)?;
        if repaired.format() != format {
            return Err(CreateError::Format {
                path: path.to_owned(),
                file: repaired.format(),
                wanted: format,
            });
        }
        let encoding = repaired.encoding().ok_or(RepairError::Encoding).map_err(repair)?;
        let writer = repaired.append().map_err(repair)?;
        Ok(Self::new(path, file, Output::Wav(writer), format, Config { encoding, ..config }))
    }

    /// Begins a stream of WAV, of which nobody knows how long it will be, in a pipe such as the standard output. Each chunk is written when it comes;
    /// `flush_every` says nothing here.
    ///
    /// # Errors
    ///
    /// [`CreateError::Write`], and [`CreateError::Pipe`] for any container but WAV.
    pub fn to_pipe(pipe: File, format: Format, config: Config) -> Result<Self, CreateError> {
        let path = Path::new("-");
        if config.container != Container::Wav {
            return Err(CreateError::Pipe { path: path.to_owned() });
        }
        let copy = pipe.try_clone().map_err(|error| CreateError::write(path, error))?;
        let writer = wav::Writer::to_pipe(copy, format, config.encoding);
        let writer = writer.map_err(|error| CreateError::header(path, error))?;
        let mut recorder = Self::new(path, pipe, Output::Wav(writer), format, config);
        recorder.is_pipe = true;
        Ok(recorder)
    }

    fn new(path: &Path, file: File, output: Output, format: Format, config: Config) -> Self {
        let frame_bytes = format.frame_bytes(config.encoding);
        let frames = usize::try_from(format.frames_in(config.flush_every)).unwrap_or(usize::MAX);
        let pending_max = frames.saturating_mul(frame_bytes).clamp(frame_bytes, PENDING_MAX);
        let (path, encoding) = (path.to_owned(), config.encoding);
        let pending = Vec::new();
        Self {
            path,
            file,
            output,
            format,
            encoding,
            pending,
            pending_max,
            is_pipe: false,
            next_frame: None,
            kept: None,
        }
    }

    /// Appends a chunk, with silence before it where something is missing.
    ///
    /// # Errors
    ///
    /// [`RecordError`]: nothing more can be written, also later. All that was is in the file, and the file is readable.
    pub fn write(&mut self, chunk: &Chunk) -> Result<(), RecordError> {
        self.check()?;
        let missing = chunk.first_frame.saturating_sub(self.next_frame.unwrap_or(chunk.first_frame));
        self.silence(missing.min(self.format.frames_in(SILENCE_MAX)))?;
        self.next_frame = Some(chunk.end_frame());
        pcm::encode(self.encoding, chunk.samples(), &mut self.pending);
        if self.is_pipe { self.flush() } else { self.flush_if_full() }
    }

    /// Writes what is left, and says how many frames the file holds. One that has failed before is left as it is.
    ///
    /// # Errors
    ///
    /// [`RecordError`], as for [`Self::write`].
    pub fn finish(mut self) -> Result<u64, RecordError> {
        self.end()
    }

    /// Frames that were recorded, those of a file that was continued included.
    pub fn frames(&self) -> u64 {
        let pending = (self.pending.len() / self.format.frame_bytes(self.encoding)) as u64;
        self.kept.unwrap_or_else(|| self.output.frames() + pending)
    }

    /// Writes what is there, and makes it readable: of WAV the header says then how long it is; FLAC keeps back what fills no block.
    ///
    /// # Errors
    ///
    /// [`RecordError`], as for [`Self::write`].
    pub fn flush(&mut self) -> Result<(), RecordError> {
        self.check()?;
        let written = self.output.write(&self.pending).and_then(|()| self.output.flush());
        self.pending.clear();
        written.map_err(|error| self.give_up(error))
    }

    /// Refuses what would follow an error.
    fn check(&self) -> Result<(), RecordError> {
        let Some(frames) = self.kept else { return Ok(()) };
        let error = io::Error::other("the recording has failed before").into();
        Err(RecordError { path: self.path.clone(), frames, error })
    }

    fn end(&mut self) -> Result<u64, RecordError> {
        if let Some(frames) = self.kept {
            return Ok(frames);
        }
        self.flush()?;
        self.output.finish().map_err(|error| self.give_up(error))?;
        Ok(*self.kept.insert(self.output.frames()))
    }

    fn flush_if_full(&mut self) -> Result<(), RecordError> {
        if self.pending.len() >= self.pending_max { self.flush() } else { Ok(()) }
    }

    fn silence(&mut self, frames: u64) -> Result<(), RecordError> {
        let frame_bytes = self.format.frame_bytes(self.encoding);
        let mut left = frames;
        while left > 0 {
            let frames = left.min((self.pending_max / frame_bytes) as u64);
            // Zeros are silence in all three encodings.
            self.pending.resize(self.pending.len() + frames as usize * frame_bytes, 0);
            self.flush_if_full()?;
            left -= frames;
        }
        Ok(())
    }

    /// Part of what could not be written may be there: makes the header true, and counts. The output does not know of that part, so it is
    /// not written to again.
    fn give_up(&mut self, error: WriteError) -> RecordError {
        let frames = *self.kept.insert(self.output.salvage(&self.file));
        RecordError { path: self.path.clone(), frames, error }
    }
}

impl Drop for Recorder {
    /// Writes what is left. Who wants to know whether that succeeds calls [`Self::finish`].
    fn drop(&mut self) {
        let _ = self.end();
    }
}

/// A recording of many channels is written more often than it is asked to, rather than held in memory.
const PENDING_MAX: usize = 1 << 20;

/// A night in which the machine slept must not fill the disk.
const SILENCE_MAX: Duration = Duration::from_secs(3600);
