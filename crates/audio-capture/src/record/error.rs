//! Why recordings don't begin, and why they end.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

#[cfg(feature = "flac")]
use crate::flac;
use crate::format::Format;
use crate::wav::{RepairError, WriteError};

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
    /// It is a pipe or a terminal, where nothing can be changed any more that was written, as the header of a file is. Record into a file, or
    /// [a stream](super::Recorder::to_pipe) of WAV.
    #[error(
        "cannot record into {}: it is a pipe or a terminal, and no file. Record into a file, or WAV into the standard output, as `-`", path.display()
    )]
    Pipe {
        /// What is no file.
        path: PathBuf,
    },
    /// FLAC can't hold what is recorded. Record another encoding, or a WAV file.
    #[cfg(feature = "flac")]
    #[error("cannot record into {}: {error}", path.display())]
    Flac {
        /// The file.
        path: PathBuf,
        /// What it can't hold.
        #[source]
        error: flac::CreateError,
    },
    /// Only WAV files can be continued. Begin another file.
    #[error("cannot continue {}: only a WAV file can be continued, so begin another file", path.display())]
    Continue {
        /// The file.
        path: PathBuf,
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
    pub(super) fn write(path: &Path, error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotSeekable => Self::Pipe { path: path.to_owned() },
            _ => Self::Write { path: path.to_owned(), error },
        }
    }

    pub(super) fn header(path: &Path, error: WriteError) -> Self {
        match error {
            WriteError::Io(error) => Self::write(path, error),
            error => Self::write(path, io::Error::other(error)),
        }
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
