//! The buffer that the readers of a thread fill in turn.

use std::cell::RefCell;

use bytes::BytesMut;
use nyx_core::pool::read::{Config, ReadPool};

/// Size of the shared buffers.
pub(super) const CHUNK: usize = 256 * 1024;

/// Buffers that a thread goes round. More of them leave the processor's caches before their turn comes again: with 8
/// subscribers of 32 KiB messages 8 buffers carry a third more than 64 do, and than fresh memory does.
const RETAIN: usize = 8;

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
    config.retain = RETAIN;
    config
}

/// A shared buffer with room for `bytes`, which is at most [`CHUNK`].
pub(super) fn take(bytes: usize) -> BytesMut {
    SHARED.with_borrow_mut(|shared| {
        let rest = std::mem::take(&mut shared.rest);
        if rest.capacity() >= bytes {
            return rest;
        }
        if rest.capacity() > 0 {
            shared.pool.put(rest);
        }
        shared.pool.take()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_of_a_small_rest_comes_back_when_its_parts_are_gone() {
        let mut buffer = take(CHUNK);
        buffer.extend_from_slice(&[7; CHUNK - 10]);
        let part = buffer.split().freeze();
        let address = part.as_ptr();
        put(buffer);
        let other = take(CHUNK);
        drop(part);
        assert_eq!(take(CHUNK).as_ptr(), address);
        drop(other);
    }
}
