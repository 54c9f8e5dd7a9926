//! Bounds, and records that no writer writes.

use std::time::Duration;

use nyx_protocol::control::Reason;
use nyx_protocol::record::{
    Data, Gap, Missing, RECORD_BYTES_MAX, ReadError, Reader, Record, Topic, WriteError, Writer,
};
use nyx_protocol::topic::Name;
use nyx_protocol::wire::Kind;

use super::{START, read};

/// A recording that goes on with this body, as a record that is whole.
fn with_body(body: &[u8]) -> Vec<u8> {
    let mut file = Writer::create(Vec::new(), START).unwrap().into_inner();
    put_head(&mut file, body.len() as u32, crc32fast::hash(body));
    file.extend_from_slice(body);
    file
}

fn put_head(file: &mut Vec<u8>, length: u32, sum: u32) {
    file.extend_from_slice(&length.to_be_bytes());
    file.extend_from_slice(&(crc32fast::hash(&length.to_be_bytes()) as u16).to_be_bytes());
    file.extend_from_slice(&sum.to_be_bytes());
}

#[test]
fn a_forged_length_allocates_nothing() {
    let mut file = Writer::create(Vec::new(), START).unwrap().into_inner();
    let end = file.len() as u64;
    put_head(&mut file, u32::MAX, 0);
    let (_, error) = read(&file);
    assert!(matches!(error, Some(ReadError::TooLarge { at, length: u32::MAX }) if at == end), "{error:?}");

    file.truncate(end as usize);
    put_head(&mut file, RECORD_BYTES_MAX, 0);
    let (_, error) = read(&file);
    assert!(matches!(error, Some(ReadError::Torn { at, bytes: 10 }) if at == end), "{error:?}");
}

#[test]
fn a_gap_of_any_number_of_parts_can_be_read_again() {
    let mut writer = Writer::create(Vec::new(), START).unwrap();
    let topic = writer.topic(&Topic::new(Name::new("a").unwrap(), Kind::Event)).unwrap();
    let part = |n: usize| Missing { reason: [Reason::Expired, Reason::Overrun][n % 2], count: n as u64 };
    let missing = (0..1000).map(part).collect();
    writer.gap(&Gap { topic, at: Duration::ZERO, first_sequence: 7, missing }).unwrap();
    let file = writer.into_inner();
    let mut reader = Reader::open(&file[..]).unwrap();
    let gap = loop {
        if let Record::Gap { gap, .. } = reader.next_record().unwrap().expect("a gap") {
            break gap;
        }
    };
    let counts: Vec<_> = gap.missing.iter().map(|missing| (missing.reason, missing.count)).collect();
    assert_eq!(counts, [(Reason::Expired, 249_500), (Reason::Overrun, 250_000)]);
}

#[test]
fn whole_records_that_make_no_sense_are_named() {
    let topic = [&[2, 4, 0, 0, 0, 0, 1, b'a', 0][..]];
    assert!(read(&with_body(&topic.concat())).1.is_none(), "a topic is fine");
    for (body, what) in [
        (&[][..], "cut off"),
        (&[99], "type is unknown"),
        (&[2, 9, 0, 0, 0, 0, 1, b'a', 0], "kind is unknown"),
        (&[2, 4, 9, 0, 0, 0, 1, b'a', 0], "lane is unknown"),
        (&[2, 4, 0, 0, 0, 0, 1, b'*', 0], "name"),
        (&[2, 4, 0, 0, 0, 0, 1, 0xff, 0], "UTF-8"),
        (&[2, 4, 0, 0, 0, 0, 9, b'a', 0], "cut off"),
        (&[2, 4, 0, 0, 0, 0, 1, b'a', 0, 0], "left over"),
        (&[3, 0, 0, 0, 0, 0], "not defined"),
        (&[3, 0, 4, 0, 0, 0], "unknown flag"),
        (&[4, 0, 0, 0], "not defined"),
        (&[6, 0xff], "cut off"),
        (&[6, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f], "64 bits"),
    ] {
        let (records, error) = read(&with_body(body));
        assert_eq!(records.len(), 1);
        let Some(ReadError::Invalid { what: said, .. }) = error else { panic!("{body:?}: {error:?}") };
        assert!(said.contains(what), "{body:?}: {said}");
    }
}

#[test]
fn a_record_of_a_later_version_that_may_be_passed_over_is() {
    let mut file = with_body(&[128, 1, 2, 3]);
    let end = [6, 5];
    put_head(&mut file, 2, crc32fast::hash(&end));
    file.extend_from_slice(&end);
    let (records, error) = read(&file);
    assert!(error.is_none(), "{error:?}");
    assert_eq!(records.last(), Some(&(file.len() as u64, "End(5µs)".to_owned())));
}

#[test]
fn a_limit_is_never_passed_and_leaves_room_for_the_end() {
    for limit in 60..400 {
        let mut writer = Writer::create(Vec::new(), START).unwrap().limit(Some(limit));
        let full = 'full: {
            let topic = match writer.topic(&Topic::new(Name::new("a").unwrap(), Kind::Event)) {
                Ok(topic) => topic,
                Err(error) => break 'full error,
            };
            loop {
                if let Err(error) = writer.data(&Data::new(topic, Duration::MAX, u64::MAX, &[7; 20])) {
                    break 'full error;
                }
            }
        };
        assert!(matches!(full, WriteError::Full { limit: said } if said == limit));
        writer.end(Duration::MAX).unwrap();
        let file = writer.into_inner();
        assert!(file.len() as u64 <= limit);
        let (records, error) = read(&file);
        assert!(error.is_none());
        assert!(records.last().unwrap().1.starts_with("End"));
    }
}

#[test]
fn a_topic_of_another_recording_is_refused() {
    let mut one = Writer::create(Vec::new(), START).unwrap();
    let topic = one.topic(&Topic::new(Name::new("a").unwrap(), Kind::Event)).unwrap();
    let mut two = Writer::create(Vec::new(), START).unwrap();
    let refused = two.data(&Data::new(topic, Duration::ZERO, 0, b""));
    assert!(matches!(refused, Err(WriteError::UnknownTopic)));
}
