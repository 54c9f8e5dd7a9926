//! Where audio comes from.

use std::io;

use bytes::Bytes;
use thiserror::Error;

use crate::format::{Encoding, Format};

/// Something that yields audio when it is asked.
///
/// It opens, paces and waits for nothing of its own, so pulling faster than real time is fine where the source can
/// do it. Format and encoding never change.
pub trait Source {
    /// Rate and channels of every block.
    fn format(&self) -> Format;

    /// How the samples of every block are written.
    fn encoding(&self) -> Encoding;

    /// The next `frames` frames, or `None` when there are no more.
    ///
    /// A block is never empty and holds at most [`FRAMES_MAX`] frames; it is shorter than asked only there and
    /// before the end or an error. Asking for 0 is asking for 1.
    ///
    /// # Errors
    ///
    /// [`enum@Error`] when the source fails. It comes after everything that was read in order, all of which stays valid;
    /// afterwards the source is at its end.
    fn next_block(&mut self, frames: usize) -> Result<Option<Block>, Error>;
}

impl<S: Source + ?Sized> Source for Box<S> {
    fn format(&self) -> Format {
        (**self).format()
    }

    fn encoding(&self) -> Encoding {
        (**self).encoding()
    }

    fn next_block(&mut self, frames: usize) -> Result<Option<Block>, Error> {
        (**self).next_block(frames)
    }
}

/// Consecutive frames of audio.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Number of the first frame, counted from 0 at the start of the source.
    pub first_frame: u64,
    /// How many frames there are, at least 1.
    pub frames: usize,
    /// Interleaved samples in the source's encoding: `frames` times the bytes of a frame.
    pub pcm: Bytes,
}

/// Why a source ended before its time.
#[derive(Debug, Error)]
pub enum Error {
    /// The input is shorter than it said. What was read is right: use it, and get a whole copy if you need the rest.
    #[error(
        "the audio ends after {frames} frames, in the middle: the input was cut short. Those frames are valid; get a whole copy for the rest"
    )]
    Truncated {
        /// Whole frames read since the start of the source.
        frames: u64,
    },
    /// The input could not be read. Check the disk, or the process at the other end of the pipe.
    #[error(
        "cannot read audio after {frames} frames: {error}. Check the disk, or the process that writes the pipe"
    )]
    Io {
        /// Whole frames read since the start of the source.
        frames: u64,
        /// What the operating system said.
        #[source]
        error: io::Error,
    },
}

/// The most frames in a block, whatever is asked, so that a block's memory is bounded: 1.4 s at 48 kHz.
pub const FRAMES_MAX: usize = 1 << 16;
