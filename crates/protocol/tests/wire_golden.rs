//! Whole messages, byte for byte, in a file that the console's page is held to as well (`console/wire.test.mjs`).
#![allow(clippy::needless_update, reason = "a message may get further fields")]

use bytes::BytesMut;
use nyx_protocol::control::{self, Body};
use nyx_protocol::wire::{self, Flags, Header, Kind, Messages, Scan, codec};

const EPOCH: u64 = 0x0102_0304_0506_0708;

/// Every control message that the schema has, by its name there.
fn control_messages() -> Vec<(&'static str, Body)> {
    let audio = Some(control::AudioFormat { sample_rate: 48_000, channels: 2 });
    let resume = vec![control::Resume { topic: "a/b".into(), epoch: EPOCH, position: 300 }];
    let dropped = |reason: control::Reason, count| control::Drop { reason: reason.into(), count };
    let drops = vec![dropped(control::Reason::Conflated, 6), dropped(control::Reason::Overrun, 1)];
    // Too short for a real one, which is its decoder's concern.
    let content = b"northern";
    let dictionary = [&[5, 1][..], &crc32fast::hash(content).to_be_bytes(), content].concat();
    let mut messages = vec![
        (
            "hello",
            control::Hello {
                version: 1,
                name: "ada 1".into(),
                acknowledges: true,
                token: "key".into(),
                ..Default::default()
            }
            .into(),
        ),
        (
            "welcome",
            control::Welcome {
                version: 1,
                session_id: u64::MAX,
                server: "nyx".into(),
                max_message_bytes: 16 << 20,
                hub: EPOCH,
                ..Default::default()
            }
            .into(),
        ),
        (
            "error",
            control::Error {
                code: control::ErrorCode::BadDocument.into(),
                message: "wrong".into(),
                fatal: true,
                alias: Some(0),
                ..Default::default()
            }
            .into(),
        ),
        (
            "advertise",
            control::Advertise {
                alias: 3,
                topic: "radio".into(),
                kind: control::Kind::Audio.into(),
                content_type: "audio/pcm".into(),
                audio,
                max_age_ms: 200,
                lane: control::Lane::High.into(),
                ..Default::default()
            }
            .into(),
        ),
        ("advertised", control::Advertised { alias: 3, topic_id: 5, plain: true }.into()),
        (
            "subscribe",
            control::Subscribe {
                id: 1,
                pattern: "a/**".into(),
                max_age_ms: 200,
                resume,
                ..Default::default()
            }
            .into(),
        ),
        ("subscribed", control::Subscribed { id: 1, ..Default::default() }.into()),
        ("unsubscribe", control::Unsubscribe { id: 1, ..Default::default() }.into()),
        (
            "announce",
            control::Announce {
                topic_id: 5,
                topic: "a/b".into(),
                kind: control::Kind::State.into(),
                prompt: true,
                epoch: EPOCH,
                position: 2,
                ..Default::default()
            }
            .into(),
        ),
        ("ack", control::Ack { bytes: 300, ..Default::default() }.into()),
        ("gap", control::Gap { topic_id: 5, first_sequence: 9, drops, ..Default::default() }.into()),
        ("ping", control::Ping { nonce: 1, ..Default::default() }.into()),
        ("pong", control::Pong { nonce: u64::MAX, ..Default::default() }.into()),
        ("resync", control::Resync { topic_id: 5, ..Default::default() }.into()),
        ("goodbye", control::Goodbye { reason: "restar".into(), ..Default::default() }.into()),
        ("dictionary", control::Dictionary { message: dictionary.into(), ..Default::default() }.into()),
        ("retire", control::Retire { id: 5, version: 1, ..Default::default() }.into()),
        ("compression", control::Compression { allowed: true, ..Default::default() }.into()),
    ];
    messages.extend(request_messages());
    messages
}

/// Those about results and requests.
fn request_messages() -> Vec<(&'static str, Body)> {
    let (limit, forbidden) = (control::ErrorCode::Limit.into(), control::ErrorCode::Forbidden.into());
    let (service, no) = ("up".to_owned(), "no".to_owned());
    let outcomes = vec![
        control::Outcome { count: 2, sequence: Some(9), ..Default::default() },
        control::Outcome { count: 1, code: limit, message: no.clone(), ..Default::default() },
    ];
    let request = control::Request {
        id: 7,
        service: service.clone(),
        body: "hi".into(),
        deadline_ms: 200,
        lane: control::Lane::High.into(),
        ..Default::default()
    };
    vec![
        ("results", control::Results { alias: 3, outcomes, ..Default::default() }.into()),
        ("serve", control::Serve { id: 1, service, concurrency: 4, ..Default::default() }.into()),
        ("served", control::Served { id: 1, code: forbidden, message: no, ..Default::default() }.into()),
        ("unserve", control::Unserve { id: 1, ..Default::default() }.into()),
        ("request", request.into()),
        (
            "reply",
            control::Reply {
                id: 7,
                status: control::Status::Failed.into(),
                body: "no".into(),
                ..Default::default()
            }
            .into(),
        ),
        ("cancel", control::Cancel { id: 7, ..Default::default() }.into()),
        ("unadvertise", control::Unadvertise { alias: 3, ..Default::default() }.into()),
        ("passed", control::Passed { topic_id: 5, hubs: vec![EPOCH], ..Default::default() }.into()),
    ]
}

/// One of each kind, with what a header can say.
fn data_messages() -> Vec<(&'static str, Header, Option<u64>, Vec<u8>)> {
    let event = Header { codec: codec::EVENT_TEXT, topic: 7, sequence: 258, ..Header::data(Kind::Event) };
    let (flags, codec) = (Flags::KEYFRAME, codec::FRAME_JPEG);
    let frame = Header { flags, codec, topic: 1, sequence: u32::MAX, ..Header::data(Kind::Frame) };
    let (flags, codec) = (Flags::SNAPSHOT, codec::STATE_DELTA);
    let state = Header { flags, codec, topic: 5, sequence: 2, ..Header::data(Kind::State) };
    let audio = Header { codec: codec::AUDIO_F32LE, topic: 5, ..Header::data(Kind::Audio) };
    let captured = 1_700_000_000_000_001;
    let samples = [1.0_f32, -1.0].map(f32::to_le_bytes).concat();
    let snapshot = [&EPOCH.to_be_bytes()[..], &[2, 0, 9, 0]].concat();
    vec![
        ("event_text", event, None, b"hi".to_vec()),
        ("frame_stamped", frame, Some(captured), vec![0xFF, 0xD8]),
        ("state_snapshot", state, None, snapshot),
        ("audio_float", audio, Some(captured - 1), samples),
    ]
}

#[test]
fn control_messages_are_written_and_read() {
    for (name, body) in control_messages() {
        let expected = golden(name);
        let mut out = BytesMut::new();
        control::put(&mut out, body.clone());
        assert_eq!(out, expected[..], "{name}");
        assert_eq!(wire::scan(&expected, 0), Ok(Scan::Control { len: expected.len() }), "{name}");
        assert_eq!(control::parse(&expected), Ok(Some(body)));
    }
}

#[test]
fn data_messages_are_written_and_read() {
    for (name, header, captured, payload) in data_messages() {
        let expected = golden(name);
        let mut out = Vec::new();
        match captured {
            Some(micros) => wire::put_stamped(&mut out, header, micros, &payload),
            None => wire::put_message(&mut out, header, &payload),
        }
        assert_eq!(out, expected, "{name}");
        let message = Messages::new(&expected).next().expect("a whole message");
        assert_eq!((message.unix_micros, message.payload), (captured, &payload[..]), "{name}");
        assert_eq!((message.header.kind, message.header.codec), (header.kind, header.codec), "{name}");
    }
}

#[test]
fn every_message_of_the_schema_is_in_the_file() {
    let schema = include_str!("../proto/control.proto");
    let (_, oneof) = schema.split_once("oneof body {").expect("the schema has a oneof");
    let members = oneof.lines().map_while(|line| (line.trim() != "}").then_some(line.trim()));
    let in_schema: Vec<_> = members.filter_map(|line| line.split_whitespace().nth(1)).collect();
    let in_file: Vec<_> = control_messages().into_iter().map(|(name, _)| name).collect();
    assert!(in_schema.len() >= 15);
    assert_eq!(
        in_schema, in_file,
        "a message of the schema has no bytes: add it to wire_golden.txt and control_messages(), in order"
    );
}

/// A message of `wire_golden.txt`.
fn golden(name: &str) -> Vec<u8> {
    let lines =
        include_str!("wire_golden.txt").lines().map(|line| line.split('#').next().unwrap_or("").trim());
    let message = lines.skip_while(|line| line.strip_suffix(':') != Some(name)).skip(1);
    let hex = message.take_while(|line| !line.ends_with(':')).flat_map(str::split_whitespace);
    hex.map(|byte| u8::from_str_radix(byte, 16).expect("hexadecimal")).collect()
}
