//! How to capture.

use std::time::Duration;

use crate::format::{Encoding, Format};
use crate::queue::Buffers;
use crate::silence;

/// What a capture makes of its input.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// Frames in a chunk, at the rate of the chunks. Default 480, which is 10 ms at 48 kHz; 1 to 65,536. Shorter is fresher, and
    /// costs a wake-up each.
    pub chunk_frames: usize,
    /// How many chunks the queue holds before it drops the oldest. Default 1,000, which is 10 s; 1 to 1,000,000. All of its memory is taken at the
    /// start: 3.8 MB with the defaults and two channels.
    pub capacity: usize,
    /// How many bytes of samples the queue may take at the start; where that is less than `capacity` chunks, it holds fewer, but 8 at least. Default:
    /// without bound. For who lets others choose length and number of the channels.
    pub queue_bytes_max: Option<usize>,
    /// What counts as silence.
    pub silence: silence::Config,
    /// Leave silent chunks out. Default false. The chunks that follow have the `first_frame` and `unix_micros` that they would have had; of silence that nothing
    /// follows the reader hears nothing. Who records, or waits for so much time to pass, looks at `silent` instead.
    pub skip_silence: bool,
    /// Frames a second of the chunks. Default: as the device has it. Anything else needs the feature `resample`.
    pub sample_rate: Option<u32>,
    /// Channels of the chunks. Default: as the device has it. See [`crate::convert::channels`] for what becomes of what.
    pub channels: Option<u16>,
    /// How long to try again when the device or its server is gone, before the capture ends with an error. Default one minute; zero: not at all. The
    /// first chunk after that is marked as a discontinuity, and stands where it belongs in time.
    pub reconnect: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            chunk_frames: 480,
            capacity: 1_000,
            queue_bytes_max: None,
            silence: silence::Config::default(),
            skip_silence: false,
            sample_rate: None,
            channels: None,
            reconnect: Duration::from_secs(60),
        }
    }
}

impl Config {
    pub(super) fn chunk_frames(&self) -> usize {
        self.chunk_frames.clamp(1, CHUNK_FRAMES_MAX)
    }

    pub(super) fn buffers(&self, format: Format) -> Buffers {
        let chunk_bytes = self.chunk_frames() * format.frame_bytes(Encoding::F32Le);
        Buffers::new(self.capacity.clamp(1, CAPACITY_MAX), chunk_bytes, self.queue_bytes_max)
    }
}

/// As much as a source yields at a time.
const CHUNK_FRAMES_MAX: usize = crate::source::FRAMES_MAX;

/// 2.8 hours of the default chunks.
const CAPACITY_MAX: usize = 1_000_000;
