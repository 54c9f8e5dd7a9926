//! Sections 5 and 6 of `docs/WIRE.md`, byte for byte.

use bytes::{Bytes, BytesMut};
use nyx_protocol::state::{ApplyError, DecodeError, Document, Encoded, Limits, ListOp, Patch, Value};

#[test]
fn value() {
    let value = Value::map([
        ("a", Value::list([Value::Null, Value::from(false), Value::from(true)])),
        ("b", Value::list([-64, 0, 63, 64, -65])),
        ("c", Value::list([Value::F64(0.5), Value::F64(0.1)])),
        ("d", Value::from("é")),
        ("e", Value::Bytes(Bytes::from_static(&[0xFF]))),
    ]);
    #[rustfmt::skip]
    let expected = [
        0x09, 5,
        1, b'a', 0x08, 3, 0x00, 0x01, 0x02,
        1, b'b', 0x08, 5, 0x80, 0xC0, 0xFF, 0x03, 0x80, 0x01, 0x03, 0x81, 0x01,
        1, b'c', 0x08, 2, 0x05, 0x3F, 0, 0, 0, 0x04, 0x3F, 0xB9, 0x99, 0x99, 0x99, 0x99, 0x99, 0x9A,
        1, b'd', 0x06, 2, 0xC3, 0xA9,
        1, b'e', 0x07, 1, 0xFF,
    ];
    let mut out = BytesMut::new();
    value.encode(&mut out);
    assert_eq!(out, expected[..]);
    assert_eq!(Value::decode(&expected, &Limits::default()), Ok(value));
}

#[test]
fn patch() {
    let ops = vec![
        ListOp::Splice { index: 1, removed: 2, inserted: vec![7.into()] },
        ListOp::Item { index: 0, patch: Patch::Set("x".into()) },
    ];
    let entries = [
        ("gone", Patch::Remove),
        ("list", Patch::List(ops)),
        ("map", Patch::Map([].into())),
        ("set", Patch::Set(1.into())),
    ];
    let patch = Patch::Map(entries.map(|(key, patch)| (key.to_owned(), patch)).into());
    #[rustfmt::skip]
    let expected = [
        0x02, 4,
        4, b'g', b'o', b'n', b'e', 0x01,
        4, b'l', b'i', b's', b't', 0x03, 2,
            0x00, 1, 2, 1, 0xC7,
            0x01, 0, 0x00, 0x06, 1, b'x',
        3, b'm', b'a', b'p', 0x02, 0,
        3, b's', b'e', b't', 0x00, 0xC1,
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
const SNAPSHOT: [u8; 33] = [
    1, 2, 3, 4, 5, 6, 7, 8, // epoch
    0, 1, // base, version
    0, 2, 2, b'a', b't', 2, b'h', b'p', // first key, keys
    0x00, 0x09, 2, // set: a map
    0, 0x08, 3, 0, 3, 0xC1, 0xC2, 0xC3, // at: three elements from id 0
    1, 0x03, 0xC8, 0x01, // hp: zigzag(100) = 200 takes two bytes
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

    document.patch(&patch).unwrap();
    #[rustfmt::skip]
    let expected = [
        1, 2, 3, 4, 5, 6, 7, 8, // epoch
        3, 4, // base, version
        3, 1, 2, b'u', b'p', // first key, keys
        0x02, 3, // three entries change
        0, 0x03, 1, 3, // at: a new order of three segments
            0x00, 1, 1, // the element 1
            0x01, 3, 0x02, // a new element 3: true
            0x00, 2, 1, // the element 2
            1, 2, 0x00, 0x00, // one element changes: 2 is set to null
        1, 0x01, // hp: removed
        3, 0x00, 0x04, 0x3F, 0xB9, 0x99, 0x99, 0x99, 0x99, 0x99, 0x9A, // up: set
    ];
    out.clear();
    assert_eq!(document.delta_since(3, &mut out), Encoded::Delta);
    assert_eq!(out, expected[..]);
    receiver.apply(&expected, false).unwrap();
    assert_eq!(receiver.value(), document.value());
}

#[test]
fn elements_that_move_keep_their_content() {
    let mut receiver = document();
    let reversed = [&HEADER[..], &[0x02, 1, 0, 0x03, 1, 3, 0, 2, 1, 0, 1, 1, 0, 0, 1, 0]].concat();
    receiver.apply(&reversed, false).unwrap();
    assert_eq!(receiver.get(&["at"]).unwrap().value(), Value::list([3, 2, 1]));
}

#[test]
fn deltas_that_do_not_fit_change_nothing() {
    let misfits: [&[u8]; 8] = [
        &[0x02, 1, 0, 0x03, 1, 2, 0, 0, 2, 0, 1, 1, 0], // an element kept twice
        &[0x02, 1, 0, 0x03, 1, 1, 0, 1, 3, 0],          // an element that is not there
        &[0x02, 1, 0, 0x03, 1, 1, 1, 2, 0xC0, 0],       // a new element that is there
        &[0x02, 1, 0, 0x03, 0, 1, 3, 0x00, 0xC0],       // a change to one that is not there
        &[0x02, 1, 0, 0x03, 1, 1, 0, 0, 1, 1, 1, 0, 0xC0], // a change to one that goes
        &[0x02, 1, 1, 0x02, 0],                         // a map change of an integer
        &[0x02, 1, 0, 0x02, 0],                         // a map change of a list
        &[0x03, 0, 0],                                  // a list change of a map
    ];
    for change in misfits {
        let mut receiver = document();
        let payload = [&HEADER[..], change].concat();
        assert_eq!(receiver.apply(&payload, false), Err(ApplyError::Misfit), "{change:02x?}");
        assert_eq!((receiver.version(), receiver.value()), (1, document().value()));
    }
}

#[test]
fn malformed_deltas_are_told_apart() {
    let cases: [(&[u8], DecodeError); 8] = [
        (&[0x01], DecodeError::MisplacedRemove),
        (&[0x04], DecodeError::Tag(0x04)),
        (&[0x02, 2, 1, 0x01, 0, 0x01], DecodeError::Order),
        (&[0x02, 1, 2, 0x01], DecodeError::KeyNumber),
        (&[0x02, 9, 0, 0x01], DecodeError::Truncated),
        (&[0x00, 0x08, 2, 0, 3, 0x00, 0x00], DecodeError::ElementId),
        (&[0x00, 0x04, 0x7F, 0xF0, 0, 0, 0, 0, 0, 0], DecodeError::NotFinite),
        (&[0x00, 0x00, 0x00], DecodeError::Trailing(1)),
    ];
    for (change, error) in cases {
        let payload = [&HEADER[..], change].concat();
        assert_eq!(document().apply(&payload, false), Err(ApplyError::Malformed(error)), "{change:02x?}");
    }
}

#[test]
fn removing_a_key_that_is_not_there_is_no_error() {
    let mut receiver = document();
    receiver.apply(&[&HEADER[..], &[0x02, 1, 1, 0x01]].concat(), false).unwrap();
    let again = [&[1, 2, 3, 4, 5, 6, 7, 8, 2, 3, 2, 0][..], &[0x02, 1, 1, 0x01]].concat();
    receiver.apply(&again, false).unwrap();
    assert_eq!(receiver.value(), Value::map([("at", Value::list([1, 2, 3]))]));
}

/// Leads from [`document`]'s version 1 to 2, with no new key.
const HEADER: [u8; 12] = [1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 2, 0];
