//! The hot path takes no memory: what arrives is found, read, patched and written where it lies.

use std::hint::black_box;

use allocation_counter::measure;
use nyx_protocol::wire::{self, Flags, Header, Kind, Messages, Scan, codec};

/// A read buffer with a run of each kind, and the number of messages.
fn buffer() -> (Vec<u8>, usize) {
    let mut buffer = Vec::new();
    let mut count = 0;
    for (kind, codec) in [
        (Kind::Event, codec::EVENT_TEXT),
        (Kind::Frame, codec::FRAME_JPEG),
        (Kind::Audio, codec::AUDIO_F32LE),
        (Kind::State, codec::STATE_DELTA),
    ] {
        for sequence in 0..50 {
            let header = Header { topic: 7, sequence, codec, ..Header::data(kind) };
            wire::put_message(&mut buffer, header, &[0x5A; 64]);
            let stamped = Header { flags: Flags::NONE, ..header };
            wire::put_stamped(&mut buffer, stamped, 1_700_000_000_000_000, &[0x5A; 700]);
            count += 2;
        }
    }
    (buffer, count)
}

#[test]
fn data_messages_are_decoded_without_allocation() {
    let (buffer, count) = buffer();
    let mut seen = (0, 0);
    let took = measure(|| {
        let mut rest = &buffer[..];
        while let Ok(Scan::Run(run)) = wire::scan(black_box(rest), usize::MAX) {
            for message in Messages::new(&rest[..run.len]) {
                seen = (seen.0 + 1, seen.1 + black_box(message).payload.len());
            }
            rest = &rest[run.len..];
        }
    });
    assert_eq!(seen, (count, count / 2 * (64 + 700)));
    assert_eq!((took.count_total, took.bytes_total), (0, 0));
}

#[test]
fn data_messages_are_patched_and_headers_written_without_allocation() {
    let (mut buffer, _) = buffer();
    let took = measure(|| {
        black_box(wire::patch_run(black_box(&mut buffer), 9, 1_000, usize::MAX));
        black_box(black_box(Header::data(Kind::Event)).to_bytes());
    });
    assert_eq!((took.count_total, took.bytes_total), (0, 0));
}

#[test]
fn the_counter_counts() {
    let took = measure(|| drop(black_box(vec![0_u8; 1000])));
    assert_eq!((took.count_total, took.bytes_total), (1, 1000));
}
