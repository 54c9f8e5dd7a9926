//! Any bytes are sound or an error, and any samples come back bit by bit.

#![no_main]

use libfuzzer_sys::fuzz_target;
use nyx_protocol::compress::linear::Shape;
use nyx_protocol::compress::{Block, Compressor, Decompressor, Method, Reference};
use nyx_protocol::wire::codec;

const LIMIT: usize = 64 * 1024;

/// The tag of such a block.
const LINEAR: u8 = 4;

fuzz_target!(|input: &[u8]| {
    let mut decompressor = Decompressor::new();
    let mut content = Vec::new();
    // A seed is a whole block.
    let body = input.strip_prefix(&[LINEAR]).unwrap_or(input);
    if let Ok(block) = Block::parse(&[&[LINEAR], body].concat(), LIMIT) {
        let outcome = decompressor.decompress(&block, Reference::None, &mut content);
        assert!(block.content_len() <= LIMIT && content.capacity() <= LIMIT);
        assert_eq!(content.len(), if outcome.is_ok() { block.content_len() } else { 0 });
    }
    let (Some((&channels, pcm)), mut compressor) = (input.split_first(), Compressor::new()) else { return };
    for audio in [codec::AUDIO_S16LE, codec::AUDIO_F32LE] {
        let Some(shape) = Shape::new(audio, channels.into()) else { continue };
        let bytes = compressor.compress(pcm, Method::Linear(shape)).to_vec();
        assert!(bytes.len() <= pcm.len() + 1);
        let block = Block::parse(&bytes, pcm.len()).expect("our own block");
        decompressor.decompress(&block, Reference::None, &mut content).expect("our own block");
        assert_eq!(content, pcm);
    }
});
