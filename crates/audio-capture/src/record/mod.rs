//! Chunks into a WAV file.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

use crate::format::{Encoding, Format};
use crate::pcm;
use crate::queue::Chunk;
use crate::wav::{self, RepairError, WriteError, Writer};

/// How to record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// How samples are written. Default: signed 16-bit.
    pub encoding: Encoding,
    /// How much a recorder that is killed may lose. Default half a second; each time costs a few writes.
    pub flush_every: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { encoding: Encoding::S16Le, flush_every: Duration::from_millis(500) }
    }
}

/// Writes chunks as they come. What was dropped, missing or left out as silence becomes silence of the same length, so every sound stays where it
/// belongs in time. The file is readable up to the last flush however the process ends, and past 4 GiB it is RF64.
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
    writer: Writer<File>,
    format: Format,
    encoding: Encoding,
    /// Encoded samples that are not written yet.
    pending: Vec<u8>,
    pending_max: usize,
    /// Where the next chunk begins if nothing is missing; `None` before the first.
    next_frame: Option<u64>,
}

impl Recorder {
    /// Begins a file, in the place of what may be there.
    ///
    /// # Errors
    ///
    /// [`CreateError::Write`].
    pub fn create(path: &Path, format: Format, config: Config) -> Result<Self, CreateError> {
        let file = File::options().read(true).write(true).create(true).truncate(true).open(path);
        let file = file.map_err(|error| CreateError::write(path, error))?;
        let copy = file.try_clone().map_err(|error| CreateError::write(path, error))?;
        let writer = Writer::to_file(copy, format, config.encoding)
            .map_err(|error| CreateError::write(path, io::Error::other(error)))?;
        Ok(Self::new(path, file, writer, format, config))
    }

    /// Goes on with a file, which is repaired first if its writer was killed, or begins it if there is none. Samples are written as
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
        Ok(Self::new(path, file, writer, format, Config { encoding, ..config }))
    }

    fn new(path: &Path, file: File, writer: Writer<File>, format: Format, config: Config) -> Self {
        let frame_bytes = format.frame_bytes(config.encoding);
        let frames = usize::try_from(format.frames_in(config.flush_every)).unwrap_or(usize::MAX);
        let pending_max = frames.saturating_mul(frame_bytes).clamp(frame_bytes, PENDING_MAX);
        let (path, encoding) = (path.to_owned(), config.encoding);
        Self { path, file, writer, format, encoding, pending: Vec::new(), pending_max, next_frame: None }
    }

    /// Appends a chunk, with silence before it where something is missing.
    ///
    /// # Errors
    ///
    /// [`RecordError`]: nothing more can be written. All that was is in the file, and the file is readable.
    pub fn write(&mut self, chunk: &Chunk) -> Result<(), RecordError> {
        let missing = chunk.first_frame.saturating_sub(self.next_frame.unwrap_or(chunk.first_frame));
        self.silence(missing.min(self.format.frames_in(SILENCE_MAX)))?;
        self.next_frame = Some(chunk.end_frame());
        pcm::encode(self.encoding, chunk.samples(), &mut self.pending);
        self.flush_if_full()
    }

    /// Writes what is left, and says how many frames the file holds.
    ///
    /// # Errors
    ///
    /// [`RecordError`], as for [`Self::write`].
    pub fn finish(mut self) -> Result<u64, RecordError> {
        self.flush()?;
        Ok(self.writer.frames())
    }

    /// Frames that were recorded, those of a file that was continued included.
    pub fn frames(&self) -> u64 {
        self.writer.frames() + (self.pending.len() / self.format.frame_bytes(self.encoding)) as u64
    }

    /// Writes what is there, and makes the file's header say so.
    ///
    /// # Errors
    ///
    /// [`RecordError`], as for [`Self::write`].
    pub fn flush(&mut self) -> Result<(), RecordError> {
        let written = self.writer.write(&self.pending).and_then(|()| self.writer.flush());
        self.pending.clear();
        written.map_err(|error| self.give_up(error))
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

    /// Part of what could not be written may be there: counts it, and makes the header true.
    fn give_up(&mut self, error: WriteError) -> RecordError {
        let repaired = self.file.try_clone().ok().and_then(|file| wav::repair(file).ok());
        let frames = repaired.map_or_else(|| self.writer.frames(), |repaired| repaired.frames);
        RecordError { path: self.path.clone(), frames, error }
    }
}

impl Drop for Recorder {
    /// Writes what is left. Who wants to know whether that succeeds calls [`Self::finish`].
    fn drop(&mut self) {
        let _ = self.flush();
    }
}

/// Why a recording can't begin.
#[derive(Debug, Error)]
pub enum CreateError {
    /// The file can't be opened or written. Choose another place.
    #[error("cannot record into {}: {error}. Choose another place, or see to its permissions and free space", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        error: io::Error,
    },
    /// The file that should be continued is none that can be. Choose another one.
    #[error("cannot continue {}: {error}", path.display())]
    Repair {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        error: RepairError,
    },
    /// The file that should be continued has another rate or number of channels. Capture as it has them, or begin another file.
    #[error(
        "{} has {} Hz and {} channels, and {} Hz and {} channels are captured: capture as the file has it, or begin another file",
        path.display(), file.sample_rate(), file.channels(), wanted.sample_rate(), wanted.channels()
    )]
    Format {
        /// The file.
        path: PathBuf,
        /// What the file has.
        file: Format,
        /// What is captured.
        wanted: Format,
    },
}

impl CreateError {
    fn write(path: &Path, error: io::Error) -> Self {
        Self::Write { path: path.to_owned(), error }
    }
}

/// Why recording ended. What was recorded until then is in the file, which is readable.
#[derive(Debug, Error)]
#[error("recording into {} ended after {frames} frames, which are kept: {error}", path.display())]
pub struct RecordError {
    /// The file.
    pub path: PathBuf,
    /// Frames in the file.
    pub frames: u64,
    /// What is in the way.
    #[source]
    pub error: WriteError,
}

/// A recording of many channels is written more often than it is asked to, rather than held in memory.
const PENDING_MAX: usize = 1 << 20;

/// A clock that was set must not fill the disk.
const SILENCE_MAX: Duration = Duration::from_secs(3600);
