//! A buffer taken and given back in one thread.

use std::hint::black_box;

use nyx_core::pool::Pool;

pub(super) fn get_drop<const BYTES: usize>(calls: u64) {
    let pool = Pool::default();
    for _ in 0..calls {
        let _ = black_box(pool.get(black_box(BYTES)));
    }
}

/// By way of `Bytes`, which is as long as no byte is copied.
pub(super) fn get_freeze_drop(calls: u64) {
    let pool = Pool::default();
    let room = [0x5A; 512];
    for _ in 0..calls {
        let mut buffer = pool.get(black_box(room.len())).expect("there is memory");
        assert!(buffer.extend_from_slice(&room).is_ok());
        black_box(buffer.freeze());
    }
}
