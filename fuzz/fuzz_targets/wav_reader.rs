//! Any bytes read as WAV give an error or whole frames, never more of them than there were bytes for.

#![no_main]

use libfuzzer_sys::fuzz_target;
use nyx_audio_capture::{Source, wav};

fuzz_target!(|input: &[u8]| {
    let Ok(mut reader) = wav::Reader::open(input) else { return };
    let frame_bytes = reader.format().frame_bytes(reader.encoding());
    let mut next = 0;
    // The narrowest sample that is stored has one byte and becomes four.
    let most = input.len() * 4;
    let mut total = 0;
    while let Ok(Some(chunk)) = reader.next_block(100) {
        assert_eq!(chunk.first_frame, next, "frames come in order, without holes");
        assert!(chunk.frames > 0 && chunk.frames <= 100);
        assert_eq!(chunk.pcm.len(), chunk.frames * frame_bytes);
        next += chunk.frames as u64;
        total += chunk.pcm.len();
        assert!(total <= most, "more samples than the input can hold");
    }
});
