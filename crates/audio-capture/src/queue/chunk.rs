//! A chunk, and the memory that it goes back to.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use super::shared::Shared;
use crate::format::Format;

/// What is known of a chunk besides its samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Head {
    /// Number of this chunk among those that were captured, from 0 without holes. Where the reader was too slow, numbers are missing.
    pub sequence: u64,
    /// Number of its first frame, counted from the start of the capture at the chunk's rate, with whatever was not captured or was left out
    /// as silence counted too. So it tells where in time the chunk belongs.
    pub first_frame: u64,
    /// When its first frame was captured, in microseconds since the Unix epoch, by the device's clock.
    pub unix_micros: u64,
    /// Whether it is silent: the device said so, or no sample was loud, see [`crate::silence`].
    pub silent: bool,
    /// Whether it does not join what was captured before: the device lost something, the server came back, the clock jumped. Chunks that the
    /// queue dropped are told by [`Chunk::missed`] instead.
    pub discontinuity: bool,
}

/// Consecutive frames of audio as they were captured, interleaved.
///
/// Its memory belongs to the queue, and goes back there when it is dropped. Who keeps many chunks for long takes memory that
/// the queue then lacks, and older chunks are dropped sooner. Who keeps as many as the queue holds and 64 more (fewer where
/// [`queue_bytes_max`](crate::capture::Config::queue_bytes_max) leaves no more) has all of it: what is captured is then lost, and the reader gets nothing until a
/// chunk is dropped. Copy what is to be kept.
pub struct Chunk {
    head: Head,
    samples: Vec<f32>,
    format: Format,
    missed: u64,
    home: Arc<Shared>,
}

impl Chunk {
    pub(super) const fn new(
        head: Head,
        samples: Vec<f32>,
        format: Format,
        missed: u64,
        home: Arc<Shared>,
    ) -> Self {
        Self { head, samples, format, missed, home }
    }

    /// Interleaved samples, nominally -1.0 to 1.0.
    pub fn samples(&self) -> &[f32] {
        &self.samples
    }

    /// How many frames there are.
    pub fn frames(&self) -> usize {
        self.samples.len() / usize::from(self.format.channels())
    }

    /// Rate and channels.
    pub const fn format(&self) -> Format {
        self.format
    }

    /// How many chunks right before this one the queue dropped, because the reader was too slow.
    pub const fn missed(&self) -> u64 {
        self.missed
    }

    /// The first frame that follows this chunk.
    pub fn end_frame(&self) -> u64 {
        self.head.first_frame + self.frames() as u64
    }
}

impl Deref for Chunk {
    type Target = Head;

    fn deref(&self) -> &Head {
        &self.head
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        self.home.give_back(std::mem::take(&mut self.samples));
    }
}

impl fmt::Debug for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunk")
            .field("head", &self.head)
            .field("frames", &self.frames())
            .field("missed", &self.missed)
            .finish()
    }
}
