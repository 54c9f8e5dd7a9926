//! The hot path's share per message: headers read, written, found in a read buffer, and patched.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use nyx_protocol::wire::{self, Header, Kind, Messages};

fn header(c: &mut Criterion) {
    let header = Header { topic: 7, sequence: 41, length: 64, ..Header::data(Kind::Event) };
    let bytes = header.to_bytes();
    let mut group = c.benchmark_group("header");
    group.bench_function("parse/16B", |b| b.iter(|| Header::parse(black_box(&bytes))));
    group.bench_function("encode/16B", |b| b.iter(|| black_box(&header).to_bytes()));
    group.finish();
}

fn buffer(c: &mut Criterion) {
    let (mut buffer, count) = full_buffer();
    let mut group = c.benchmark_group("buffer");
    group.throughput(Throughput::Elements(count));
    group.bench_function("scan/64KiB/64B", |b| b.iter(|| wire::scan(black_box(&buffer), MAX_PAYLOAD)));
    group.bench_function("walk/64KiB/64B", |b| {
        b.iter(|| {
            Messages::new(black_box(&buffer)).map(|message| black_box(message).payload.len()).sum::<usize>()
        });
    });
    group.bench_function("patch/64KiB/64B", |b| {
        b.iter(|| wire::patch_run(black_box(&mut buffer), 9, 1_000, usize::MAX));
    });
    // What the machine can do at best with as many bytes: a copy.
    let mut copy = vec![0; buffer.len()];
    group.bench_function("copy/64KiB", |b| {
        b.iter(|| black_box(&mut copy).copy_from_slice(black_box(&buffer)))
    });
    group.finish();
}

/// A read buffer of 64 KiB, as full as whole messages of 64 B get it, and their number.
fn full_buffer() -> (Vec<u8>, u64) {
    let mut buffer = Vec::with_capacity(BUFFER_BYTES);
    let mut count = 0;
    while buffer.len() + wire::HEADER_LEN + 64 <= BUFFER_BYTES {
        wire::put_message(&mut buffer, Header { topic: 7, ..Header::data(Kind::Event) }, &[0x5A; 64]);
        count += 1;
    }
    (buffer, count)
}

const BUFFER_BYTES: usize = 64 * 1024;

const MAX_PAYLOAD: usize = 16 * 1024 * 1024;

criterion_group!(benches, header, buffer);
criterion_main!(benches);
