//! Any bytes are blocks or errors. What is decoded has the length that was announced, within the limit, whatever is referred to.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use nyx_protocol::compress::dictionary::{Config, Dictionary, Trainer};
use nyx_protocol::compress::{Block, Compressor, Decompressor, Encoding, Level, Method, Reference};

const LIMIT: usize = 32 * 1024;

/// What the receiver has as prefix.
const PREFIX: &[u8] =
    br#"{"id":7,"name":"entity-0007","position":{"x":1.25,"y":7.5},"team":"north","state":"idle"}"#;

static DICTIONARY: LazyLock<Dictionary> = LazyLock::new(|| {
    let mut trainer = Trainer::new(1, Config::default());
    let record = |n: u32| {
        format!(r#"{{"id":{n},"name":"entity-{n:04}","x":{},"team":"north","state":"idle"}}"#, n * 7 % 997)
    };
    (0..2000).for_each(|n| trainer.observe(record(n).as_bytes()));
    trainer.job().expect("samples enough").run().expect("records that look alike").dictionary
});

fuzz_target!(|input: &[u8]| {
    let dictionary = &*DICTIONARY;
    let mut content = Vec::new();
    if let Ok(block) = Block::parse(input, LIMIT) {
        let reference = match block.encoding() {
            Encoding::Stored | Encoding::Zstd | Encoding::Linear => Reference::None,
            Encoding::Dictionary(_) => Reference::Dictionary(dictionary),
            Encoding::Prefix(version) => Reference::Prefix { version, content: PREFIX },
        };
        let outcome = Decompressor::new().decompress(&block, reference, &mut content);
        assert!(block.content_len() <= LIMIT && content.capacity() <= LIMIT);
        assert_eq!(content.len(), if outcome.is_ok() { block.content_len() } else { 0 });
    }
    // The same bytes as a payload: they come back, and have not grown.
    let (mut compressor, mut decompressor) = (Compressor::new(), Decompressor::new());
    let prefix = Reference::Prefix { version: 9, content: PREFIX };
    for (method, reference) in [
        (Method::Level(Level::FAST), Reference::None),
        (Method::Dictionary(dictionary), Reference::Dictionary(dictionary)),
        (Method::Prefix { base: 9, prefix: PREFIX, level: Level::FAST }, prefix),
    ] {
        let bytes = compressor.compress(input, method).to_vec();
        assert!(bytes.len() <= input.len() + 1);
        let block = Block::parse(&bytes, input.len()).expect("our own block");
        decompressor.decompress(&block, reference, &mut content).expect("our own block");
        assert_eq!(content, input);
    }
});
