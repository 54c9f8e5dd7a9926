//! Audio, from where it sounds to chunks that can be sent, measured and recorded.
//!
//! # Capturing
//!
//! - [`capture`]: [`Capture`] runs an input in a thread of its own and cuts it into chunks.
//! - [`queue`]: the [`queue::Reader`] that takes them: blocking, in a task, by polling, in batches. The capturing thread never waits for it.
//! - [`input`]: [`Input`], the one trait of all that can be captured, and [`input::Paced`], a source that is played in real time.
//! - `pulse`: devices and applications of PulseAudio and PipeWire, on Linux.
//! - `portable`: microphones of every other system, and ALSA's, by the crate cpal; with the feature of that name.
//! - `wasapi`: microphones, outputs and processes on Windows; run under Wine, not on Windows itself.
//! - [`host`]: what devices, playing applications and their volumes are called everywhere.
//! - [`silence`], [`convert`], [`poller`]: which chunks are silent; other rates and channels; how often to poll.
//! - [`record`]: chunks into a WAV or FLAC file that is readable however its writer ended.
//!
//! # Sources and files
//!
//! - [`mod@format`], [`pcm`]: rate, channels and sample encoding, checked once; bytes to floats and back.
//! - [`source`]: [`Source`], what yields audio when it is pulled, and [`Block`], what it yields.
//! - [`wav`]: a [`wav::Reader`] that is a source, over files and pipes, a [`wav::Writer`], and the repair of what was cut.
//! - `flac`, `opus`: a writer of FLAC, packets of Opus and back, with the features of these names.
//! - [`melody`], [`synth`]: synthetic sources, for when there is nothing to record and for tests.
//!
//! A source is pulled and knows nothing of time; an input runs by itself. A *frame* is one sample of each channel.
#![cfg_attr(not(windows), forbid(unsafe_code))]
#![cfg_attr(windows, deny(unsafe_code))]

pub mod capture;
pub mod convert;
#[cfg(feature = "flac")]
pub mod flac;
pub mod format;
mod histogram;
pub mod host;
pub mod input;
pub mod melody;
#[cfg(feature = "opus")]
pub mod opus;
pub mod pcm;
pub mod poller;
#[cfg(feature = "cpal")]
pub mod portable;
#[cfg(all(target_os = "linux", feature = "pulse"))]
pub mod pulse;
pub mod queue;
pub mod record;
pub mod silence;
pub mod source;
mod sync;
pub mod synth;
#[cfg(windows)]
pub mod wasapi;
pub mod wav;

pub use capture::Capture;
pub use format::{Encoding, Format};
pub use input::Input;
pub use melody::Melody;
pub use queue::Chunk;
pub use source::{Block, Source};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
