//! Recordings: what is written is read again, up to wherever the bytes are good.

mod damage;
mod golden;
mod limits;
mod round_trip;

use std::time::Duration;

use nyx_protocol::control::{AudioFormat, Lane, Reason};
use nyx_protocol::record::{Data, Gap, Missing, Outage, Reader, Record, Tail, Topic, TopicId, Writer};
use nyx_protocol::topic::Name;
use nyx_protocol::wire::Kind;
use proptest::prelude::*;

/// When the recordings of these tests begin.
const START: u64 = 1_700_000_000_000_000;

/// What a test writes.
#[derive(Clone, Debug)]
enum Step {
    Topic(Topic),
    Data {
        topic: usize,
        wait: u64,
        sequence: u64,
        codec: u8,
        key: bool,
        stamp: Option<u64>,
        payload: Vec<u8>,
    },
    Gap {
        topic: usize,
        wait: u64,
        first_sequence: u64,
        missing: Vec<Missing>,
    },
    Outage {
        wait: u64,
        downtime: u64,
    },
    Session {
        unix_micros: u64,
    },
    End {
        wait: u64,
    },
}

fn topic() -> impl Strategy<Value = Topic> {
    let audio = prop::option::of((1u32.., 1u32..9));
    let parts =
        ("[a-z]{1,4}(/[a-z]{1,4}){0,2}", 0usize..4, "[ -~]{0,20}", audio, 0i32..4, prop::option::of(1u32..));
    parts.prop_map(|(name, kind, content_type, audio, lane, max_age)| {
        let mut topic = Topic::new(Name::new(&name).expect("a name"), Kind::ALL[kind]);
        topic.content_type = content_type;
        topic.audio = audio.map(|(sample_rate, channels)| AudioFormat { sample_rate, channels });
        topic.lane = Lane::try_from(lane).expect("a lane");
        topic.max_age = max_age.map(|millis| Duration::from_millis(millis.into()));
        topic
    })
}

fn missing() -> impl Strategy<Value = Missing> {
    (0i32..6, any::<u64>())
        .prop_map(|(reason, count)| Missing { reason: Reason::try_from(reason).expect("a reason"), count })
}

fn step() -> impl Strategy<Value = Step> {
    let payload = prop::collection::vec(any::<u8>(), 0..60);
    let wait = 0u64..5_000_000;
    prop_oneof![
        2 => topic().prop_map(Step::Topic),
        8 => (0usize..8, wait.clone(), any::<u64>(), any::<u8>(), any::<bool>(), prop::option::of(any::<u64>()), payload)
            .prop_map(|(topic, wait, sequence, codec, key, stamp, payload)| Step::Data {
                topic, wait, sequence, codec, key, stamp, payload,
            }),
        1 => (0usize..8, wait.clone(), any::<u64>(), prop::collection::vec(missing(), 0..4))
            .prop_map(|(topic, wait, first_sequence, missing)| Step::Gap { topic, wait, first_sequence, missing }),
        1 => (wait.clone(), any::<u64>()).prop_map(|(wait, downtime)| Step::Outage { wait, downtime }),
        1 => any::<u64>().prop_map(|unix_micros| Step::Session { unix_micros }),
        1 => wait.prop_map(|wait| Step::End { wait }),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 0..40)
}

/// A recording, and what it must read as: for each record where it ends, and itself as text.
struct Recording {
    bytes: Vec<u8>,
    records: Vec<(u64, String)>,
}

impl Recording {
    fn of(steps: &[Step]) -> Self {
        let mut writer = Writer::create(Vec::new(), START).expect("memory takes all");
        let mut session = nyx_protocol::record::Session { at: Duration::ZERO, unix_micros: START };
        let mut records = vec![(writer.bytes(), format!("{:?}", Record::Session(session)))];
        let (mut topics, mut at) = (Vec::<(TopicId, Topic)>::new(), Duration::ZERO);
        for step in steps {
            let text = match step.clone() {
                Step::Topic(topic) => {
                    let id = writer.topic(&topic).expect("it is taken");
                    topics.push((id, topic.clone()));
                    format!("{:?}", Record::Topic { id, topic: &topic })
                }
                Step::Data { topic, wait, sequence, codec, key, stamp, payload } => {
                    let Some((id, topic)) = topics.get(topic) else { continue };
                    at += Duration::from_micros(wait);
                    let data =
                        Data { codec, key, unix_micros: stamp, ..Data::new(*id, at, sequence, &payload) };
                    writer.data(&data).expect("it is taken");
                    format!("{:?}", Record::Data { topic, data })
                }
                Step::Gap { topic, wait, first_sequence, missing } => {
                    let Some((id, topic)) = topics.get(topic) else { continue };
                    at += Duration::from_micros(wait);
                    let gap = Gap { topic: *id, at, first_sequence, missing };
                    writer.gap(&gap).expect("it is taken");
                    format!("{:?}", Record::Gap { topic, gap })
                }
                Step::Outage { wait, downtime } => {
                    at += Duration::from_micros(wait);
                    let outage = Outage { at, downtime: Duration::from_micros(downtime) };
                    writer.outage(outage).expect("it is taken");
                    format!("{:?}", Record::Outage(outage))
                }
                Step::Session { unix_micros } => {
                    let tail = Tail { bytes: writer.bytes(), at };
                    writer = Writer::resume(writer.into_inner(), tail, unix_micros).expect("it is taken");
                    topics.clear();
                    session = nyx_protocol::record::Session { at, unix_micros };
                    format!("{:?}", Record::Session(session))
                }
                Step::End { wait } => {
                    at += Duration::from_micros(wait);
                    writer.end(at).expect("it is taken");
                    format!("{:?}", Record::End(at))
                }
            };
            records.push((writer.bytes(), text));
        }
        let bytes = writer.into_inner();
        assert_eq!(records.last().map(|(end, _)| *end), Some(bytes.len() as u64));
        Self { bytes, records }
    }
}

/// The records of a file, and what ended the reading.
fn read(bytes: &[u8]) -> (Vec<(u64, String)>, Option<nyx_protocol::record::ReadError>) {
    let mut reader = Reader::open(bytes).expect("the header is whole");
    let mut records = Vec::new();
    loop {
        let text = match reader.next_record() {
            Ok(Some(record)) => format!("{record:?}"),
            Ok(None) => return (records, None),
            Err(error) => {
                assert!(matches!(reader.next_record(), Ok(None)), "nothing follows an error");
                return (records, Some(error));
            }
        };
        records.push((reader.tail().bytes, text));
    }
}
