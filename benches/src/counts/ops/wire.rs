//! Headers: one parsed, and a full read buffer scanned and patched.

use std::hint::black_box;

use nyx_protocol::wire::{self, Header, Kind};

/// What a read buffer of 64 KiB holds of messages with 64 B.
pub(super) const MESSAGES: u64 = 64 * 1024 / (wire::HEADER_LEN as u64 + 64);

pub(super) fn parse(calls: u64) {
    let bytes = Header { topic: 7, sequence: 41, length: 64, ..Header::data(Kind::Event) }.to_bytes();
    for _ in 0..calls {
        let _ = black_box(Header::parse(black_box(&bytes)));
    }
}

pub(super) fn scan(calls: u64) {
    let buffer = full_buffer();
    for _ in 0..calls {
        let _ = black_box(wire::scan(black_box(&buffer), 16 << 20));
    }
}

pub(super) fn patch(calls: u64) {
    let mut buffer = full_buffer();
    for _ in 0..calls {
        let _ = black_box(wire::patch_run(black_box(&mut buffer), 9, 1_000, usize::MAX));
    }
}

fn full_buffer() -> Vec<u8> {
    let mut buffer = Vec::new();
    for _ in 0..MESSAGES {
        wire::put_message(&mut buffer, Header { topic: 7, ..Header::data(Kind::Event) }, &[0x5A; 64]);
    }
    buffer
}
