//! WAV files and streams.
//!
//! [`Reader`] takes any [`std::io::Read`] and never seeks; [`Writer`] writes to files that it can seek in, and to pipes.

mod fmt;
mod header;
mod reader;
mod sample;
mod writer;

pub use header::OpenError;
pub use reader::Reader;
pub use writer::{WriteError, Writer};

/// The size that says "not known" where a stream can't be written twice.
const SIZE_UNKNOWN: u32 = u32::MAX;

/// Format tag of integer PCM.
const TAG_PCM: u16 = 1;

/// Format tag of IEEE 754 floats.
const TAG_FLOAT: u16 = 3;

/// Format tag that says that the real one is in the extension.
const TAG_EXTENSIBLE: u16 = 0xFFFE;
