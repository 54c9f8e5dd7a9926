//! A peer's end of a connection: it decodes what it gets as the specification says, and fails the test where it can't.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use bytes::BytesMut;
use nyx_core::Instant;
use nyx_protocol::compress::dictionary::{Name, Store};
use nyx_protocol::compress::{Block, Encoding, reference};
use nyx_protocol::control::{self, Body, ErrorCode, Hello, Subscribe};
use nyx_protocol::pack::Unpacker;
use nyx_protocol::state::{Document, Limits, Patch, Value};
use nyx_protocol::wire::{self, Flags, Header, Kind, Messages, Scan, codec};

/// Bytes of what is not prompt that may stay unacknowledged: as late as the specification allows.
const ACK_BYTES: u64 = 128 * 1024;

/// A data message that arrived.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Item {
    pub(crate) topic: String,
    pub(crate) topic_id: u32,
    pub(crate) sequence: u64,
    pub(crate) at: Instant,
    /// When it was published, where the publisher said.
    pub(crate) born: Option<Instant>,
    pub(crate) keyframe: bool,
    pub(crate) payload: Vec<u8>,
}

impl Item {
    pub(crate) fn age(&self) -> Duration {
        self.at - self.born.expect("a stamp")
    }

    /// The number that [`Client::publish_numbered`] gave it.
    pub(crate) fn number(&self) -> u64 {
        u64::from_be_bytes(self.payload[..8].try_into().expect("a number"))
    }
}

/// A topic as the subscriber knows it.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) id: u32,
    pub(crate) announce: control::Announce,
    /// The sequence of the next item.
    pub(crate) next: u64,
    pub(crate) delivered: u64,
    pub(crate) dropped: u64,
    /// Messages that were delivered to subscriptions before.
    pub(crate) earlier: u64,
    gaps: BTreeMap<u64, u64>,
    pub(crate) document: Document,
    pub(crate) snapshots: u64,
    pub(crate) deltas: u64,
    /// The format of sound that was announced with each id.
    pub(crate) audio: HashMap<u32, Option<control::AudioFormat>>,
}

pub(crate) struct Client {
    /// Whether it takes what arrives.
    pub(crate) reads: bool,
    /// Whether it sends acknowledgements.
    pub(crate) acknowledges: bool,
    pub(crate) outgoing: BytesMut,
    pub(crate) items: Vec<Item>,
    pub(crate) control: Vec<Body>,
    pub(crate) topics: HashMap<String, Known>,
    inbound: BytesMut,
    names: HashMap<u32, String>,
    consumed: u64,
    acknowledged: u64,
    numbers: u64,
    subscriptions: u32,
    /// What it says of blocks, and what it has to read them with.
    pub(crate) blocks: Option<control::Blocks>,
    pub(crate) dictionaries: Store,
    unpacker: Unpacker,
    /// Contents that it was asked to keep, by topic.
    prefixes: HashMap<u32, reference::Receiver>,
    /// Messages that were made with one of them.
    pub(crate) by_prefix: u64,
    /// Bytes of data messages that arrived, and messages with blocks among them.
    pub(crate) data_bytes: u64,
    pub(crate) packed: u64,
    /// Every byte that arrived, to compare.
    pub(crate) transcript: Vec<u8>,
    pub(crate) keeps_transcript: bool,
}

impl Default for Client {
    fn default() -> Self {
        Self {
            reads: true,
            acknowledges: true,
            outgoing: BytesMut::new(),
            items: Vec::new(),
            control: Vec::new(),
            topics: HashMap::new(),
            inbound: BytesMut::new(),
            names: HashMap::new(),
            consumed: 0,
            acknowledged: 0,
            numbers: 0,
            subscriptions: 0,
            blocks: None,
            dictionaries: Store::new(4, 16 * 1024),
            unpacker: Unpacker::new(),
            prefixes: HashMap::new(),
            by_prefix: 0,
            data_bytes: 0,
            packed: 0,
            transcript: Vec::new(),
            keeps_transcript: false,
        }
    }
}

/// Asking.
impl Client {
    pub(crate) fn send(&mut self, body: impl Into<Body>) {
        control::put(&mut self.outgoing, body);
    }

    pub(crate) fn hello(&mut self, acknowledges: bool) {
        self.acknowledges = acknowledges;
        self.send(Hello {
            version: 1,
            name: "peer".to_owned(),
            acknowledges,
            blocks: self.blocks,
            ..Default::default()
        });
    }

    pub(crate) fn subscribe(&mut self, pattern: &str, max_age_ms: u32) -> u32 {
        self.subscriptions += 1;
        let id = self.subscriptions;
        self.send(Subscribe { id, pattern: pattern.to_owned(), max_age_ms, ..Default::default() });
        id
    }

    pub(crate) fn advertise(&mut self, alias: u32, topic: &str, kind: Kind) {
        let kind = control::Kind::from(kind).into();
        self.send(control::Advertise { alias, topic: topic.to_owned(), kind, ..Default::default() });
    }

    /// The same, and asks what becomes of each message.
    pub(crate) fn advertise_with_results(&mut self, alias: u32, topic: &str, kind: Kind) {
        let kind = control::Kind::from(kind).into();
        let topic = topic.to_owned();
        self.send(control::Advertise { alias, topic, kind, results: true, ..Default::default() });
    }

    pub(crate) fn publish(&mut self, alias: u32, kind: Kind, payload: &[u8]) {
        wire::put_message(&mut self.outgoing, Header { topic: alias, ..Header::data(kind) }, payload);
    }

    /// Publishes `len` bytes that start with a number, one more each time.
    pub(crate) fn publish_numbered(&mut self, alias: u32, kind: Kind, len: usize) {
        let payload = self.numbered(len);
        self.publish(alias, kind, &payload);
    }

    /// The same with the present moment, so that its age can be told.
    pub(crate) fn publish_stamped(&mut self, now: Instant, alias: u32, header: Header, len: usize) {
        let payload = self.numbered(len);
        let micros = now.as_nanos() / 1000;
        wire::put_stamped(&mut self.outgoing, Header { topic: alias, ..header }, micros, &payload);
    }

    fn numbered(&mut self, len: usize) -> Vec<u8> {
        let mut payload = self.numbers.to_be_bytes().to_vec();
        payload.resize(len.max(8), 0xA5);
        self.numbers += 1;
        payload
    }

    pub(crate) fn patch(&mut self, alias: u32, patch: &Patch) {
        let mut payload = BytesMut::new();
        patch.encode(&mut payload);
        let header = Header { topic: alias, codec: codec::STATE_PATCH, ..Header::data(Kind::State) };
        wire::put_message(&mut self.outgoing, header, &payload);
    }
}

/// What came.
impl Client {
    pub(crate) fn topic(&self, name: &str) -> &Known {
        self.topics.get(name).unwrap_or_else(|| panic!("{name} was announced"))
    }

    pub(crate) fn numbers(&self) -> Vec<u64> {
        self.items.iter().map(Item::number).collect()
    }

    pub(crate) fn value(&self, topic: &str) -> Value {
        self.topic(topic).document.value()
    }

    pub(crate) fn errors(&self) -> Vec<ErrorCode> {
        let codes = self.control.iter().filter_map(|body| match body {
            Body::Error(error) => Some(error.code()),
            _ => None,
        });
        codes.collect()
    }

    /// The requests that this server was sent.
    pub(crate) fn requests(&self) -> Vec<control::Request> {
        let requests = self.control.iter().filter_map(|body| match body {
            Body::Request(request) => Some(request.clone()),
            _ => None,
        });
        requests.collect()
    }

    /// The answers to this requester, by the number of the request.
    pub(crate) fn replies(&self) -> BTreeMap<u64, (control::Status, Vec<u8>)> {
        let mut replies = BTreeMap::new();
        for body in &self.control {
            if let Body::Reply(reply) = body {
                let before = replies.insert(reply.id, (reply.status(), reply.body.to_vec()));
                assert_eq!(before, None, "a request is answered once");
            }
        }
        replies
    }

    /// What became of each message on `alias`: its number, or why not.
    pub(crate) fn results(&self, alias: u32) -> Vec<Result<u64, ErrorCode>> {
        let outcomes = self.control.iter().filter_map(|body| match body {
            Body::Results(results) if results.alias == alias => Some(&results.outcomes),
            _ => None,
        });
        let each = |outcome: &control::Outcome| {
            let fate = outcome.sequence.ok_or(outcome.code());
            (0..outcome.count).map(move |n| fate.map(|first| first + n))
        };
        outcomes.flatten().flat_map(each).collect()
    }

    pub(crate) fn has_goodbye(&self) -> bool {
        self.control.iter().any(|body| matches!(body, Body::Goodbye(_)))
    }

    pub(crate) fn ages(&self) -> Vec<Duration> {
        self.items.iter().map(Item::age).collect()
    }

    pub(crate) fn handle_bytes(&mut self, now: Instant, bytes: &[u8]) {
        if self.keeps_transcript {
            self.transcript.extend_from_slice(bytes);
        }
        self.inbound.extend_from_slice(bytes);
        let mut prompt = false;
        loop {
            match wire::scan(&self.inbound, usize::MAX).expect("the hub speaks the protocol") {
                Scan::Incomplete { .. } => break,
                Scan::Control { len } => {
                    let message = self.inbound.split_to(len);
                    if let Some(body) = control::parse(&message).expect("a control message") {
                        self.handle_control(body);
                    }
                }
                Scan::Run(run) => {
                    let bytes = self.inbound.split_to(run.len);
                    self.consumed += run.len as u64;
                    let name = self.names.get(&run.topic).expect("announced before its data").clone();
                    prompt |= self.topics[&name].announce.prompt;
                    self.data_bytes += bytes.len() as u64;
                    for message in Messages::new(&self.unpack(&bytes)) {
                        self.handle_data(now, &name, &message);
                    }
                }
            }
        }
        let due = prompt || self.consumed - self.acknowledged >= ACK_BYTES;
        if self.acknowledges && due && self.consumed > self.acknowledged {
            self.acknowledged = self.consumed;
            self.send(control::Ack { bytes: self.consumed });
        }
    }

    pub(crate) fn forget_prefixes(&mut self) {
        self.prefixes.clear();
    }

    /// The plain messages of a run.
    fn unpack(&mut self, run: &[u8]) -> BytesMut {
        let message = Messages::new(run).next().expect("whole messages");
        if !message.header.flags.contains(Flags::BLOCK) {
            return run.into();
        }
        assert!(self.blocks.is_some(), "a block for a client that takes none");
        self.packed += 1;
        let (topic, mut plain) = (message.header.topic, BytesMut::new());
        let (held, kept) = (&self.dictionaries, self.prefixes.get(&topic));
        let mut by_prefix = false;
        let reference = |block: &Block<'_>| {
            by_prefix = matches!(block.encoding(), Encoding::Prefix(_));
            if by_prefix { kept.expect("something was kept").reference(block) } else { held.reference(block) }
        };
        let unpacked = self.unpacker.unpack(&message, reference, 16 << 20, &mut plain);
        self.by_prefix += u64::from(by_prefix);
        if unpacked.expect("what the hub made can be read").keep {
            let content = Messages::new(&plain).next().expect("one message").payload.to_vec();
            let limit = self.blocks.expect("it takes some").prefix_bytes as usize;
            let receiver = self.prefixes.entry(topic).or_insert_with(|| reference::Receiver::new(limit));
            receiver.keep(message.header.sequence.into(), &content.into()).expect("within the limit");
        }
        plain
    }

    fn handle_control(&mut self, body: Body) {
        match &body {
            Body::Dictionary(dictionary) => {
                self.dictionaries.insert(&dictionary.message).expect("a dictionary that there is room for");
            }
            Body::Retire(retire) => {
                let name = Name { id: retire.id, version: retire.version };
                assert!(self.dictionaries.retire(name), "what is retired was here");
            }
            Body::Announce(announce) => self.handle_announce(announce.clone()),
            Body::Gap(gap) => {
                let known = self.topics.get_mut(&self.names[&gap.topic_id]).expect("announced");
                let count = gap.drops.iter().map(|drop| drop.count).sum();
                let first = widen(gap.first_sequence, known.next);
                assert!(first >= known.next, "a gap of what was delivered");
                known.gaps.insert(first, count);
                known.dropped += count;
                known.pass_gaps();
            }
            Body::Ping(ping) => {
                let nonce = ping.nonce;
                self.send(control::Pong { nonce });
            }
            _ => {}
        }
        self.control.push(body);
    }

    fn handle_announce(&mut self, announce: control::Announce) {
        let (id, name, next) = (announce.topic_id, announce.topic.clone(), announce.position);
        self.names.insert(id, name.clone());
        let mut known = match self.topics.remove(&name) {
            // In another format it goes on.
            Some(mut known) if known.announce.epoch == announce.epoch && known.id != id => {
                known.pass_gaps();
                assert_eq!(known.next, next, "{name}: silence where a gap should be told");
                known
            }
            Some(before) => Known {
                earlier: before.earlier + before.delivered + before.snapshots + before.deltas,
                ..Known::new(announce.clone(), before.document)
            },
            None => Known::new(announce.clone(), Document::new(0, Limits::default())),
        };
        known.id = id;
        known.audio.insert(id, announce.audio);
        self.topics.insert(name, known);
    }

    fn handle_data(&mut self, now: Instant, name: &str, message: &wire::Message<'_>) {
        let Some(known) = self.topics.get_mut(name) else { return };
        let header = message.header;
        if header.kind == Some(Kind::State) {
            let is_snapshot = header.flags.contains(Flags::SNAPSHOT);
            known.snapshots += u64::from(is_snapshot);
            known.deltas += u64::from(!is_snapshot);
            if let Err(error) = known.document.apply(message.payload, is_snapshot) {
                panic!("a delta of {name} does not fit: {error}");
            }
            return;
        }
        known.pass_gaps();
        assert_eq!(header.sequence, known.next as u32, "{name}: silence where a gap should be told");
        let sequence = known.next;
        known.next += 1;
        known.delivered += 1;
        let keyframe = header.flags.contains(Flags::KEYFRAME);
        if header.kind == Some(Kind::Frame) && !keyframe {
            let last = self.items.iter().rev().find(|item| item.topic == name);
            assert!(
                last.is_some_and(|last| last.sequence + 1 == sequence),
                "a frame without what it depends on"
            );
        }
        self.items.push(Item {
            topic: name.to_owned(),
            topic_id: header.topic,
            sequence,
            at: now,
            born: message.unix_micros.map(|micros| Instant::from_nanos(micros * 1000)),
            keyframe,
            payload: message.payload.to_vec(),
        });
    }
}

impl Known {
    fn new(announce: control::Announce, document: Document) -> Self {
        Self {
            id: announce.topic_id,
            next: announce.position,
            announce,
            delivered: 0,
            dropped: 0,
            earlier: 0,
            gaps: BTreeMap::new(),
            document,
            snapshots: 0,
            deltas: 0,
            audio: HashMap::new(),
        }
    }

    fn pass_gaps(&mut self) {
        while let Some(count) = self.gaps.remove(&self.next) {
            self.next += count;
        }
    }
}

/// The full number whose low half this is, near `near`.
fn widen(low: u32, near: u64) -> u64 {
    near.wrapping_add_signed(i64::from(low.wrapping_sub(near as u32) as i32))
}
