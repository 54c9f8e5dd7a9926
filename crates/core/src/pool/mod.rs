//! Memory that is used again: buffers of any size class for any thread, and read buffers of one size for one thread.
//!
//! - [`Pool`], its [`Config`] and the [`Buffer`] it hands out: written once, frozen into [`bytes::Bytes`] or dropped, on
//!   whichever thread. It takes the place of `BytesMut::with_capacity`.
//! - [`Stats`]: what a pool hit, missed, has out and holds back.
//! - [`ReadPool`] is another thing: its large `BytesMut`s are carved into many messages, and come back when the last of
//!   them is gone. It takes the place of the reserve that a reader makes before each read.
//!
//! # How the pool works
//!
//! A block is one allocation, a header of one cache line and the data behind it. Each thread keeps a cache of blocks for
//! each class, so that taking and returning one is a few plain loads and stores; half of what a cache holds of a class moves
//! to and from the overflow of the class at a time, behind its lock. The scheme is that of the thread caches of tcmalloc
//! (Ghemawat and Menage, <https://goog-perftools.sourceforge.net/doc/tcmalloc.html>) and of the magazines of Bonwick and
//! Adams (*Magazines and Vmem*, USENIX 2001).

#[expect(unsafe_code, reason = "blocks are raw memory with a header in front")]
mod block;
#[expect(unsafe_code, reason = "what has been written is a slice of memory that was not initialised")]
mod buffer;
mod config;
mod count;
mod handle;
#[expect(
    unsafe_code,
    reason = "a thread finds its cache through a pointer that has no destructor to register"
)]
mod local;
pub mod read;
mod shared;
mod stats;

pub use buffer::{Buffer, Full};
pub use config::{Config, ConfigError};
pub use handle::{GetError, Pool};
pub use read::ReadPool;
pub use stats::{ClassStats, Stats};

/// Bytes of a cache line. The data of a block begins on one, and its header fills one.
///
/// ```
/// use nyx_core::pool::{LINE, Pool};
///
/// let buffer = Pool::default().get(1)?;
/// assert_eq!((buffer.capacity(), buffer.as_ptr().addr() % LINE), (LINE, 0));
/// # Ok::<(), nyx_core::pool::GetError>(())
/// ```
pub const LINE: usize = 64;
