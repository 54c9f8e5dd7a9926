//! What leaves as items of a datagram connection arrives, or is told as lost, in whatever order that becomes known; and a document's
//! change starts from a version that has arrived.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use bytes::BytesMut;
use nyx_core::Instant;
use nyx_hub::{Config, Fate, Hub, Ingest, Parcel, Peer, Session, Transport};
use nyx_protocol::control::{self, Advertise, Announce, Body, Hello, Pong, Resync, Subscribe, Unsubscribe};
use nyx_protocol::state::{Document, Limits, Patch, Value, base_of};
use nyx_protocol::wire::{self, Flags, Header, Kind, Messages, Scan, codec};
use proptest::prelude::*;

const KINDS: [Kind; 3] = [Kind::State, Kind::Frame, Kind::Audio];

/// Versions of a document that a subscriber keeps (docs/WIRE.md, section 9).
const VERSIONS: usize = 16;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// Items of this kind come: so many, each of so many bytes; every so manieth frame is a keyframe.
    Publish(Kind, usize, usize, usize),
    Wait(u64),
    /// What has been handed out leaves.
    Send,
    /// One of those under way arrives, or is given up as too old.
    Arrive(prop::sample::Index),
    Expire(prop::sample::Index),
    /// The reader unsubscribes, and subscribes again at once.
    Again,
    /// The reader's copy of the document is of no use.
    Resync,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let publish = (prop::sample::select(KINDS.to_vec()), 1usize..5, 1usize..3_000, 1usize..4);
    let step = prop_oneof![
        6 => publish.prop_map(|(kind, count, len, every)| Step::Publish(kind, count, len, every)),
        2 => (0u64..200).prop_map(Step::Wait),
        6 => Just(Step::Send),
        8 => any::<prop::sample::Index>().prop_map(Step::Arrive),
        2 => any::<prop::sample::Index>().prop_map(Step::Expire),
        1 => Just(Step::Again),
        1 => Just(Step::Resync),
    ];
    prop::collection::vec(step, 1..80)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases()) })]

    #[test]
    fn what_was_sent_arrives_or_is_told_as_lost(steps in steps()) {
        let mut scene = Scene::new();
        steps.into_iter().for_each(|step| scene.take(step));
        scene.run_to_the_end();
        scene.check();
    }
}

#[test]
fn who_goes_on_taking_what_it_is_sent_is_there_though_it_says_nothing() {
    let mut scene = Scene::new();
    scene.item(Kind::Frame, 3_000, 1);
    scene.send();
    for left in (1..100).rev() {
        scene.wait(Duration::from_secs(1));
        scene.reader.handle_unsettled(scene.now, 30 * left);
        assert_ne!(scene.reader.poll_timeout(), None, "it has ended with {left} parts left");
    }
    scene.wait(Duration::from_secs(60));
    assert_eq!(scene.reader.poll_timeout(), None, "it is gone");
}

/// Some seconds' worth; whoever looks for what is rare asks for more.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(200)
}

/// A topic as the reader knows it.
struct Known {
    announce: Announce,
    /// The number of the first parcel that may be of it: those before were on their way to the subscription before.
    first_parcel: u64,
    arrived: BTreeSet<u64>,
    missing: BTreeMap<u64, u64>,
    documents: Vec<Document>,
}

struct Scene {
    hub: Hub,
    now: Instant,
    publisher: Session,
    reader: Session,
    known: HashMap<u32, Known>,
    under_way: Vec<Parcel>,
    parcels: u64,
    sent: HashMap<Kind, u64>,
    value: i64,
    subscriptions: u32,
}

impl Scene {
    fn new() -> Self {
        let (hub, now) = (Hub::new(Config::default()), Instant::ZERO);
        let session = |transport| hub.session(now, Peer::new("peer", transport)).expect("admitted");
        let (publisher, reader) = (session(Transport::Tcp), session(Transport::Udp));
        let mut scene = Self {
            hub,
            now,
            publisher,
            reader,
            known: HashMap::new(),
            under_way: Vec::new(),
            parcels: 0,
            sent: HashMap::new(),
            value: 0,
            subscriptions: 1,
        };
        let hello = || Hello { version: 1, acknowledges: true, ..Hello::default() };
        scene.publish(|out| {
            control::put(out, hello());
            for (alias, kind) in (0..).zip(KINDS) {
                let (topic, kind) = (kind.to_string(), control::Kind::from(kind).into());
                control::put(out, Advertise { alias, topic, kind, ..Advertise::default() });
            }
        });
        scene.say(hello());
        scene.say(Subscribe { id: 1, pattern: "*".to_owned(), ..Subscribe::default() });
        scene.send();
        scene
    }

    fn publish(&mut self, put: impl FnOnce(&mut BytesMut)) {
        let mut out = BytesMut::new();
        put(&mut out);
        assert!(matches!(self.publisher.handle_input(self.now, &mut out), Ok(Ingest::Needs(_))));
        self.publisher.poll_transmit(self.now, &mut Vec::new());
    }

    fn say(&mut self, body: impl Into<Body>) {
        let mut out = BytesMut::new();
        control::put(&mut out, body);
        assert!(matches!(self.reader.handle_input(self.now, &mut out), Ok(Ingest::Needs(_))));
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Publish(kind, count, len, every) => (0..count).for_each(|_| self.item(kind, len, every)),
            Step::Wait(millis) => self.wait(Duration::from_millis(millis)),
            Step::Send => self.send(),
            Step::Arrive(_) | Step::Expire(_) if self.under_way.is_empty() => {}
            Step::Arrive(which) => self.arrive(which.index(self.under_way.len())),
            Step::Expire(which) => {
                let which = which.index(self.under_way.len());
                // Of a document nothing is too old.
                if self.under_way[which].deadline.is_some() {
                    let parcel = self.under_way.remove(which);
                    self.settle(&parcel, Fate::Expired);
                }
            }
            Step::Again => {
                self.say(Unsubscribe { id: self.subscriptions });
                self.subscriptions += 1;
                let (id, pattern) = (self.subscriptions, "*".to_owned());
                self.say(Subscribe { id, pattern, ..Subscribe::default() });
            }
            Step::Resync => {
                let document = self.known.values_mut().find(|known| known.announce.topic == "state");
                let Some(known) = document else { return };
                known.documents.clear();
                known.first_parcel = self.parcels;
                let topic_id = known.announce.topic_id;
                self.say(Resync { topic_id });
            }
        }
    }

    fn item(&mut self, kind: Kind, len: usize, every: usize) {
        let sent = self.sent.entry(kind).or_default();
        *sent += 1;
        let is_key = sent.is_multiple_of(every as u64);
        let alias = KINDS.iter().position(|known| *known == kind).expect("one of them") as u32;
        self.value += 1;
        let value = self.value;
        self.publish(|out| match kind {
            Kind::State => {
                let mut patch = BytesMut::new();
                let fields = [
                    (format!("k{}", len % 7), Value::from(value)),
                    ("filler".to_owned(), "x".repeat(200).into()),
                ];
                Patch::merge(Value::map(fields)).encode(&mut patch);
                let header = Header { topic: alias, codec: codec::STATE_PATCH, ..Header::data(kind) };
                wire::put_message(out, header, &patch);
            }
            kind => {
                let flags = if is_key { Flags::KEYFRAME } else { Flags::NONE };
                wire::put_message(out, Header { topic: alias, flags, ..Header::data(kind) }, &vec![7; len]);
            }
        });
    }

    fn wait(&mut self, time: Duration) {
        self.now = self.now + time;
        for session in [&mut self.publisher, &mut self.reader] {
            if session.poll_timeout().is_some_and(|at| at <= self.now) {
                session.handle_timeout(self.now);
            }
        }
    }

    fn send(&mut self) {
        let (mut out, mut parcels) = (Vec::new(), Vec::new());
        self.reader.poll_transmit(self.now, &mut out);
        self.reader.poll_parcels(&mut parcels);
        let mut stream = &out.concat()[..];
        while let Ok(Scan::Control { len }) = wire::scan(stream, 0) {
            let body = control::parse(&stream[..len]).expect("it decodes").expect("it is known");
            self.hear(body);
            stream = &stream[len..];
        }
        assert!(stream.is_empty(), "all data leaves as parcels");
        for parcel in parcels {
            assert_eq!(parcel.number, self.parcels);
            self.parcels += 1;
            self.under_way.push(parcel);
        }
    }

    fn hear(&mut self, body: Body) {
        match body {
            Body::Announce(announce) => {
                let known = Known {
                    first_parcel: self.parcels,
                    arrived: BTreeSet::new(),
                    missing: BTreeMap::new(),
                    documents: Vec::new(),
                    announce,
                };
                self.known.insert(known.announce.topic_id, known);
            }
            Body::Gap(gap) => {
                let known = self.known.get_mut(&gap.topic_id).expect("announced");
                let count: u64 = gap.drops.iter().map(|drop| drop.count).sum();
                let before = known.missing.insert(gap.first_sequence.into(), count);
                assert_eq!(before, None, "a gap is told once");
            }
            Body::Ping(ping) => self.say(Pong { nonce: ping.nonce }),
            Body::Error(error) => panic!("{error:?}"),
            _ => {}
        }
    }

    /// Those of its flow before it are obsolete, or have to be there.
    fn arrive(&mut self, which: usize) {
        let parcel = self.under_way[which].clone();
        let is_before = |other: &Parcel| other.flow == parcel.flow && other.number < parcel.number;
        if parcel.is_latest {
            let obsolete: Vec<_> = self.under_way.extract_if(.., |other| is_before(other)).collect();
            self.receive(&parcel);
            obsolete.iter().for_each(|obsolete| self.settle(obsolete, Fate::Obsolete));
        } else if self.under_way.iter().any(is_before) {
            return;
        } else {
            self.receive(&parcel);
        }
        self.under_way.retain(|other| other.number != parcel.number);
        self.settle(&parcel, Fate::Delivered);
    }

    fn receive(&mut self, parcel: &Parcel) {
        let known = self.known.get_mut(&parcel.flow).expect("announced before its parcels");
        if parcel.number < known.first_parcel {
            return;
        }
        let message = Messages::new(&parcel.bytes).next().expect("a whole message");
        if message.header.kind != Some(Kind::State) {
            known.arrived.insert(message.header.sequence.into());
            return;
        }
        let mut document = Document::new(0, Limits::default());
        let is_snapshot = message.header.flags.contains(Flags::SNAPSHOT);
        if !is_snapshot {
            let base = base_of(message.payload).expect("a delta has a base");
            known.documents.retain(|held| held.version() >= base);
            let held = known.documents.iter().find(|held| held.version() == base);
            document = held.expect("the base has arrived").clone();
        }
        document.apply(message.payload, is_snapshot).expect("it fits its base");
        known.documents.push(document);
        if known.documents.len() > VERSIONS {
            known.documents.remove(0);
        }
    }

    fn settle(&mut self, parcel: &Parcel, fate: Fate) {
        self.reader.handle_fate(self.now, parcel.number, fate);
        let unsettled = self.under_way.iter().map(|parcel| parcel.bytes.len() as u64).sum();
        self.reader.handle_unsettled(self.now, unsettled);
    }

    fn run_to_the_end(&mut self) {
        for _ in 0..1_000 {
            self.send();
            if self.under_way.is_empty() {
                return;
            }
            self.arrive(0);
        }
        panic!("it never ends");
    }

    fn check(&self) {
        for known in self.known.values() {
            let name = &known.announce.topic;
            if name == "state" {
                let truth = self.hub.latest(&name.parse().expect("a name"));
                let held = known.documents.last().map(|document| nyx_hub::Latest::Document(document.value()));
                assert_eq!(held, truth);
                continue;
            }
            let kind: Kind = name.parse().expect("named after its kind");
            let told: BTreeSet<u64> =
                known.missing.iter().flat_map(|(first, count)| *first..first + count).collect();
            let count: u64 = known.missing.values().sum();
            assert_eq!(told.len() as u64, count, "{name}: what is missing is told once: {:?}", known.missing);
            assert!(told.is_disjoint(&known.arrived), "{name}: {told:?} and {:?}", known.arrived);
            let all: BTreeSet<u64> = told.union(&known.arrived).copied().collect();
            let sent = self.sent.get(&kind).copied().unwrap_or(0);
            assert_eq!(all, (known.announce.position..sent).collect(), "{name}");
        }
    }
}
