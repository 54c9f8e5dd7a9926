//! What is measured on: traces that are made by seed, or the topics of a recording.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use anyhow::Context as _;
use nyx_protocol::record::{Reader, Record};
use nyx_protocol::state::{Document, Limits, Value};
use nyx_protocol::wire::Kind;

use super::opaque::Payloads;
use super::typed::Schema;
use crate::traces::Trace;
use crate::traces::chat::Chat;
use crate::traces::football::Football;
use crate::traces::telemetry::Telemetry;
use crate::traces::world::World;

/// One document that changes.
pub(super) struct Subject {
    pub(super) name: String,
    /// What it is as a protobuf message, if anybody has declared one.
    pub(super) schema: Option<Schema>,
    pub(super) values: Box<dyn Iterator<Item = Value>>,
}

/// The traces of `crate::traces`, without end.
pub(super) fn seeded(seed: u64) -> Vec<Subject> {
    vec![
        subject(World::new(seed), Schema::World),
        subject(World::bursty(seed), Schema::World),
        subject(Telemetry::new(seed), Schema::Telemetry),
        subject(Chat::new(seed), Schema::Chat),
        subject(Football::new(seed), Schema::Football),
    ]
}

fn subject(mut trace: impl Trace + 'static, schema: Schema) -> Subject {
    let name = trace.name().to_owned();
    let values = std::iter::from_fn(move || {
        trace.tick();
        Some(trace.value())
    });
    Subject { name, schema: Some(schema), values: Box::new(values) }
}

/// What a recording holds.
#[derive(Default)]
pub(super) struct Recorded {
    pub(super) documents: Vec<Subject>,
    /// The items of each topic that is no state.
    pub(super) payloads: Vec<Payloads>,
}

/// Reads the recording of `nyx record` at `path`, to its last whole record.
pub(super) fn recorded(path: &Path) -> anyhow::Result<Recorded> {
    let file = File::open(path).with_context(|| format!("can't open {}", path.display()))?;
    read(BufReader::new(file)).with_context(|| format!("can't use {}", path.display()))
}

fn read(input: impl Read) -> anyhow::Result<Recorded> {
    let mut reader = Reader::open(input)?;
    // By name: a recording that was appended to defines its topics anew in each session.
    let mut documents: HashMap<String, (Document, Vec<Value>)> = HashMap::new();
    let mut payloads: HashMap<String, Vec<Vec<u8>>> = HashMap::new();
    let mut names = Vec::new();
    loop {
        let record = match reader.next_record() {
            Ok(Some(record)) => record,
            Ok(None) => break,
            Err(error) => {
                eprintln!("protocol: the recording can be read no further: {error}");
                break;
            }
        };
        let Record::Data { topic, data } = record else { continue };
        let name = topic.name.to_string();
        if !documents.contains_key(&name) && !payloads.contains_key(&name) {
            names.push(name.clone());
        }
        if topic.kind == Kind::State {
            let (document, values) =
                documents.entry(name).or_insert_with(|| (Document::new(1, Limits::default()), Vec::new()));
            document.patch(&data.patch(&Limits::default())?)?;
            values.push(document.value());
        } else {
            payloads.entry(name).or_default().push(data.payload.to_vec());
        }
    }
    let mut recorded = Recorded::default();
    for name in names {
        if let Some((_, values)) = documents.remove(&name) {
            recorded.documents.push(Subject { name, schema: None, values: Box::new(values.into_iter()) });
        } else if let Some(items) = payloads.remove(&name) {
            recorded.payloads.push(Payloads::new(name, items));
        }
    }
    Ok(recorded)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::BytesMut;
    use nyx_protocol::record::{Changes, Data, Topic, Writer};
    use nyx_protocol::topic::Name;
    use nyx_protocol::wire::codec;

    use super::*;

    #[test]
    fn the_topics_of_a_recording_are_measured_like_traces() -> anyhow::Result<()> {
        let mut trace = Chat::new(3);
        let mut writer = Writer::create(Vec::new(), 0)?;
        let chat = writer.topic(&Topic::new(Name::new("lobby/chat")?, Kind::State))?;
        let camera = writer.topic(&Topic::new(Name::new("camera/1")?, Kind::Frame))?;
        let (mut changes, mut expected) = (Changes::default(), Vec::new());
        for tick in 0..20_u64 {
            trace.tick();
            let mut payload = BytesMut::new();
            assert!(changes.put(trace.value(), &mut payload) || tick > 0);
            let at = Duration::from_millis(tick * 33);
            writer.data(&Data { codec: codec::STATE_PATCH, ..Data::new(chat, at, tick + 1, &payload) })?;
            writer.data(&Data::new(camera, at, tick, &[0xFF, 0xD8, tick as u8]))?;
            expected.push(trace.value());
        }
        let mut file = writer.into_inner();
        file.extend_from_slice(b"and then it was killed");

        let recorded = read(&file[..])?;
        let [subject] = <[Subject; 1]>::try_from(recorded.documents).ok().context("one document")?;
        assert_eq!((subject.name.as_str(), subject.schema), ("lobby/chat", None));
        assert_eq!(subject.values.collect::<Vec<_>>(), expected);
        assert_eq!(recorded.payloads.len(), 1);
        Ok(())
    }
}
