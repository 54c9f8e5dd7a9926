//! A burst to eight cursors.

use std::hint::black_box;

use bytes::Bytes;
use nyx_core::Instant;
use nyx_stream::policy::{self, Pull, Terms};
use nyx_stream::{Cursor, Ring, ring};

pub(super) fn burst<const ITEMS: usize>(calls: u64) {
    let mut ring = Ring::new(ring::Limits::new(8 << 20, 1024));
    let mut cursors = [Cursor::at_head(&ring); 8];
    let mut pull = Pull::default();
    let terms = Terms { now: Instant::ZERO, max_age: None, budget: 1 << 20, bytes_per_second: None };
    for _ in 0..calls {
        for _ in 0..ITEMS {
            ring.append(Instant::ZERO, black_box(Bytes::from_static(&ITEM)), 1, true, ITEM.len());
        }
        for cursor in &mut cursors {
            pull.clear();
            policy::events(&ring, cursor, &terms, &mut pull);
            black_box(&pull.chunks);
        }
    }
}

static ITEM: [u8; 80] = [0x5A; 80];
