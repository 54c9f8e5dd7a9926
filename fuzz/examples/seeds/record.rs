//! Recordings.

use std::error::Error;
use std::time::Duration;

use nyx_protocol::control;
use nyx_protocol::record::{Data, Gap, Missing, Outage, Topic, Writer};
use nyx_protocol::topic::Name;
use nyx_protocol::wire::{Kind, codec};

use super::{Seeds, script};

/// A recording, whole and cut off.
pub fn seeds() -> Result<Seeds, Box<dyn Error>> {
    let mut writer = Writer::create(Vec::new(), 1_700_000_000_000_000)?;
    let chat = writer.topic(&Topic::new(Name::new("lobby/chat")?, Kind::Event))?;
    let at = Duration::from_millis(20);
    let data = Data {
        codec: codec::EVENT_TEXT,
        unix_micros: Some(1_700_000_000_010_000),
        ..Data::new(chat, at, 0, b"hello")
    };
    writer.data(&data)?;
    let missing = vec![Missing { reason: control::Reason::Overrun, count: 3 }];
    writer.gap(&Gap { topic: chat, at, first_sequence: 1, missing })?;
    writer.outage(Outage { at: 2 * at, downtime: at })?;
    writer.end(3 * at)?;
    let file = writer.into_inner();
    let torn = file[..file.len() - 3].to_vec();
    // What lies between the records' heads, for the half of the target that seals them itself.
    let mut bodies = Vec::new();
    let mut rest = &file[16..];
    while let Some((head, after)) = rest.split_first_chunk::<10>() {
        let len = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let Some((body, after)) = after.split_at_checked(len) else { break };
        bodies.push((0, body));
        rest = after;
    }
    let bodies = script(bodies);
    Ok(vec![("whole", file), ("torn", torn), ("bodies", bodies)])
}
