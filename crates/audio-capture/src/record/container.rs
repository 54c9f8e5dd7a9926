//! The kinds of file that are recorded into.

use std::fs::File;
use std::path::Path;

use super::{Config, Container, CreateError};
#[cfg(feature = "flac")]
use crate::flac;
use crate::format::Format;
use crate::wav::{self, WriteError};

/// A file that is being written.
#[derive(Debug)]
pub(super) enum Output {
    /// Or a pipe, of which the writer knows.
    Wav(wav::Writer<File>),
    #[cfg(feature = "flac")]
    Flac(Box<flac::Writer<File>>),
}

impl Output {
    pub(super) fn begin(
        path: &Path,
        file: File,
        format: Format,
        config: &Config,
    ) -> Result<Self, CreateError> {
        match config.container {
            Container::Wav => match wav::Writer::to_file(file, format, config.encoding) {
                Ok(writer) => Ok(Self::Wav(writer)),
                Err(error) => Err(CreateError::header(path, error)),
            },
            #[cfg(feature = "flac")]
            Container::Flac => match flac::Writer::new(file, format, config.encoding) {
                Ok(writer) => Ok(Self::Flac(Box::new(writer))),
                Err(flac::CreateError::Io(error)) => Err(CreateError::write(path, error)),
                Err(error) => Err(CreateError::Flac { path: path.to_owned(), error }),
            },
        }
    }

    pub(super) fn write(&mut self, pcm: &[u8]) -> Result<(), WriteError> {
        match self {
            Self::Wav(writer) => writer.write(pcm),
            #[cfg(feature = "flac")]
            Self::Flac(writer) => Ok(writer.write(pcm)?),
        }
    }

    /// Makes what was written readable for others.
    pub(super) fn flush(&mut self) -> Result<(), WriteError> {
        match self {
            Self::Wav(writer) => writer.flush(),
            // Whole blocks are, without a header that counts them.
            #[cfg(feature = "flac")]
            Self::Flac(_) => Ok(()),
        }
    }

    pub(super) fn finish(&mut self) -> Result<(), WriteError> {
        match self {
            Self::Wav(writer) => writer.flush(),
            #[cfg(feature = "flac")]
            Self::Flac(writer) => Ok(writer.finish()?),
        }
    }

    pub(super) fn frames(&self) -> u64 {
        match self {
            Self::Wav(writer) => writer.frames(),
            #[cfg(feature = "flac")]
            Self::Flac(writer) => writer.frames(),
        }
    }

    /// After an error: makes the file say what is in it, and counts that.
    pub(super) fn salvage(&mut self, file: &File) -> u64 {
        match self {
            Self::Wav(writer) => {
                let repaired = file.try_clone().ok().and_then(|file| wav::repair(file).ok());
                repaired.map_or_else(|| writer.frames(), |repaired| repaired.frames)
            }
            #[cfg(feature = "flac")]
            Self::Flac(writer) => {
                // If even that fails, decoders stop at the block that is cut.
                let _ = file.set_len(writer.whole_bytes()).and_then(|()| writer.amend());
                writer.whole_frames()
            }
        }
    }
}
