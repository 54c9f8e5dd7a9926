//! Audio as chunks of interleaved PCM, where they come from, and WAV files.
//!
//! - [`mod@format`]: rate, channels and sample encoding, checked once.
//! - [`source`]: [`Source`], the one trait that everything which makes sound has, and [`Chunk`], what it yields.
//! - [`wav`]: a [`wav::Reader`] that is a source, over files and pipes, and a [`wav::Writer`] that leaves a readable
//!   file however it ends.
//! - [`melody`]: a synthetic source, for when there is nothing to record.
//!
//! A source is pulled and knows nothing of time: whoever pulls decides when, and [`Format::duration_of`] tells how
//! much audio a number of frames is. A *frame* is one sample of each channel.
#![forbid(unsafe_code)]

pub mod format;
pub mod melody;
pub mod source;
pub mod wav;

pub use format::{Encoding, Format};
pub use melody::Melody;
pub use source::{Chunk, Source};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
