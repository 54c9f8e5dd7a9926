//! The buffer that the readers of a thread fill in turn.

use std::cell::RefCell;

use bytes::BytesMut;
use nyx_core::pool::{Config, ReadPool};

/// Size of the shared buffers.
pub(super) const CHUNK: usize = 256 * 1024;

struct Shared {
    /// The rest of the buffer that the last reader filled; empty, and usable as it is.
    rest: BytesMut,
    pool: ReadPool,
}

thread_local! {
    static SHARED: RefCell<Shared> = RefCell::new(Shared { rest: BytesMut::new(), pool: ReadPool::new(config()) });
}

fn config() -> Config {
    let mut config = Config::default();
    config.buffer_bytes = CHUNK;
    config
}

/// A shared buffer with room for `bytes`, which is at most [`CHUNK`].
pub(super) fn take(bytes: usize) -> BytesMut {
    SHARED.with_borrow_mut(|shared| {
        let rest = std::mem::take(&mut shared.rest);
        if rest.capacity() >= bytes { rest } else { shared.pool.take() }
    })
}

pub(super) fn put(mut buffer: BytesMut) {
    buffer.clear();
    // A reader may outlive its thread's locals at the thread's end; then the memory is simply freed.
    let _ = SHARED.try_with(|shared| {
        let mut shared = shared.borrow_mut();
        if buffer.capacity() > shared.rest.capacity() {
            std::mem::swap(&mut shared.rest, &mut buffer);
        }
        if buffer.capacity() > 0 {
            shared.pool.put(buffer);
        }
    });
}
