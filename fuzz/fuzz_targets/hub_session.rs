//! A peer that sends anything, reads when it likes and leaves when it likes changes nothing for another one: what the other is
//! sent is well-formed, every item of it is there or reported missing, and what it publishes still arrives.

#![no_main]

use std::collections::HashMap;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use nyx_core::Instant;
use nyx_hub::{Config, Hub, Ingest, Peer, Session, Transport};
use nyx_protocol::control::{
    self, Ack, Advertise, AudioFormat, Body, Cancel, Hello, Ping, Pong, Reply, Request, Serve, Subscribe,
    Unadvertise, Unserve,
};
use nyx_protocol::wire::{self, Flags, Header, Kind, Messages, Scan};

fuzz_target!(|input: &[u8]| {
    let hub = Hub::new(config());
    let mut now = Instant::ZERO;
    let mut witness = Witness::new(&hub, now);
    let mut stranger = Stranger::new(&hub, now);
    for (step, bytes) in nyx_fuzz::steps(input) {
        match step % 12 {
            0 => {
                now = now + Duration::from_millis(10) * bytes.iter().map(|byte| u32::from(*byte)).sum();
                witness.show_life(now);
                stranger.session.handle_timeout(now);
                witness.session.handle_timeout(now);
            }
            1 => stranger.transmit(now),
            2 => {
                drop(stranger);
                stranger = Stranger::new(&hub, now);
            }
            step => stranger.send(now, &message(step, bytes)),
        }
        witness.read(now);
    }
    witness.publish(now);
});

/// Limits that a short script reaches.
fn config() -> Config {
    let mut config = Config::default();
    config.message_bytes = 1_000;
    (config.sessions, config.topics, config.subscriptions, config.aliases) = (2, 8, 3, 4);
    (config.topic_bytes, config.topic_entries) = (2_000, 6);
    (config.lag_bytes, config.window_bytes) = (500, 500);
    (config.document.bytes, config.document.nodes, config.document.keys) = (1_000, 60, 20);
    config
}

/// What the stranger sends at a step: mostly well-formed, so that scripts get far.
fn message(step: u8, bytes: &[u8]) -> BytesMut {
    let mut out = BytesMut::new();
    let (first, rest) = bytes.split_first().map_or((0, bytes), |(first, rest)| (*first, rest));
    let text = String::from_utf8_lossy(rest).into_owned();
    match step {
        3 => out.extend_from_slice(bytes),
        4 => wire::put_message(&mut out, Header::CONTROL, bytes),
        5 => {
            let acknowledges = first % 2 == 0;
            let hello =
                Hello { version: 1, name: text, acknowledges, blocks: blocks(first), ..Default::default() };
            control::put(&mut out, hello);
        }
        6 => {
            let (alias, kind) = (u32::from(first % 5), i32::from(first / 5 % 5));
            let audio =
                (kind == 3).then(|| AudioFormat { sample_rate: 8_000 + u32::from(first % 2), channels: 1 });
            control::put(&mut out, Advertise { alias, kind, topic: text, audio, ..Default::default() });
        }
        7 => {
            let pattern = if rest.is_empty() { "**".to_owned() } else { text };
            control::put(&mut out, Subscribe { id: first.into(), pattern, ..Default::default() });
        }
        10 => {
            let (alias, kind) = (u32::from(first % 5), i32::from(first / 5 % 5));
            control::put(
                &mut out,
                Advertise { alias, kind, topic: text, results: true, ..Default::default() },
            );
        }
        11 => {
            let (id, service) = (u64::from(first / 6), text);
            match first % 6 {
                0 => control::put(&mut out, Serve { id: id as u32, service, concurrency: 2 }),
                1 => control::put(&mut out, Unserve { id: id as u32 }),
                2 => control::put(&mut out, Cancel { id }),
                4 => control::put(&mut out, Unadvertise { alias: id as u32 }),
                3 => control::put(&mut out, Reply { id, status: 0, body: service.into() }),
                _ => {
                    let deadline_ms = u32::from(first) * 10;
                    control::put(&mut out, Request { id, service, deadline_ms, ..Default::default() });
                }
            }
        }
        8 => {
            control::put(&mut out, Ack { bytes: u64::from(first) * 10 });
            control::put(&mut out, Pong { nonce: rest.len() as u64 });
        }
        _ => {
            let kind = Kind::ALL[usize::from(first / 5 % 4)];
            let flags = if first & 0x80 == 0 { Flags::NONE } else { Flags::KEYFRAME };
            let flags = if first & 0x40 == 0 { flags } else { flags.with(Flags::BLOCK) };
            let codec = u8::from(kind == Kind::State);
            let header = Header { topic: u32::from(first % 5), flags, codec, ..Header::data(kind) };
            wire::put_message(&mut out, header, rest);
        }
    }
    out
}

/// What a peer says that it holds to read blocks with.
fn blocks(first: u8) -> Option<control::Blocks> {
    let few = u32::from(first >> 2 & 3);
    (first & 2 == 0).then_some(control::Blocks {
        dictionaries: few,
        dictionary_bytes: 16 * 1024,
        prefixes: few,
        prefix_bytes: 1_000,
    })
}

/// The peer that follows the script.
struct Stranger {
    session: Session,
    unread: BytesMut,
}

impl Stranger {
    fn new(hub: &Hub, now: Instant) -> Self {
        let session = hub.session(now, Peer::new("stranger", Transport::Tcp)).expect("there is room for two");
        Self { session, unread: BytesMut::new() }
    }

    fn send(&mut self, now: Instant, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
        // A session that was closed stays so, and says so each time.
        if self.session.handle_input(now, &mut self.unread).is_err() {
            self.unread.clear();
        }
    }

    fn transmit(&mut self, now: Instant) {
        self.session.poll_transmit(now, &mut Vec::new());
        self.send(now, &[]);
    }
}

/// A peer that behaves, publishes on one topic, and reads everything at once.
struct Witness {
    session: Session,
    /// The number of the next item, by topic; states have versions instead.
    next: HashMap<u32, Option<u32>>,
    ids: HashMap<String, u32>,
    payloads: Vec<Bytes>,
}

impl Witness {
    fn new(hub: &Hub, now: Instant) -> Self {
        let session = hub.session(now, Peer::new("witness", Transport::Tcp)).expect("there is room");
        let mut witness = Self { session, next: HashMap::new(), ids: HashMap::new(), payloads: Vec::new() };
        let mut hello = BytesMut::new();
        control::put(
            &mut hello,
            Hello { version: 1, name: String::new(), acknowledges: false, ..Default::default() },
        );
        let kind = control::Kind::Event.into();
        control::put(&mut hello, Advertise { topic: "w".to_owned(), kind, ..Default::default() });
        control::put(&mut hello, Subscribe { pattern: "**".to_owned(), ..Default::default() });
        let taken = witness.session.handle_input(now, &mut hello);
        assert!(matches!(taken, Ok(Ingest::Needs(_))));
        witness.read(now);
        witness
    }

    /// Says something, however long the time was that has passed.
    fn show_life(&mut self, now: Instant) {
        let mut ping = BytesMut::new();
        control::put(&mut ping, Ping { nonce: 0 });
        let taken = self.session.handle_input(now, &mut ping);
        assert!(matches!(taken, Ok(Ingest::Needs(_))));
    }

    /// Reads all there is, as a client would.
    fn read(&mut self, now: Instant) {
        self.payloads.clear();
        loop {
            let mut out = Vec::new();
            self.session.poll_transmit(now, &mut out);
            if out.is_empty() {
                return;
            }
            self.read_stream(&out.concat());
        }
    }

    fn read_stream(&mut self, mut stream: &[u8]) {
        while !stream.is_empty() {
            let len = match wire::scan(stream, usize::MAX).expect("the hub's stream is well-formed") {
                Scan::Control { len } => {
                    let body = control::parse(&stream[..len]).expect("it decodes").expect("it is known");
                    self.handle_control(body);
                    len
                }
                Scan::Run(run) => {
                    Messages::new(&stream[..run.len]).for_each(|message| self.handle_data(&message));
                    run.len
                }
                Scan::Incomplete { .. } => panic!("the hub sends whole messages"),
            };
            stream = &stream[len..];
        }
    }

    fn handle_control(&mut self, body: Body) {
        match body {
            Body::Announce(announce) => {
                let numbered = announce.kind() != control::Kind::State;
                let next = numbered.then_some(announce.position as u32);
                if let Some(former) = self.ids.insert(announce.topic, announce.topic_id) {
                    assert_eq!(self.next[&former], next, "under another id a topic goes on where it was");
                }
                assert!(self.next.insert(announce.topic_id, next).is_none(), "an id is announced once");
            }
            Body::Gap(gap) => {
                let next = self.next.get_mut(&gap.topic_id).expect("a gap's topic was announced");
                let next = next.as_mut().expect("a state has no gaps");
                assert_eq!(gap.first_sequence, *next, "a gap begins where the last item ended");
                let missing: u64 = gap.drops.iter().map(|drop| drop.count).sum();
                *next = next.wrapping_add(missing as u32);
            }
            Body::Welcome(_) | Body::Advertised(_) | Body::Subscribed(_) => {}
            // It shows life more often than it could be asked to.
            Body::Ping(_) | Body::Pong(_) => {}
            other => panic!("nothing is the witness's fault: {other:?}"),
        }
    }

    fn handle_data(&mut self, message: &wire::Message<'_>) {
        let next = self.next.get_mut(&message.header.topic).expect("an item's topic was announced");
        if let Some(next) = next {
            assert_eq!(message.header.sequence, *next, "an item is there or was reported missing");
            *next = next.wrapping_add(1);
        }
        self.payloads.push(Bytes::copy_from_slice(message.payload));
    }

    /// Publishes, which a stranger who lags may delay but not prevent.
    fn publish(&mut self, mut now: Instant) {
        const PAYLOAD: &[u8] = b"the witness is alive";
        let mut message = BytesMut::new();
        wire::put_message(&mut message, Header::data(Kind::Event), PAYLOAD);
        while self.session.handle_input(now, &mut message).expect("the witness is not to blame")
            == Ingest::Paused
        {
            now = self.session.poll_timeout().expect("a pause ends");
            self.session.handle_timeout(now);
        }
        self.read(now);
        assert!(self.payloads.iter().any(|payload| payload == PAYLOAD));
    }
}
