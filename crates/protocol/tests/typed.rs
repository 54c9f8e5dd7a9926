//! Types that go in and come out the same.

#![cfg(feature = "serde")]

use std::collections::BTreeMap;

use bytes::BytesMut;
use nyx_protocol::state::{Document, Limits, Patch, TypedError, Value};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Doing {
    Rest,
    Walk { to: (f64, f64) },
    Fight(u32),
    Trade(String, i8),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Entity {
    name: String,
    letter: char,
    hp: Option<u16>,
    at: [f32; 2],
    doing: Doing,
    items: Vec<Doing>,
    marks: BTreeMap<u8, bool>,
    by_doing: BTreeMap<bool, ()>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct World {
    tick: u64,
    entities: BTreeMap<i64, Entity>,
}

fn world(tick: u64) -> World {
    let entity = Entity {
        name: "Ada".to_owned(),
        letter: 'ä',
        hp: (tick > 1).then_some(90),
        at: [1.5, 0.1 * tick as f32],
        doing: Doing::Walk { to: (0.25, 1e9) },
        items: vec![Doing::Rest, Doing::Fight(7), Doing::Trade("rope".to_owned(), -3)],
        marks: [(1, true), (255, false)].into(),
        by_doing: [(true, ())].into(),
    };
    World { tick, entities: [(-4, entity.clone()), (12, entity)].into() }
}

#[test]
fn types_survive_the_way_through_a_document_and_back() {
    let mut authority = Document::new(1, Limits::default());
    let mut receiver = Document::new(0, Limits::default());
    authority.patch(&Patch::Set(Value::from_serialize(&world(1)).unwrap())).unwrap();
    let mut message = BytesMut::new();
    authority.snapshot(&mut message);
    receiver.apply(&message, true).unwrap();
    assert_eq!(receiver.root().to_typed::<World>().unwrap(), world(1));
    authority.patch(&Patch::Set(Value::from_serialize(&world(2)).unwrap())).unwrap();
    message.clear();
    authority.delta_since(1, &mut message);
    receiver.apply(&message, false).unwrap();
    assert_eq!(receiver.root().to_typed::<World>().unwrap(), world(2));
    assert_eq!(receiver.value().to_typed::<World>().unwrap(), world(2));
    let entity = receiver.get(&["entities", "12"]).unwrap();
    assert_eq!(entity.to_typed::<Entity>().unwrap(), world(2).entities[&12]);
}

#[test]
fn what_no_document_holds_is_refused() {
    assert_eq!(Value::from_serialize(&f64::NAN), Err(TypedError::NotFinite));
    assert_eq!(Value::from_serialize(&u64::MAX), Err(TypedError::Integer(u64::MAX.to_string())));
    assert_eq!(Value::from_serialize(&BTreeMap::from([([1, 2], 3)])), Err(TypedError::Key));
    assert!(Value::from("text").to_typed::<u32>().is_err());
    assert!(Value::map([("Walk", 1), ("Rest", 2)]).to_typed::<Doing>().is_err());
    assert!(Value::map([("x", 1)]).to_typed::<BTreeMap<u8, u8>>().is_err());
}

/// A prost message that derives serde's traits is a map of its fields.
#[derive(Clone, PartialEq, prost::Message, Serialize, Deserialize)]
struct Position {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(double, tag = "2")]
    x: f64,
    #[prost(message, repeated, tag = "3")]
    path: Vec<Self>,
}

#[test]
fn prost_messages_with_serde_travel_by_field() {
    let stop = Position { name: "gate".to_owned(), x: 1.25, path: vec![] };
    let message = Position { name: "Ada".to_owned(), x: 2.5, path: vec![stop] };
    let value = Value::from_serialize(&message).unwrap();
    assert_eq!(value.get("path").and_then(Value::as_list).map(<[_]>::len), Some(1));
    assert_eq!(value.to_typed::<Position>().unwrap(), message);
}

#[test]
fn prost_messages_without_are_bytes_of_which_a_part_changes() {
    let path = |x: f64| (0..20).map(|n| Position { name: format!("stop {n}"), x, path: vec![] }).collect();
    let message = |x: f64| Position { name: "Ada".to_owned(), x, path: path(0.5) };
    let (before, after) = (Value::from_message(&message(1.0)), Value::from_message(&message(2.0)));
    assert_eq!(after.to_message::<Position>().unwrap(), message(2.0));
    assert!(
        matches!(Patch::diff(&before, &after), Some(Patch::Splice { inserted, .. }) if inserted.len() < 10)
    );
    assert!(Value::from(1).to_message::<Position>().is_err());
}
