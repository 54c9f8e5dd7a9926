//! Any bytes of a sound server, cut anywhere, become packets that hold just what was between their headers, or an error.

#![no_main]

use libfuzzer_sys::fuzz_target;
use nyx_audio_capture::pulse::inbox::{Inbox, Packet};

const HEADER: usize = 20;

fuzz_target!(|input: &[u8]| {
    // The first byte says how finely the rest is cut.
    let Some((cut, stream)) = input.split_first() else { return };
    let (cut, mut rest) = (usize::from(*cut) + 1, stream);
    let mut inbox = Inbox::new();
    let mut taken = 0;
    while !rest.is_empty() {
        let room = inbox.room();
        let bytes = rest.len().min(cut).min(room.len());
        room[..bytes].copy_from_slice(&rest[..bytes]);
        inbox.filled(bytes);
        rest = &rest[bytes..];
        loop {
            let length = match inbox.next_packet() {
                Ok(Some(Packet::Samples { bytes, .. })) => bytes.len(),
                Ok(Some(Packet::Message { body, .. })) => body.len() + 10,
                Ok(None) => break,
                Err(_) => return,
            };
            let announced = stream[taken..taken + 4].try_into().map(u32::from_be_bytes).unwrap_or_default();
            assert_eq!(length, announced as usize);
            taken += HEADER + length;
        }
    }
    assert!(taken <= stream.len());
});
