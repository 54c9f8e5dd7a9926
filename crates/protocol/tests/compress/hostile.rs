use bytes::Bytes;
use nyx_protocol::compress::dictionary::{DictionaryError, InsertError, MessageError, Name, Store};
use nyx_protocol::compress::{
    Block, DecompressError, Decompressor, Encoding, Level, Method, ParseError, Reference, reference,
};
use proptest::prelude::*;

use crate::traces::{Random, entity};
use crate::{LIMIT, dictionary, pack};

fn try_unpack(bytes: &[u8], reference: Reference<'_>) -> Result<Vec<u8>, DecompressError> {
    let mut content = vec![7; 3];
    let block = Block::parse(bytes, LIMIT).unwrap();
    let outcome = Decompressor::new().decompress(&block, reference, &mut content);
    assert!(outcome.is_ok() || content.is_empty(), "nothing is left of what failed");
    outcome.map(|()| content)
}

#[test]
fn a_bomb_is_refused_before_anything_is_allocated() {
    let bomb = pack(&vec![0; 1 << 20], Method::Level(Level::FAST));
    assert!(bomb.len() < 200);
    let refused = Block::parse(&bomb, 64 * 1024).unwrap_err();
    assert_eq!(refused, ParseError::TooLarge { size: 1 << 20, limit: 64 * 1024 });
    let stored = pack(&[1; 100], Method::Stored);
    assert_eq!(Block::parse(&stored, 99).unwrap_err(), ParseError::TooLarge { size: 100, limit: 99 });
}

#[test]
fn output_takes_no_more_memory_than_the_block_said() {
    let payload = b"abcdefgh".repeat(1000);
    let bytes = pack(&payload, Method::Level(Level::FAST));
    let block = Block::parse(&bytes, payload.len()).unwrap();
    let mut content = Vec::new();
    Decompressor::new().decompress(&block, Reference::None, &mut content).unwrap();
    assert_eq!((content.len(), content.capacity()), (8000, 8000));
}

#[test]
fn another_dictionary_or_none_is_an_error() {
    let (first, second) = (dictionary(1), dictionary(2));
    let record = entity(&mut Random(1), 1);
    let bytes = pack(record.as_bytes(), Method::Dictionary(&first));
    let name = Name { id: 5, version: 1 };
    assert_eq!(Block::parse(&bytes, LIMIT).unwrap().encoding(), Encoding::Dictionary(name));
    for reference in
        [Reference::None, Reference::Dictionary(&second), Reference::Prefix { version: 1, content: b"x" }]
    {
        assert_eq!(try_unpack(&bytes, reference), Err(DecompressError::UnknownDictionary(name)));
    }
    assert_eq!(try_unpack(&bytes, Reference::Dictionary(&first)), Ok(record.into_bytes()));
}

#[test]
fn a_prefix_of_another_version_or_content_is_an_error() {
    let (old, new) = (entity(&mut Random(1), 1).repeat(3), entity(&mut Random(1), 1).repeat(4));
    let method = Method::Prefix { base: 9, prefix: old.as_bytes(), level: Level::FAST };
    let bytes = pack(new.as_bytes(), method);
    assert_eq!(try_unpack(&bytes, Reference::None), Err(DecompressError::UnknownPrefix(9)));
    let other_version = Reference::Prefix { version: 8, content: old.as_bytes() };
    assert_eq!(try_unpack(&bytes, other_version), Err(DecompressError::UnknownPrefix(9)));
    let forged = old.replace("entity", "EntItY");
    let outcome = try_unpack(&bytes, Reference::Prefix { version: 9, content: forged.as_bytes() });
    assert!(matches!(outcome, Err(DecompressError::OtherPrefix | DecompressError::Corrupt)), "{outcome:?}");
}

#[test]
fn a_prefix_that_looks_like_a_dictionary_is_not_taken_for_one() {
    let dictionary = dictionary(1);
    let payload = entity(&mut Random(1), 1).repeat(4);
    let method = Method::Prefix { base: 1, prefix: dictionary.content(), level: Level::FAST };
    let bytes = pack(payload.as_bytes(), method);
    assert_eq!(Block::parse(&bytes, LIMIT).unwrap().encoding(), Encoding::Stored);
}

#[test]
fn a_store_is_bounded_and_keeps_what_it_has() {
    let messages: Vec<_> = (1..=3).map(|version| dictionary(version).to_message()).collect();
    let mut store = Store::new(2, 8 * 1024);
    let first = store.insert(&messages[0]).unwrap();
    assert_eq!(store.insert(&messages[0]), Ok(first), "the same again");
    store.insert(&messages[1]).unwrap();
    assert_eq!(store.insert(&messages[2]), Err(InsertError::Full(2)));
    assert!(store.held_bytes() <= 2 * (48 * 1024 + 2 * 8 * 1024), "{}", store.held_bytes());

    let mut forged = dictionary(3).to_message();
    forged[1] = 1;
    assert_eq!(store.insert(&forged), Err(InsertError::Taken(first)));
    assert_eq!(store.len(), 2);
    assert!(store.retire(first) && !store.retire(first));
    store.insert(&messages[2]).unwrap();
}

#[test]
fn a_bad_dictionary_message_is_told_from_a_good_one() {
    let message = dictionary(1).to_message();
    let mut store = Store::new(2, 8 * 1024);
    assert_eq!(store.insert(&message[..4]), Err(MessageError::Truncated.into()));
    assert_eq!(store.insert(&message[..message.len() - 1]), Err(MessageError::Sum.into()));
    assert_eq!(store.insert(&[0xFF; 20]), Err(MessageError::Truncated.into()));
    let too_large = MessageError::from(DictionaryError::TooLarge { bytes: message.len() - 6, limit: 100 });
    assert_eq!(Store::new(2, 100).insert(&message), Err(too_large.into()));

    let text = b"plain content, without tables";
    let sum = crc32(text);
    let plain = [&[1, 1][..], &sum.to_be_bytes(), text].concat();
    assert_eq!(store.insert(&plain), Err(MessageError::from(DictionaryError::Invalid).into()));
    assert!(store.is_empty());
}

#[test]
fn a_receiver_does_not_keep_more_than_it_said() {
    let mut receiver = reference::Receiver::new(100);
    let compressed = pack(&[7; 101], Method::Stored);
    let kept = [&[compressed[0] | 0x80][..], &compressed[1..]].concat();
    let block = Block::parse(&kept, LIMIT).unwrap();
    assert!(block.keep());
    assert!(receiver.handle_block(1, &block, &Bytes::from(vec![7; 101])).is_err());
}

/// Bit by bit, as the standard has it.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 };
    !bytes.iter().fold(!0u32, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), step))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn damaged_blocks_decode_within_what_they_say_or_not_at_all(
        at in any::<prop::sample::Index>(),
        flip in 1u8..,
        cut in any::<prop::sample::Index>(),
        which in 0usize..3,
    ) {
        thread_local!(static DICTIONARY: nyx_protocol::compress::Dictionary = dictionary(1));
        let dictionary = DICTIONARY.with(Clone::clone);
        let payload = entity(&mut Random(2), 3).repeat(6);
        let prefix = entity(&mut Random(2), 3).repeat(5);
        let (method, reference) = [
            (Method::Level(Level::FAST), Reference::None),
            (Method::Dictionary(&dictionary), Reference::Dictionary(&dictionary)),
            (
                Method::Prefix { base: 1, prefix: prefix.as_bytes(), level: Level::FAST },
                Reference::Prefix { version: 1, content: prefix.as_bytes() },
            ),
        ][which];
        let mut bytes = pack(payload.as_bytes(), method);
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        for bytes in [&bytes[..], &bytes[..cut.index(bytes.len())]] {
            let Ok(block) = Block::parse(bytes, LIMIT) else { continue };
            let mut content = Vec::new();
            let outcome = Decompressor::new().decompress(&block, reference, &mut content);
            prop_assert!(content.capacity() <= block.content_len());
            prop_assert_eq!(content.len(), if outcome.is_ok() { block.content_len() } else { 0 });
        }
    }
}
