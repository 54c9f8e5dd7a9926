//! What is refused, and what things cost.

use bytes::BytesMut;
use nyx_protocol::state::{
    ApplyError, DEPTH_MAX, DecodeError, Document, Encoded, Limits, ListOp, Patch, PatchError, Value,
};

use super::{authority, follow, inside, receiver};

#[test]
fn a_stale_or_foreign_delta_is_refused() {
    let mut document = authority();
    let mut follower = receiver();
    follow(&mut follower, &document);
    document.patch(&Patch::merge(Value::map([("c", 1)]))).unwrap();
    let mut delta = BytesMut::new();
    assert_eq!(document.delta_since(1, &mut delta), Encoded::Delta);
    follower.apply(&delta, false).unwrap();
    assert_eq!(follower.apply(&delta, false), Err(ApplyError::Base { held: 2, got: 1 }));
    delta[0] = 1;
    assert!(matches!(follower.apply(&delta, false), Err(ApplyError::Epoch { .. })));
    follow(&mut follower, &document);
}

#[test]
fn the_first_whole_value_makes_a_document_even_if_it_is_empty() {
    let mut document = Document::new(1, Limits::default());
    let nothing = || Value::map::<&str, Value>([]);
    assert!(!document.patch(&Patch::merge(nothing())).unwrap());
    assert!(document.patch(&Patch::Set(nothing())).unwrap());
    assert!(!document.patch(&Patch::Set(nothing())).unwrap());
    assert_eq!(document.version(), 1);
    let mut follower = receiver();
    follow(&mut follower, &document);
    assert_eq!((follower.version(), follower.value()), (1, nothing()));
}

#[test]
fn entries_that_come_and_go_reach_every_receiver() {
    let mut document = authority();
    let mut receivers = Vec::new();
    for n in 0..400 {
        let key = |n: i64| format!("k{n}");
        let entries = [(key(n), Value::map([("n", n)])), (key(n - 10), Value::Null)];
        document.patch(&inside(Patch::merge(Value::map(entries)))).unwrap();
        if n % 7 == 0 {
            let mut receiver = receiver();
            follow(&mut receiver, &document);
            receivers.push(receiver);
        }
    }
    for receiver in &mut receivers {
        follow(receiver, &document);
    }
}

#[test]
fn a_delta_costs_what_changed() {
    let mut document = authority();
    let wide = (0..5000).map(|n| (format!("key {n}"), Value::list([n, n + 1])));
    document.patch(&inside(Patch::Set(Value::map(wide)))).unwrap();
    let item = ListOp::Item { index: 1, patch: Patch::Set(true.into()) };
    let patch = Patch::Map([("key 4711".into(), Patch::List(vec![item]))].into());
    document.patch(&inside(patch)).unwrap();
    let mut delta = BytesMut::new();
    assert_eq!(document.delta_since(2, &mut delta), Encoded::Delta);
    assert!(delta.len() < 32, "{} bytes", delta.len());
    assert_eq!(document.get(&["doc", "key 4711", "1"]).map(|view| view.version()), Some(3));
    assert_eq!(document.get(&["doc", "key 4711", "0"]).map(|view| view.version()), Some(2));
}

#[test]
fn the_deepest_document_is_walked_without_overflow() {
    let mut limits = Limits::default();
    limits.depth = usize::MAX;
    let nested = |depth| (1..depth).fold(Value::list::<Value>([]), |inner, _| Value::list([inner]));
    let deepest = nested(DEPTH_MAX);
    let mut bytes = BytesMut::new();
    Patch::Set(deepest.clone()).encode(&mut bytes);
    let patch = Patch::decode(&bytes, &limits).unwrap();
    let mut document = Document::new(7, limits.clone());
    document.patch(&patch).unwrap();
    let mut follower = Document::new(0, limits.clone());
    follow(&mut follower, &document);
    assert_eq!(follower.value(), deepest);

    let too_deep = Patch::Set(nested(DEPTH_MAX + 1));
    assert_eq!(document.patch(&too_deep), Err(PatchError::TooDeep { limit: DEPTH_MAX }));
    let bomb = [0x08, 0x01].repeat(1 << 20);
    assert_eq!(Value::decode(&bomb, &limits), Err(DecodeError::TooDeep { limit: DEPTH_MAX }));
}

#[test]
fn claims_are_checked_before_they_are_believed() {
    let huge = [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F];
    for tag in [0x06, 0x07, 0x08, 0x09] {
        let claim = [&[tag][..], &huge].concat();
        assert_eq!(Value::decode(&claim, &Limits::default()), Err(DecodeError::Truncated));
    }
    let nulls = [&[0x08, 0x80, 0x80, 0x80, 0x04][..], &vec![0; 8 << 20]].concat();
    assert_eq!(Value::decode(&nulls, &Limits::default()), Err(DecodeError::TooManyNodes));
}

#[test]
fn keys_are_kept_for_an_epoch_and_dropped_with_it() {
    let mut limits = Limits::default();
    limits.keys = 100;
    let mut document = Document::new(1, limits);
    let only = |n: i64| Patch::Set(Value::map([(format!("k{n}"), n)]));
    for n in 0..100 {
        document.patch(&only(n)).unwrap();
    }
    assert_eq!(document.patch(&only(100)), Err(PatchError::TooManyKeys));
    let mut renewed = document.renewed(2);
    assert_eq!(renewed.value(), document.value());
    renewed.patch(&only(100)).unwrap();
    follow(&mut receiver(), &renewed);
}

#[test]
fn in_a_new_epoch_there_are_too_many_keys_only_if_all_are_in_use() {
    let mut limits = Limits::default();
    limits.keys = 100;
    let mut document = Document::new(1, limits);
    let all = |from: i64, to: i64| Value::map((from..to).map(|n| (format!("k{n}"), n)));
    let add = |n: i64| Patch::merge(Value::map([("inside", Value::map([(format!("k{n}"), n)]))]));
    document.patch(&Patch::Set(all(0, 99))).unwrap();
    document.patch(&add(50)).unwrap();
    assert_eq!(document.patch(&add(100)), Err(PatchError::TooManyKeys));
    assert_eq!(document.renewed_by(2, &add(100)).err(), Some(PatchError::TooManyKeys));
    // What takes the place of all of it needs none of its keys.
    let renewed = document.renewed_by(2, &Patch::Set(all(200, 300))).unwrap();
    assert_eq!((renewed.epoch(), renewed.value()), (2, all(200, 300)));
    let too_many = Patch::Set(all(200, 301));
    assert_eq!(document.renewed_by(2, &too_many).err(), Some(PatchError::TooManyKeys));
    // One that is gone makes room for one.
    document.patch(&Patch::merge(Value::map([("k7", Value::Null)]))).unwrap();
    assert_eq!(document.patch(&add(100)), Err(PatchError::TooManyKeys));
    let renewed = document.renewed_by(2, &add(100)).unwrap();
    assert_eq!(renewed.get(&["inside", "k100"]).unwrap().value(), Value::from(100));
    follow(&mut receiver(), &renewed);
}

#[test]
fn integers_travel_to_their_very_ends() {
    for n in [i64::MIN, i64::MIN + 1, -65, -64, 63, 64, i64::MAX - 1, i64::MAX] {
        let mut out = BytesMut::new();
        Value::from(n).encode(&mut out);
        assert_eq!(Value::decode(&out, &Limits::default()), Ok(Value::from(n)));
    }
}

#[test]
fn a_row_that_moves_costs_a_few_bytes() {
    let mut document = authority();
    let row = |id: i64| Value::map([("id", Value::from(id)), ("text", format!("row number {id}").into())]);
    let mut rows: Vec<_> = (0..500).map(row).collect();
    document.patch(&inside(Patch::Set(Value::from(rows.clone())))).unwrap();
    let cost = |rows: &[Value], document: &mut Document| {
        let patch = Patch::diff(&super::edited(document), &Value::from(rows.to_vec())).unwrap();
        let mut to_hub = BytesMut::new();
        patch.encode(&mut to_hub);
        let base = document.version();
        document.patch(&inside(patch)).unwrap();
        let mut delta = BytesMut::new();
        assert_eq!(document.delta_since(base, &mut delta), Encoded::Delta);
        (to_hub.len(), delta.len())
    };
    let moved = rows.remove(400);
    rows.insert(3, moved);
    let (to_hub, delta) = cost(&rows, &mut document);
    assert!(to_hub < 20 && delta < 30, "{to_hub} and {delta} bytes");
    // And so does an insertion in the middle, beside the new row itself.
    rows.insert(250, row(1000));
    let (to_hub, delta) = cost(&rows, &mut document);
    assert!(to_hub < 60 && delta < 60, "{to_hub} and {delta} bytes");
    follow(&mut receiver(), &document);
}

#[test]
fn an_append_to_long_text_costs_what_is_appended() {
    let mut document = authority();
    let text = "a line of a log\n".repeat(1000);
    document.patch(&inside(Patch::Set(text.as_str().into()))).unwrap();
    for n in 1..=3 {
        let longer = text.clone() + &"one more\n".repeat(n);
        document.patch(&inside(Patch::Set(longer.into()))).unwrap();
    }
    let mut delta = BytesMut::new();
    assert_eq!(document.delta_since(2, &mut delta), Encoded::Delta);
    assert!(delta.len() < 50, "{} bytes", delta.len());
}
