//! The queue between the thread that captures and whoever reads.
//!
//! A fixed set of buffers goes round between two lock-free rings (crossbeam's `ArrayQueue`), one of chunks and one of empty buffers. The
//! capturing side allocates nothing and waits for nobody: where the reader is too slow, it takes the buffer of the oldest chunk, and the reader sees
//! by [`Chunk::missed`], `sequence` and `first_frame` what is gone. It wakes the reader with one system call at most, and only when as much is there
//! as the reader waits for, so a reader that takes fifty chunks at a time sleeps for as long as fifty last.

mod bell;
mod buffers;
mod chunk;
mod metrics;
mod reader;
mod shared;
mod writer;

pub use crate::histogram::Latency;
pub(crate) use buffers::Buffers;
pub use chunk::{Chunk, Head};
pub use metrics::Metrics;
pub use reader::Reader;
pub(crate) use writer::{Probe, Writer};

#[cfg(loom)]
#[doc(hidden)]
pub mod loom_bell {
    //! The bell alone, for its loom test.

    pub use super::bell::Bell;
}

use std::sync::Arc;

use nyx_core::clock::Monotonic;

use crate::format::Format;
use shared::Shared;

/// A queue of chunks of at most `chunk_frames` frames.
pub(crate) fn channel(
    format: Format,
    buffers: Buffers,
    chunk_frames: usize,
    clock: Monotonic,
) -> (Writer, Reader) {
    let chunk_samples = chunk_frames * usize::from(format.channels());
    let shared = Arc::new(Shared::new(buffers, chunk_samples));
    (Writer::new(Arc::clone(&shared), clock.clone()), Reader::new(shared, format, clock))
}
