//! Holds the code to the bytes of `docs/WIRE.md`. What stands here can't change within version 1.

use bytes::BytesMut;
use nyx_protocol::compress::dictionary::Name;
use nyx_protocol::compress::{Block, DecompressError, Decompressor, Method, Reference};
use nyx_protocol::control::{self, Body};
use nyx_protocol::pack::{Packer, Unpacker};
use nyx_protocol::wire::{self, Flags, Header, Kind, Messages, codec};

/// `"01 ff"` as bytes.
fn hex(text: &str) -> Vec<u8> {
    text.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).expect("two hex digits")).collect()
}

#[test]
fn an_event() {
    let mut out = Vec::new();
    let header = Header { codec: codec::EVENT_TEXT, topic: 7, sequence: 258, ..Header::data(Kind::Event) };
    wire::put_message(&mut out, header, b"hi");
    assert_eq!(out, hex("04 00 01 00 00 00 00 07 00 00 01 02 00 00 00 02 68 69"));
}

#[test]
fn a_frame_with_its_capture_time() {
    let mut out = Vec::new();
    let header = Header {
        flags: Flags::KEYFRAME,
        codec: codec::FRAME_JPEG,
        topic: 1,
        sequence: u32::MAX,
        ..Header::data(Kind::Frame)
    };
    wire::put_stamped(&mut out, header, 1_700_000_000_000_001, &[0xff, 0xd8]);
    let expected = "02 03 01 00 00 00 00 01 ff ff ff ff 00 00 00 0a 00 06 0a 24 18 1e 40 01 ff d8";
    assert_eq!(out, hex(expected));
    let message = Messages::new(&out).next().expect("a whole message");
    assert_eq!((message.unix_micros, message.payload), (Some(1_700_000_000_000_001), &[0xff, 0xd8][..]));
}

#[test]
fn a_batch_is_a_block_that_counts_its_items() {
    let mut run = Vec::new();
    let header = Header { codec: codec::EVENT_TEXT, topic: 7, sequence: 9, ..Header::data(Kind::Event) };
    wire::put_message(&mut run, header, b"one");
    wire::put_stamped(&mut run, Header { sequence: 10, ..header }, 1_700_000_000_000_001, b"two");
    let mut out = BytesMut::new();
    Packer::new().pack_run(&run, Method::Stored, &mut out);
    let expected = "04 08 01 00 00 00 00 07 00 00 00 09 00 00 00 12 \
        40 02 06 6f 6e 65 07 82 80 f2 81 83 89 85 06 74 77 6f";
    assert_eq!(out[..], hex(expected));
    let mut plain = BytesMut::new();
    let message = Messages::new(&out).next().expect("a whole message");
    let unpacked = Unpacker::new().unpack(&message, |_| Reference::None, 100, &mut plain);
    assert_eq!((unpacked.map(|unpacked| unpacked.count), &plain[..]), (Ok(2), &run[..]));
    assert_eq!(
        wire::scan(&out, 100),
        Ok(wire::Scan::Run(wire::Run { kind: Kind::Event, topic: 7, len: 34, count: 2 }))
    );
}

/// What is compressed may come out otherwise with another zstd; what is read may not.
#[test]
fn blocks_of_each_encoding_are_read() {
    let content = b"the same again, the same again, the same again";
    // One raw zstd block, and one that repeats a byte.
    let raw = "20 03 19 00 00 61 62 63";
    let repeated = "20 06 33 00 00 7a";
    let opened = |block: &str, reference: Reference<'_>| {
        let block = hex(block);
        let block = Block::parse(&block, 1000).expect("a block");
        let mut out = Vec::new();
        Decompressor::new().decompress(&block, reference, &mut out).map(|()| out)
    };
    assert_eq!(opened("00 68 69", Reference::None), Ok(b"hi".to_vec()));
    assert_eq!(opened(&format!("01 {raw}"), Reference::None), Ok(b"abc".to_vec()));
    assert_eq!(opened(&format!("81 {repeated}"), Reference::None), Ok(b"zzzzzz".to_vec()));
    let prefix = Reference::Prefix { version: 300, content };
    assert_eq!(opened(&format!("03 ac 02 35 24 41 c2 {raw}"), prefix), Ok(b"abc".to_vec()));
    let name = Name { id: 7, version: 300 };
    let needs = opened(&format!("02 07 ac 02 {raw}"), Reference::None);
    assert_eq!(needs, Err(DecompressError::UnknownDictionary(name)));
}

#[test]
fn the_other_kinds() {
    assert_eq!(Header::CONTROL.to_bytes()[..4], hex("00 00 00 00"));
    let state = Header { flags: Flags::SNAPSHOT, codec: codec::STATE_DELTA, ..Header::data(Kind::State) };
    assert_eq!(state.to_bytes()[..4], hex("01 04 02 00"));
    let audio = Header { codec: codec::AUDIO_F32LE, ..Header::data(Kind::Audio) };
    assert_eq!(audio.to_bytes()[..4], hex("03 00 02 00"));
}

#[test]
fn control_messages() {
    let blocks =
        control::Blocks { dictionaries: 64, dictionary_bytes: 16_384, prefixes: 8, prefix_bytes: 1 << 20 };
    let cases: [(Body, &str); 20] = [
        (
            control::Hello { version: 1, name: "a".into(), acknowledges: true, ..Default::default() }.into(),
            "0a 07 08 01 12 01 61 18 01",
        ),
        (
            control::Hello { version: 1, blocks: Some(blocks), ..Default::default() }.into(),
            "0a 11 08 01 82 01 0c 08 40 10 80 80 01 18 08 20 80 80 40",
        ),
        (
            control::Welcome { version: 1, session_id: 2, blocks: true, ..Default::default() }.into(),
            "12 07 08 01 10 02 80 01 01",
        ),
        (control::Dictionary { message: vec![1, 2].into() }.into(), "82 01 04 0a 02 01 02"),
        (control::Retire { id: 7, version: 1 }.into(), "8a 01 04 08 07 10 01"),
        (control::Compression { allowed: true }.into(), "92 01 02 08 01"),
        (
            control::Advertise {
                alias: 3,
                topic: "t".into(),
                kind: control::Kind::Frame.into(),
                ..Default::default()
            }
            .into(),
            "22 07 08 03 12 01 74 18 02",
        ),
        (
            control::Subscribe { id: 1, pattern: "**".into(), max_age_ms: 200, resume: vec![] }.into(),
            "32 09 08 01 12 02 2a 2a 18 c8 01",
        ),
        (
            control::Announce {
                topic_id: 5,
                topic: "t".into(),
                kind: control::Kind::State.into(),
                prompt: true,
                epoch: 1,
                position: 2,
                ..Default::default()
            }
            .into(),
            "4a 14 08 05 12 01 74 18 01 38 01 41 01 00 00 00 00 00 00 00 48 02",
        ),
        (control::Ack { bytes: 300 }.into(), "52 03 08 ac 02"),
        (
            control::Gap {
                topic_id: 5,
                first_sequence: 9,
                drops: vec![control::Drop { reason: control::Reason::Conflated.into(), count: 6 }],
            }
            .into(),
            "5a 0a 08 05 10 09 1a 04 08 02 10 06",
        ),
        (control::Ping { nonce: 1 }.into(), "62 02 08 01"),
        (control::Resync { topic_id: 5 }.into(), "72 02 08 05"),
        (
            control::Advertise {
                alias: 3,
                topic: "t".into(),
                kind: control::Kind::Event.into(),
                results: true,
                ..Default::default()
            }
            .into(),
            "22 0a 08 03 12 01 74 18 04 a0 01 01",
        ),
        (
            control::Results {
                alias: 3,
                outcomes: vec![
                    control::Outcome { count: 300, sequence: Some(7), ..Default::default() },
                    control::Outcome {
                        count: 1,
                        code: control::ErrorCode::KindMismatch.into(),
                        message: "no".into(),
                        ..Default::default()
                    },
                ],
            }
            .into(),
            "a2 01 13 08 03 12 05 08 ac 02 10 07 12 08 08 01 18 05 22 02 6e 6f",
        ),
        (
            control::Serve { id: 1, service: "s".into(), concurrency: 16 }.into(),
            "aa 01 07 08 01 12 01 73 18 10",
        ),
        (control::Served { id: 1, ..Default::default() }.into(), "b2 01 02 08 01"),
        (
            control::Request {
                id: 300,
                service: "s".into(),
                body: "hi".into(),
                deadline_ms: 500,
                lane: control::Lane::High.into(),
                serve_id: 0,
            }
            .into(),
            "c2 01 0f 08 ac 02 12 01 73 1a 02 68 69 20 f4 03 28 01",
        ),
        (
            control::Reply { id: 300, status: control::Status::Failed.into(), body: "no".into() }.into(),
            "ca 01 09 08 ac 02 10 01 1a 02 6e 6f",
        ),
        (control::Cancel { id: 300 }.into(), "d2 01 03 08 ac 02"),
    ];
    for (body, payload) in cases {
        let payload = hex(payload);
        let mut expected = hex("00 00 00 00 00 00 00 00 00 00 00 00 00 00 00");
        expected.push(payload.len() as u8);
        expected.extend(payload);
        let mut out = BytesMut::new();
        control::put(&mut out, body.clone());
        assert_eq!(out[..], expected, "{body:?}");
        assert_eq!(control::parse(&out), Ok(Some(body)));
    }
}
