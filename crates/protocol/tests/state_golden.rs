//! Sections 5 and 6 of `docs/WIRE.md`, byte for byte. The console's page decodes the same bytes (`console/wire.test.mjs`).

use bytes::{Bytes, BytesMut};
use nyx_protocol::state::{ApplyError, DecodeError, Document, Encoded, Limits, ListOp, Patch, Piece, Value};

#[test]
fn value() {
    let value = Value::map([
        ("a", Value::list([Value::Null, Value::from(false), Value::from(true)])),
        ("b", Value::list([-64, 0, 63, 64, -65])),
        ("c", Value::list([0.1 + 0.2, f64::from(0.3_f32), 12.34, -0.5, 7.0].map(Value::F64))),
        ("d", Value::from("é")),
        ("e", Value::Bytes(Bytes::from_static(&[0xFF]))),
    ]);
    #[rustfmt::skip]
    let expected = [
        0x09, 5,
        1, b'a', 0x08, 3, 0x00, 0x01, 0x02,
        1, b'b', 0x08, 5, 0x80, 0xC0, 0xFF, 0x03, 0x80, 0x01, 0x03, 0x81, 0x01,
        1, b'c', 0x08, 5, 0x04, 0x3F, 0xD3, 0x33, 0x33, 0x33, 0x33, 0x33, 0x34, 0x05, 0x3E, 0x99, 0x99, 0x9A,
            0x12, 0xA4, 0x13, 0x11, 9, 0x10, 14,
        1, b'd', 0x06, 2, 0xC3, 0xA9,
        1, b'e', 0x07, 1, 0xFF,
    ];
    let mut out = BytesMut::new();
    value.encode(&mut out);
    assert_eq!(out, expected[..]);
    assert_eq!(Value::decode(&expected, &Limits::default()), Ok(value.clone()));

    // The same as nodes of a snapshot, which only write their keys otherwise.
    let mut document = Document::new(0x0102_0304_0506_0708, Limits::default());
    document.patch(&Patch::Set(value.clone())).unwrap();
    out.clear();
    document.snapshot(&mut out);
    assert_eq!(out, golden("values"));
    let mut receiver = Document::new(0, Limits::default());
    receiver.apply(&out, true).unwrap();
    assert_eq!(receiver.value(), value);
}

#[test]
fn patch() {
    let ops = vec![
        ListOp::Splice { index: 1, removed: 2, inserted: vec![7.into()] },
        ListOp::Item { index: 0, patch: Patch::Set("x".into()) },
    ];
    let pieces =
        vec![Piece::Kept { from: 3, len: 1 }, Piece::New { len: 1 }, Piece::Kept { from: 0, len: 2 }];
    let order = vec![ListOp::Arrange { pieces, inserted: vec![Value::Null] }];
    let text = Patch::Splice { head: 9, tail: 0, length: 10, inserted: Bytes::from_static(b"!?") };
    let entries = [
        ("gone", Patch::Remove),
        ("list", Patch::List(ops)),
        ("map", Patch::Map([].into())),
        ("order", Patch::List(order)),
        ("set", Patch::Set(1.into())),
        ("text", text),
    ];
    let patch = Patch::Map(entries.map(|(key, patch)| (key.to_owned(), patch)).into());
    #[rustfmt::skip]
    let expected = [
        0x02, 6,
        4, b'g', b'o', b'n', b'e', 0x01,
        4, b'l', b'i', b's', b't', 0x03, 2,
            0x00, 1, 2, 1, 0xC7,
            0x01, 0, 0x00, 0x06, 1, b'x',
        3, b'm', b'a', b'p', 0x02, 0,
        5, b'o', b'r', b'd', b'e', b'r', 0x03, 1,
            0x02, 3, 2, 6, 3, 4, 7, 0x00, // kept 1 from 3 on; 1 new; kept 2 from 0 on, 4 before what was expected; null
        3, b's', b'e', b't', 0x00, 0xC1,
        4, b't', b'e', b'x', b't', 0x04, 9, 0, 10, 2, b'!', b'?',
    ];
    let mut out = BytesMut::new();
    patch.encode(&mut out);
    assert_eq!(out, expected[..]);
    assert_eq!(Patch::decode(&expected, &Limits::default()), Ok(patch));
}

/// `{"at": [1, 2, 3], "hp": 100}` at version 1.
fn document() -> Document {
    let mut document = Document::new(0x0102_0304_0506_0708, Limits::default());
    let value = Value::map([("at", Value::list([1, 2, 3])), ("hp", Value::from(100))]);
    document.patch(&Patch::Set(value)).unwrap();
    document
}

#[rustfmt::skip]
const SNAPSHOT: [u8; 28] = [
    1, 2, 3, 4, 5, 6, 7, 8, // epoch
    1, // version
    2, 2, b'a', b't', 2, b'h', b'p', // keys
    0x09, 2, // a map
    0, 0x08, 3, 0xC1, 0xC2, 0xC3, // at: three elements
    0, 0x03, 0xC8, 0x01, // the next key, hp: zigzag(100) = 200 takes two bytes
];

#[test]
fn snapshot() {
    let mut out = BytesMut::new();
    document().snapshot(&mut out);
    assert_eq!(out, SNAPSHOT[..]);
    let mut receiver = Document::new(0, Limits::default());
    receiver.apply(&SNAPSHOT, true).unwrap();
    assert_eq!(receiver.value(), document().value());
}

#[test]
fn delta() {
    let mut document = document();
    let mut receiver = document.clone();
    let ops = vec![
        ListOp::Splice { index: 0, removed: 1, inserted: vec![] },
        ListOp::Splice { index: 1, removed: 0, inserted: vec![true.into()] },
        ListOp::Item { index: 2, patch: Patch::Set(Value::Null) },
    ];
    let entries = [("at", Patch::List(ops)), ("hp", Patch::Remove), ("up", Patch::Set(Value::F64(0.1)))];
    let patch = Patch::Map(entries.map(|(key, patch)| (key.to_owned(), patch)).into());
    // Ballast: a delta as large as a snapshot is not sent.
    document.patch(&Patch::merge(Value::map([("hp", "-".repeat(100))]))).unwrap();
    document.patch(&Patch::merge(Value::map([("ba", "-".repeat(100))]))).unwrap();
    let mut out = BytesMut::new();
    assert_eq!(document.delta_since(1, &mut out), Encoded::Delta);
    receiver.apply(&out, false).unwrap();
    assert_eq!(receiver.version(), 3);
    out.clear();
    document.snapshot(&mut out);
    assert_eq!(out, golden("edits_snapshot"));

    document.patch(&patch).unwrap();
    out.clear();
    assert_eq!(document.delta_since(3, &mut out), Encoded::Delta);
    assert_eq!(out, golden("edits_delta"), "{out:02x?}");
    receiver.apply(&out, false).unwrap();
    assert_eq!(receiver.value(), document.value());
}

/// `{"a": {"n": 5, "x": 1.5, "y": 2.25}, "b": {...}, "t": "a text to be changed", "v": [0, 1, ...], "w": 1/3}`, and then the same a
/// little further.
fn moving(tick: i64) -> Value {
    let step = tick as f64;
    let thing = |from: f64| {
        let at =
            [("x", from + step / 100.0), ("y", 2.25 - step / 4.0)].map(|(key, at)| (key, Value::F64(at)));
        Value::map(at.into_iter().chain([("n", Value::from(5 + 300 * tick))]))
    };
    let text = if tick == 0 { "a text to be changed" } else { "a text that was changed" };
    Value::map([
        ("a", thing(1.5)),
        ("b", thing(7.0)),
        ("t", text.into()),
        ("v", Value::list((0..30).map(|n| n % 8 + tick * (n % 3)))),
        ("w", Value::F64(if tick == 0 { 1.0 / 3.0 } else { 2.0 / 3.0 })),
    ])
}

/// A payload of `state_golden.txt`, which the page's decoder is held to as well.
fn golden(name: &str) -> Vec<u8> {
    let lines = include_str!("state_golden.txt").lines().map(|line| line.split('#').next().unwrap().trim());
    let payload = lines.skip_while(|line| line.strip_suffix(':') != Some(name)).skip(1);
    let hex = payload.take_while(|line| !line.ends_with(':')).flat_map(str::split_whitespace);
    hex.map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

#[test]
fn steps() {
    let mut document = Document::new(9, Limits::default());
    document.patch(&Patch::Set(moving(0))).unwrap();
    let mut receiver = Document::new(0, Limits::default());
    let mut out = BytesMut::new();
    document.snapshot(&mut out);
    assert_eq!(out, golden("snapshot"));
    receiver.apply(&out, true).unwrap();

    document.patch(&Patch::Set(moving(1))).unwrap();
    out.clear();
    assert_eq!(document.delta_since(1, &mut out), Encoded::Delta);
    assert_eq!(out, golden("delta"), "{out:02x?}");
    receiver.apply(&out, false).unwrap();
    assert_eq!(receiver.value(), moving(1));
}

/// `{"v": [0, 1, ...], "w": [[0, 1/3], [1, 1/7], [2, 1/9]]}` with floats of 32 bits, and then the same a little further: every other of
/// the eighty integers, and all floats.
fn gauges(tick: u8) -> Value {
    let integer = |n: i64| n % 50 + i64::from(tick) * (n % 2) * if n < 64 { 1 } else { -3 };
    let float = |x: f32| Value::F64((x + f32::from(tick) / 64.0).into());
    let row = |(n, of): (i64, f32)| Value::list([Value::from(n), float(1.0 / of)]);
    Value::map([
        ("v", Value::list((0..80).map(integer))),
        ("w", Value::list([(0, 3.0), (1, 7.0), (2, 9.0)].map(row))),
    ])
}

#[test]
fn tables() {
    let mut document = Document::new(9, Limits::default());
    document.patch(&Patch::Set(gauges(0))).unwrap();
    let mut receiver = Document::new(0, Limits::default());
    let mut out = BytesMut::new();
    document.snapshot(&mut out);
    assert_eq!(out, golden("tables_snapshot"), "{out:02x?}");
    receiver.apply(&out, true).unwrap();

    document.patch(&Patch::Set(gauges(1))).unwrap();
    out.clear();
    assert_eq!(document.delta_since(1, &mut out), Encoded::Delta);
    assert_eq!(out, golden("tables_delta"), "{out:02x?}");
    receiver.apply(&out, false).unwrap();
    assert_eq!(receiver.value(), gauges(1));
}

#[test]
fn elements_that_move_keep_their_content() {
    let mut receiver = document();
    let reversed = [&HEADER[..], &[2, 1, 3, 6, 2, 4, 2, 3, 2, 3]].concat();
    receiver.apply(&reversed, false).unwrap();
    assert_eq!(receiver.get(&["at"]).unwrap().value(), Value::list([3, 2, 1]));
}

#[test]
fn deltas_that_do_not_fit_change_nothing() {
    let misfits: [&[u8]; 15] = [
        &[2, 1, 3, 4, 4, 0, 2, 1],             // an element kept twice
        &[2, 1, 3, 2, 2, 6],                   // an element that is not there
        &[2, 1, 3, 1, 1, 3 << 3, 0xC0],        // a change to one that is not there
        &[2, 1, 3, 5, 2, 0, 3, 0xC0, 1, 8, 0], // a change to a new one
        &[2, 1, 10, 0],                        // a map change of an integer
        &[2, 1, 2, 0],                         // a map change of a list
        &[3, 0],                               // a list change of a map
        &[2, 1, 4, 1],                         // an integer step of a list
        &[2, 1, 13, 2, 1],                     // a decimal step of an integer
        &[2, 1, 12, 0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1], // a step beyond what integers hold
        &[2, 1, 14, 0, 0, 0],                                                 // a splice of an integer
        &[2, 1, 7, 0, 9, 1, 0, 4],                                            // a list in a table of numbers
        &[2, 1, 15, 2, 9, 1, 0, 4],                                           // an integer in a table of maps
        &[2, 1, 3, 1, 1, 3 << 3 | 7, 0, 9, 1, 0, 4], // an element that is not there in a table
        &[4, 1],                                     // an integer step of the root
    ];
    for change in misfits {
        let mut receiver = document();
        let before = (receiver.version(), receiver.value());
        let payload = [&HEADER[..], change].concat();
        assert_eq!(receiver.apply(&payload, false), Err(ApplyError::Misfit), "{change:02x?}");
        assert_eq!((receiver.version(), receiver.value()), before);
    }
}

#[test]
fn malformed_deltas_are_told_apart() {
    let cases: [(&[u8], DecodeError); 17] = [
        (&[1], DecodeError::MisplacedRemove),
        (&[2, 1, 3, 1, 1, 1], DecodeError::MisplacedRemove),
        (&[7], DecodeError::Tag(7)),
        (&[2, 1, 5, 0x19, 1], DecodeError::Tag(0x19)),
        (&[2, 1, 2 << 3, 0], DecodeError::KeyNumber),
        (&[2, 3, 1, 1, 1], DecodeError::KeyNumber),
        (&[2, 9, 0, 1], DecodeError::Truncated),
        (&[0, 0x0A], DecodeError::Tag(0x0A)),
        (&[0, 0x04, 0x7F, 0xF0, 0, 0, 0, 0, 0, 0], DecodeError::NotFinite),
        (&[0, 0x12, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x04], DecodeError::Number),
        (&[5, 8, 0x08, 0], DecodeError::Truncated),
        (&[5, 8, 0x72, 0, 0], DecodeError::Number),
        (&[2, 1, 7, 0, 8, 1, 0xF0, 0x07], DecodeError::Number),
        (&[2, 1, 7, 0, 9, 1, 0, 0x84], DecodeError::Number),
        (&[2, 2, 7, 0, 9, 2, 0, 0x0C, 4, 1], DecodeError::Order),
        (&[2, 1, 3, 2, 0, 0], DecodeError::Piece),
        (&[0, 0x00, 0x00], DecodeError::Trailing(1)),
    ];
    for (change, error) in cases {
        let payload = [&HEADER[..], change].concat();
        assert_eq!(document().apply(&payload, false), Err(ApplyError::Malformed(error)), "{change:02x?}");
    }
}

#[test]
fn removing_a_key_that_is_not_there_is_no_error() {
    let mut receiver = document();
    receiver.apply(&[&HEADER[..], &[2, 1, 9]].concat(), false).unwrap();
    receiver.apply(&[5, 6, 7, 8, 2, 2, 1, 9], false).unwrap();
    assert_eq!(receiver.value(), Value::map([("at", Value::list([1, 2, 3]))]));
}

/// Leads on from [`document`]'s version 1, to 2 and with no new key where the next byte is below 8.
const HEADER: [u8; 5] = [5, 6, 7, 8, 1];
