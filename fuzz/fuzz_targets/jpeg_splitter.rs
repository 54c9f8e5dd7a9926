//! Any bytes, in pieces of any size, are cut into the same images, each from its start marker to its end marker.

#![no_main]

use libfuzzer_sys::fuzz_target;

// The daemon is a program and no library; this part of it stands alone.
#[allow(dead_code, missing_docs)]
#[path = "../../crates/daemon/src/publish/jpeg.rs"]
mod jpeg;

use jpeg::Splitter;

/// Small, so that inputs reach it.
const IMAGE_MAX: usize = 300;

fuzz_target!(|input: &[u8]| {
    let [piece, stream @ ..] = input else { return };
    let whole = split(stream, stream.len());
    let pieces = split(stream, usize::from(*piece));
    assert_eq!(whole, pieces, "the pieces in which a stream arrives change nothing");
    for image in whole {
        assert!(image.len() <= IMAGE_MAX);
        assert!(image.starts_with(&[0xff, 0xd8]) && image.ends_with(&[0xff, 0xd9]));
    }
});

fn split(stream: &[u8], piece: usize) -> Vec<Vec<u8>> {
    let mut splitter = Splitter::new(IMAGE_MAX);
    let mut images = Vec::new();
    for bytes in stream.chunks(piece.max(1)) {
        splitter.push(bytes);
        while let Some(image) = splitter.next_image() {
            images.push(image.to_vec());
        }
    }
    images
}
