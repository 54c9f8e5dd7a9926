//! WAV files and streams.
//!
//! [`Reader`] takes any [`std::io::Read`] and never seeks; [`Writer`] writes to files that it can seek in, and to pipes. [`repair()`] puts a file
//! right whose writer was killed.

mod fmt;
mod header;
mod layout;
mod reader;
mod repair;
mod sample;
mod writer;

pub use header::OpenError;
pub use reader::Reader;
pub use repair::{RepairError, Repaired, repair};
pub use writer::{WriteError, Writer};

/// The size that says "not known" where a stream can't be written twice.
const SIZE_UNKNOWN: u32 = u32::MAX;

/// From here a size may be the placeholder of a writer that could not seek: `sox` writes 0x7FFF_F000 and less,
/// rounded to frames, `arecord` 0x8000_0000 or less, `ffmpeg` 0xFFFF_FFFF. Such an input may end when it likes.
const SIZE_DOUBTFUL: u64 = 0x7FFF_0000;

/// Format tag of integer PCM.
const TAG_PCM: u16 = 1;

/// Format tag of IEEE 754 floats.
const TAG_FLOAT: u16 = 3;

/// Format tag that says that the real one is in the extension.
const TAG_EXTENSIBLE: u16 = 0xFFFE;
