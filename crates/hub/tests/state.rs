//! State: one delta per turn, whatever happened meanwhile, and everyone ends at the same document.

mod sim;

use bytes::Bytes;
use nyx_core::Instant;
use nyx_hub::{Config, Hub, Peer, Spec, Transport};
use nyx_protocol::control::{Body, ErrorCode, Resume, Resync, Subscribe};
use nyx_protocol::state::{Patch, Value};
use nyx_protocol::topic::{Name, Pattern};
use nyx_protocol::wire::Kind;
use sim::{Sim, fast, ms, slow};

fn set(key: &str, value: impl Into<Value>) -> Patch {
    Patch::merge(Value::map([(key, value.into())]))
}

fn publisher(sim: &mut Sim) -> usize {
    let id = sim.peer(fast(), true);
    sim[id].advertise(1, "world", Kind::State);
    sim.settle();
    id
}

#[test]
fn a_slow_subscriber_gets_few_deltas_and_the_same_document() {
    let mut sim = Sim::new(Config::default());
    let publisher = publisher(&mut sim);
    let (quick, slow) = (sim.subscriber(fast(), "world"), sim.subscriber(slow(1_000, 4096), "world"));
    for i in 0..600i64 {
        let entity = format!("entity{}", i % 20);
        sim[publisher].patch(1, &set(&entity, Value::map([("x", i), ("y", -i)])));
        sim.run_for(ms(10));
    }
    sim.run_for(ms(2000));
    assert_eq!(sim[quick].topic("world").deltas, 599);
    let deltas = sim[slow].topic("world").deltas;
    assert!((10..300).contains(&deltas), "{deltas} deltas");
    assert_eq!(sim[slow].value("world"), sim[quick].value("world"));
    assert_eq!(sim[slow].topic("world").document.version(), 600);
    let id = sim.node(slow).session.id();
    let stats = sim.hub.stats(sim.now);
    let session = stats.sessions.iter().find(|session| session.id == id).unwrap();
    assert_eq!(session.delivered + session.all_drops().total(), 600);
}

#[test]
fn resync_brings_a_snapshot() {
    let mut sim = Sim::new(Config::default());
    let publisher = publisher(&mut sim);
    let reader = sim.subscriber(fast(), "world");
    sim[publisher].patch(1, &set("a", 1));
    sim.settle();
    let id = sim[reader].topic("world").id;
    sim[reader].send(Resync { topic_id: id });
    sim.settle();
    assert_eq!((sim[reader].topic("world").snapshots, sim[reader].topic("world").deltas), (2, 0));
    sim[publisher].patch(1, &set("b", Value::from("x".repeat(100))));
    sim[publisher].patch(1, &set("a", 2));
    sim.run_for(ms(1));
    assert_eq!(sim[reader].value("world").get("a"), Some(&Value::from(2)));
    sim[reader].send(Resync { topic_id: 77 });
    sim.settle();
    assert!(sim[reader].errors().is_empty());
}

#[test]
fn coming_back_continues_by_delta_in_the_epoch_and_by_snapshot_in_another() {
    let mut sim = Sim::new(Config::default());
    let publisher = publisher(&mut sim);
    let first = sim.subscriber(fast(), "world");
    sim[publisher].patch(1, &set("ballast", Value::from("x".repeat(500))));
    sim[publisher].patch(1, &set("a", 1));
    sim.settle();
    let (epoch, position) = (sim[first].topic("world").document.epoch(), 2);
    assert_eq!(sim[first].topic("world").announce.epoch, epoch);
    sim[publisher].patch(1, &set("a", 2));
    sim.settle();
    for (epoch, position, snapshot) in
        [(epoch, position, false), (epoch ^ 1, position, true), (epoch, 99, true)]
    {
        let mut session = sim.hub.session(sim.now, Peer::new("again", Transport::Tcp)).unwrap();
        let mut input = bytes::BytesMut::new();
        let resume = vec![Resume { topic: "world".to_owned(), epoch, position }];
        nyx_protocol::control::put(
            &mut input,
            nyx_protocol::control::Hello { version: 1, acknowledges: true, ..Default::default() },
        );
        nyx_protocol::control::put(
            &mut input,
            Subscribe { id: 1, pattern: "world".into(), resume, ..Default::default() },
        );
        session.handle_input(sim.now, &mut input).unwrap();
        let mut out = Vec::new();
        session.poll_transmit(sim.now, &mut out);
        let message = out.last().unwrap();
        assert_eq!(message[1] & 4 != 0, snapshot, "epoch {epoch}, position {position}");
    }
}

#[test]
fn a_renewed_epoch_reaches_every_subscriber_and_those_who_come_back() {
    let mut config = Config::default();
    config.document.keys = 8;
    let mut sim = Sim::new(config);
    let publisher = publisher(&mut sim);
    let (quick, slow) = (sim.subscriber(fast(), "world"), sim.subscriber(slow(2_000, 2048), "world"));
    let mut last = None;
    for i in 0..40i64 {
        let key = format!("key{i}");
        if let Some(last) = last.replace(key.clone()) {
            sim[publisher].patch(1, &Patch::Map([(last, Patch::Remove)].into()));
        }
        sim[publisher].patch(1, &set(&key, i));
        sim.run_for(ms(30));
    }
    sim.run_for(ms(1000));
    assert!(sim[publisher].errors().is_empty());
    let expected = Value::map([("key39", 39)]);
    assert_eq!(sim[quick].value("world"), expected);
    assert_eq!(sim[slow].value("world"), expected);
    assert!(sim[quick].topic("world").snapshots > 3);

    // The epoch that is announced is the document's own.
    let late = sim.subscriber(fast(), "world");
    let known = sim[late].topic("world");
    assert_eq!(known.announce.epoch, known.document.epoch());
    let (epoch, position) = (known.document.epoch(), known.document.version());
    let again = sim.peer(fast(), true);
    let resume = vec![Resume { topic: "world".to_owned(), epoch, position }];
    sim[again].send(Subscribe { id: 1, pattern: "world".into(), resume, ..Default::default() });
    sim.settle();
    assert_eq!(
        (sim[again].topic("world").announce.position, sim[again].topic("world").snapshots),
        (position, 0)
    );
}

#[test]
fn a_document_with_all_other_keys_takes_the_place_of_one_that_is_full() {
    let mut config = Config::default();
    config.document.keys = 8;
    let mut sim = Sim::new(config);
    let publisher = publisher(&mut sim);
    let subscriber = sim.subscriber(fast(), "world");
    let of = |letter: &str| Value::map((0..8i64).map(|n| (format!("{letter}{n}"), n)));
    for letter in ["a", "b", "c"] {
        sim[publisher].patch(1, &Patch::Set(of(letter)));
        sim.run_for(ms(30));
        assert_eq!(sim[subscriber].value("world"), of(letter));
    }
    sim[publisher].patch(1, &set("one more", 1));
    sim.settle();
    assert_eq!(sim[publisher].errors(), [ErrorCode::BadDocument]);
}

#[test]
fn a_thousand_subscribers_at_one_version_cost_one_encoding() {
    let hub = Hub::new(Config::default());
    let topic = hub.create(&Name::new("world").unwrap(), &Spec::new(Kind::State)).unwrap();
    hub.patch(&topic, &set("a", 1)).unwrap();
    let mut sessions: Vec<_> =
        (0..1000).map(|i| hub.session(Instant::ZERO, Peer::new(i, Transport::Http)).unwrap()).collect();
    for session in &mut sessions {
        session.open_unacknowledged("x");
        session.subscribe_for(Instant::ZERO, Pattern::new("world").unwrap(), None);
    }
    for value in 2..5 {
        let mut pointers: Vec<*const u8> = Vec::new();
        for session in &mut sessions {
            let mut out: Vec<Bytes> = Vec::new();
            session.poll_transmit(Instant::ZERO, &mut out);
            pointers.push(out.last().unwrap().as_ptr());
        }
        pointers.dedup();
        assert_eq!(pointers.len(), 1);
        hub.patch(&topic, &set("a", value)).unwrap();
    }
}

#[test]
fn a_failed_patch_changes_nothing_and_nobody_else_sees_anything() {
    let mut sim = Sim::new(Config::default());
    let publisher = publisher(&mut sim);
    let reader = sim.subscriber(fast(), "world");
    sim[publisher].patch(1, &set("a", 1));
    sim.settle();
    sim[reader].keeps_transcript = true;
    // A list operation on what is no list, nesting without end, a huge text, garbage, and a codec that is none.
    sim[publisher].patch(
        1,
        &Patch::Map(
            [("a".to_owned(), Patch::List(Vec::new())), ("b".to_owned(), Patch::Set(Value::from(2)))].into(),
        ),
    );
    let deep = (0..1000).fold(Value::from(1), |inner, _| Value::list([inner]));
    sim[publisher].patch(1, &set("deep", deep));
    sim[publisher].patch(1, &set("huge", Value::from("x".repeat(2 << 20))));
    let header =
        nyx_protocol::wire::Header { topic: 1, codec: 1, ..nyx_protocol::wire::Header::data(Kind::State) };
    nyx_protocol::wire::put_message(&mut sim[publisher].outgoing, header, &[0xEE; 50]);
    sim[publisher].publish(1, Kind::State, &[0, 0]);
    sim.settle();
    use nyx_protocol::control::ErrorCode::BadDocument;
    assert_eq!(sim[publisher].errors(), [BadDocument; 5]);
    assert_eq!(sim.refused(BadDocument), 5);
    assert!(
        sim[publisher]
            .control
            .iter()
            .all(|body| !matches!(body, Body::Error(error) if error.fatal || error.alias != Some(1)))
    );
    assert!(sim[reader].transcript.is_empty());
    // The publisher goes on.
    sim[publisher].patch(1, &set("a", 2));
    sim.settle();
    assert_eq!(sim[reader].value("world"), Value::map([("a", 2)]));
}
