//! Any bytes are dictionaries or errors, and a store stays within its bounds. With what was taken, blocks are decoded or refused.

#![no_main]

use libfuzzer_sys::fuzz_target;
use nyx_protocol::compress::dictionary::{Dictionary, Name, Store};
use nyx_protocol::compress::{Block, Compressor, Decompressor, Method};

const COUNT: usize = 3;
const BYTES: usize = 8 * 1024;
const LIMIT: usize = 4 * 1024;

fuzz_target!(|input: &[u8]| {
    let mut store = Store::new(COUNT, BYTES);
    let (mut compressor, mut decompressor, mut content) =
        (Compressor::new(), Decompressor::new(), Vec::new());
    // The input's beginning as a dictionary that passes the checksum, and as a message that hardly does.
    let (head, rest) = input.split_at(input.len() / 2);
    let _ = store.insert(input);
    let name = Name { id: 1, version: 1 };
    if let Ok(dictionary) = Dictionary::new(name, head) {
        let message = dictionary.to_message();
        let outcome = store.insert(&message);
        assert!(outcome.is_ok() || head.len() > BYTES || store.get(name).is_some());
        // What can be encoded with it is decoded with it.
        let bytes = compressor.compress(rest, Method::Dictionary(&dictionary)).to_vec();
        assert!(bytes.len() <= rest.len() + 1);
        if outcome.is_ok() {
            let block = Block::parse(&bytes, rest.len()).expect("our own block");
            decompressor.decompress(&block, store.reference(&block), &mut content).expect("our own block");
            assert_eq!(content, rest);
        }
    }
    let tagged = [&[2, 1, 1][..], rest].concat();
    if let Ok(block) = Block::parse(&tagged, LIMIT) {
        let outcome = decompressor.decompress(&block, store.reference(&block), &mut content);
        assert_eq!(content.len(), if outcome.is_ok() { block.content_len() } else { 0 });
    }
    assert!(store.len() <= COUNT && store.held_bytes() <= COUNT * (48 * 1024 + 2 * BYTES));
    let was_held = store.get(name).is_some();
    assert_eq!(store.retire(name), was_held);
    assert!(store.get(name).is_none());
});
