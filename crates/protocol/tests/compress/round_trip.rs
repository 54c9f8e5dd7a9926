use bytes::Bytes;
use nyx_protocol::compress::{
    Block, Compressor, Decompressor, Encoding, HEAD_LEN_MAX, Level, Method, Reference, reference,
};
use proptest::prelude::*;

use crate::traces::{self, Random, entity};
use crate::{LIMIT, dictionary, pack, unpack};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_method_gives_back_what_it_was_given(
        pieces in prop::collection::vec((prop::collection::vec(any::<u8>(), 1..60), 1usize..80), 0..20),
        prefix in prop::collection::vec(any::<u8>(), 0..3000),
        base in any::<u64>(),
        level in -5i32..=9,
    ) {
        let payload: Vec<u8> = pieces.iter().flat_map(|(piece, times)| piece.repeat(*times)).collect();
        let level = Level::new(level).unwrap_or(Level::DEFAULT);
        for (method, reference) in [
            (Method::Stored, Reference::None),
            (Method::Level(level), Reference::None),
            (Method::Prefix { base, prefix: &prefix, level }, Reference::Prefix { version: base, content: &prefix }),
        ] {
            let bytes = pack(&payload, method);
            prop_assert!(bytes.len() <= payload.len() + 1);
            prop_assert_eq!(unpack(&bytes, reference), &payload[..]);
        }
    }
}

#[test]
fn one_pair_of_contexts_serves_every_method_in_any_order() {
    let dictionary = dictionary(1);
    let mut random = Random(3);
    let (mut compressor, mut decompressor, mut content) =
        (Compressor::new(), Decompressor::new(), Vec::new());
    let world = &traces::game_world(1, 2, 60, 3, false);
    for n in 0..200 {
        let payload = match n % 3 {
            0 => world[1].full.clone(),
            1 => entity(&mut random, n).into_bytes(),
            _ => random.bytes(1000),
        };
        let prefix = &world[0].full[..];
        let (method, reference) = match random.below(4) {
            0 => (Method::Stored, Reference::None),
            1 => (Method::Level(Level::FAST), Reference::None),
            2 => (Method::Dictionary(&dictionary), Reference::Dictionary(&dictionary)),
            _ => (
                Method::Prefix { base: n, prefix, level: Level::FAST },
                Reference::Prefix { version: n, content: prefix },
            ),
        };
        let bytes = compressor.compress(&payload, method).to_vec();
        let block = Block::parse(&bytes, LIMIT).unwrap();
        decompressor.decompress(&block, reference, &mut content).unwrap();
        assert_eq!(content, payload);
    }
}

#[test]
fn a_record_of_208_bytes_takes_at_most_43_with_a_dictionary() {
    let dictionary = dictionary(1);
    let mut random = Random(99);
    let mut compressor = Compressor::new();
    let (mut plain, mut packed, mut alone) = (0, 0, 0);
    for id in 0..200 {
        let record = entity(&mut random, id);
        plain += record.len();
        packed += compressor.compress(record.as_bytes(), Method::Dictionary(&dictionary)).len();
        alone += compressor.compress(record.as_bytes(), Method::Level(Level::DEFAULT)).len();
    }
    println!("{} bytes a record: {} with dictionary, {} alone", plain / 200, packed / 200, alone / 200);
    assert!((195..=215).contains(&(plain / 200)));
    assert!(packed <= 43 * 200, "{packed}");
}

#[test]
fn a_prefix_makes_the_next_version_small() {
    let world = traces::game_world(1, 2, 80, 3, false);
    let (old, new) = (&world[0].full[..], &world[1].full[..]);
    let alone = pack(new, Method::Level(Level::FAST));
    let bytes = pack(new, Method::Prefix { base: 6, prefix: old, level: Level::FAST });
    println!("{} bytes: {} alone, {} with prefix", new.len(), alone.len(), bytes.len());
    assert!(bytes.len() * 4 < alone.len());
    assert_eq!(unpack(&bytes, Reference::Prefix { version: 6, content: old }), new);
}

#[test]
fn nothing_grows_by_more_than_the_tag() {
    let dictionary = dictionary(1);
    let mut random = Random(5);
    let mut compressor = Compressor::new();
    for len in (0..64).chain([100, 511, 512, 513, 1000, 46_000]) {
        let payload = random.bytes(len);
        let prefix = random.bytes(len);
        for method in [
            Method::Level(Level::FAST),
            Method::Dictionary(&dictionary),
            Method::Prefix { base: u64::MAX, prefix: &prefix, level: Level::FAST },
        ] {
            let block = compressor.compress(&payload, method);
            assert_eq!((block.encoding(), block.len()), (Encoding::Stored, len + 1));
            assert_eq!(block.body().as_ptr(), payload.as_ptr(), "stored without a copy");
            assert!(block.head().len() <= HEAD_LEN_MAX);
        }
    }
}

#[test]
fn blocks_have_the_bytes_that_the_documentation_says() {
    // A single segment of 5 bytes; the last block, raw, of 5 bytes.
    let frame = &b"\x20\x05\x29\x00\x00hello"[..];
    let dictionary = dictionary(300);
    let by_dictionary = (Encoding::Dictionary(dictionary.name()), Reference::Dictionary(&dictionary));
    let by_prefix = (Encoding::Prefix(300), Reference::Prefix { version: 300, content: b"earlier" });
    for (head, rest, (encoding, reference), keep) in [
        (&b"\x00"[..], &b"hello"[..], (Encoding::Stored, Reference::None), false),
        (b"\x80", b"hello", (Encoding::Stored, Reference::None), true),
        (b"\x01", frame, (Encoding::Zstd, Reference::None), false),
        (b"\x02\x05\xAC\x02", frame, by_dictionary, false),
        // The CRC-32 of the content.
        (b"\x83\xAC\x02\x36\x10\xA6\x86", frame, by_prefix, true),
    ] {
        let bytes = [head, rest].concat();
        let block = Block::parse(&bytes, 5).unwrap();
        assert_eq!((block.encoding(), block.keep(), block.content_len()), (encoding, keep, 5));
        assert_eq!(unpack(&bytes, reference), b"hello");
    }
    // The same byte 200 times.
    assert_eq!(unpack(b"\x01\x20\xC8\x43\x06\x00x", Reference::None), [b'x'; 200]);
    assert_eq!(pack(b"hello", Method::Level(Level::FAST)), b"\x00hello");
    let by_dictionary = pack(entity(&mut Random(1), 1).as_bytes(), Method::Dictionary(&dictionary));
    assert!(by_dictionary.starts_with(b"\x02\x05\xAC\x02\x20"));
}

#[test]
fn large_payloads_keep_to_the_window_that_every_decoder_has() {
    let world = traces::game_world(1, 1, 20_000, 0, false).remove(0).full;
    assert!(world.len() > 4 << 20);
    for level in [-5, 1, 3, 9] {
        let level = Level::new(level).unwrap();
        let bytes = pack(&world, Method::Level(level));
        let block = Block::parse(&bytes, world.len()).unwrap();
        let mut content = Vec::new();
        Decompressor::new().decompress(&block, Reference::None, &mut content).unwrap();
        assert!(content == world && block.encoding() == Encoding::Zstd);
    }
}

#[test]
fn what_is_compressed_already_is_not_tried() {
    let mut compressor = Compressor::new();
    let before = compressor.held_bytes();
    for update in traces::jpeg(1, 3).iter().chain(&traces::noise(2, 3, 46_000)) {
        let block = compressor.compress(&update.full, Method::Level(Level::DEFAULT));
        assert_eq!(block.encoding(), Encoding::Stored);
    }
    assert_eq!(compressor.held_bytes(), before, "no buffer was made ready");
}

#[test]
fn prefixes_follow_acknowledgements_and_stay_bounded() {
    let updates = traces::game_world(4, 60, 20, 5, false);
    let (mut sender, mut receiver) = (reference::Sender::new(LIMIT), reference::Receiver::new(LIMIT));
    let (mut compressor, mut decompressor) = (Compressor::new(), Decompressor::new());
    let mut random = Random(8);
    let mut by_prefix = 0;
    // Acknowledgements come late, by as many versions as the path holds.
    let mut path = std::collections::VecDeque::new();
    for (version, update) in updates.iter().enumerate() {
        let payload = Bytes::from(update.full.clone());
        let version = version as u64;
        let keep = sender.marks(version, &payload);
        // Now and then another method is chosen, and the marks still agree.
        let method = match sender.method(Level::FAST) {
            Some(method) if random.below(4) > 0 => method,
            _ => Method::Level(Level::FAST),
        };
        let block = compressor.compress(&payload, method);
        let bytes = if keep { block.keep().to_vec() } else { block.to_vec() };

        let block = Block::parse(&bytes, LIMIT).unwrap();
        let mut content = Vec::new();
        decompressor.decompress(&block, receiver.reference(&block), &mut content).unwrap();
        let content = Bytes::from(content);
        assert_eq!(content, payload);
        receiver.handle_block(version, &block, &content).unwrap();
        by_prefix += usize::from(matches!(block.encoding(), Encoding::Prefix(_)));

        path.push_back(version);
        if path.len() as u64 > 1 + random.below(6) {
            sender.handle_ack(path.pop_front().unwrap());
        }
    }
    assert!(by_prefix > 25, "{by_prefix}");
}
