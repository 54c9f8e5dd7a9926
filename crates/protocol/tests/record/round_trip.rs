//! What is written is read.

use std::time::Duration;

use bytes::BytesMut;
use nyx_protocol::control::Reason;
use nyx_protocol::record::{Changes, Data, Gap, Missing, Outage, Reader, Record, Topic, Writer};
use nyx_protocol::state::{Limits, Patch, Value};
use nyx_protocol::topic::Name;
use nyx_protocol::wire::Kind;
use proptest::prelude::*;

use super::{Recording, START, read, steps};

proptest! {
    #[test]
    fn all_records_come_back_as_they_were_written(steps in steps()) {
        let recording = Recording::of(&steps);
        let (records, error) = read(&recording.bytes);
        prop_assert!(error.is_none(), "{error:?}");
        prop_assert_eq!(records, recording.records);
    }
}

#[test]
fn documents_come_back_at_each_version() {
    let documents = [
        Value::map([("hp", Value::from(10)), ("pos", Value::list([1, 2]))]),
        Value::map([("hp", Value::from(9)), ("pos", Value::list([1, 2]))]),
        Value::map([("hp", Value::from(9)), ("pos", Value::list([1, 2]))]),
        Value::list([1, 2, 3]),
        Value::Null,
    ];
    let mut writer = Writer::create(Vec::new(), START).unwrap();
    let world = writer.topic(&Topic::new(Name::new("world").unwrap(), Kind::State)).unwrap();
    let mut changes = Changes::default();
    for (version, document) in (1..).zip(&documents) {
        let mut payload = BytesMut::new();
        let key = changes.put(document.clone(), &mut payload);
        writer.data(&Data { key, ..Data::new(world, Duration::ZERO, version, &payload) }).unwrap();
    }
    let file = writer.into_inner();

    let (mut reader, mut value, mut read) = (Reader::open(&file[..]).unwrap(), Value::Null, Vec::new());
    while let Some(record) = reader.next_record().unwrap() {
        let Record::Data { data, .. } = record else { continue };
        let patch = data.patch(&Limits::default()).unwrap();
        assert_eq!(data.key, matches!(patch, Patch::Set(_)));
        value = patch.apply_to(value).unwrap();
        read.push(value.clone());
    }
    assert_eq!(read, documents);
}

#[test]
fn time_never_runs_backwards() {
    let mut writer = Writer::create(Vec::new(), START).unwrap();
    let topic = writer.topic(&Topic::new(Name::new("a").unwrap(), Kind::Event)).unwrap();
    let seconds = Duration::from_secs;
    writer.data(&Data::new(topic, seconds(5) + Duration::from_nanos(900), 0, b"")).unwrap();
    let missing = vec![Missing { reason: Reason::Overrun, count: 3 }];
    writer.gap(&Gap { topic, at: seconds(2), first_sequence: 1, missing }).unwrap();
    writer.outage(Outage { at: seconds(3), downtime: seconds(1) }).unwrap();
    writer.end(seconds(4)).unwrap();
    let file = writer.into_inner();
    let mut reader = Reader::open(&file[..]).unwrap();
    let mut last = None;
    while let Some(record) = reader.next_record().unwrap() {
        if let Record::End(at) = record {
            last = Some(at);
        }
    }
    assert_eq!(last, Some(seconds(5)));
}

#[test]
fn a_capture_time_is_exact_whatever_the_publishers_clock_says() {
    for captured in [0, START - 1, START, START + 10_000_000, u64::MAX] {
        let mut writer = Writer::create(Vec::new(), START).unwrap();
        let topic = writer.topic(&Topic::new(Name::new("a").unwrap(), Kind::Frame)).unwrap();
        let at = Duration::from_millis(7);
        writer.data(&Data { unix_micros: Some(captured), ..Data::new(topic, at, 0, b"") }).unwrap();
        let (records, error) = read(&writer.into_inner());
        assert!(error.is_none());
        assert!(records[2].1.contains(&format!("unix_micros: Some({captured})")), "{records:?}");
    }
}
