//! Peers that err, stall, flood or say nothing: a typed error for them, and nothing for anyone else.

mod sim;

use bytes::BytesMut;
use nyx_hub::{AdmitError, Config, CreateError, Ingest, Peer, Spec, Transport};
use nyx_protocol::control::{
    self, Ack, Advertise, Body, ErrorCode, Hello, Kind as WireKind, Ping, Subscribe,
};
use nyx_protocol::topic::Name;
use nyx_protocol::wire::{self, Header, Kind};
use proptest::prelude::*;
use sim::{Sim, fast, ms};

/// A hub with a publisher and a subscriber that behave, and what the latter has seen so far.
struct Bystanders {
    sim: Sim,
    publisher: usize,
    subscriber: usize,
}

impl Bystanders {
    fn new(config: Config) -> Self {
        let mut sim = Sim::new(config);
        let publisher = sim.peer(fast(), true);
        sim[publisher].advertise(1, "good", Kind::Event);
        sim.settle();
        let subscriber = sim.subscriber(fast(), "good");
        sim[subscriber].keeps_transcript = true;
        Self { sim, publisher, subscriber }
    }

    /// Nothing has reached the subscriber, and what the publisher sends still does.
    fn check(mut self) -> Sim {
        assert!(self.sim[self.subscriber].transcript.is_empty());
        self.sim[self.publisher].publish_numbered(1, Kind::Event, 10);
        self.sim.settle();
        assert_eq!(self.sim[self.subscriber].numbers(), [0]);
        self.sim
    }
}

fn data(alias: u32, kind: Kind, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    wire::put_message(&mut out, Header { topic: alias, ..Header::data(kind) }, payload);
    out
}

#[test]
fn what_can_t_be_trusted_ends_the_session_with_a_typed_error() {
    let mut reserved = Header::data(Kind::Event).to_bytes();
    reserved[3] = 1;
    let garbage_control = [&Header { length: 3, ..Header::CONTROL }.to_bytes()[..], &[0xFF; 3]].concat();
    let cases = [
        ("garbage", vec![0xFF; 40], ErrorCode::Malformed),
        ("a reserved bit", reserved.to_vec(), ErrorCode::Malformed),
        ("control that does not decode", garbage_control, ErrorCode::Malformed),
        (
            "too long",
            Header { length: (16 << 20) + 1, ..Header::data(Kind::Event) }.to_bytes().to_vec(),
            ErrorCode::TooLarge,
        ),
        (
            "too long for control",
            Header { length: 65_537, ..Header::CONTROL }.to_bytes().to_vec(),
            ErrorCode::TooLarge,
        ),
    ];
    for (what, bytes, code) in cases {
        let mut all = Bystanders::new(Config::default());
        let hostile = all.sim.peer(fast(), true);
        all.sim.settle();
        all.sim[hostile].outgoing.extend_from_slice(&bytes);
        all.sim.settle();
        assert_eq!(all.sim[hostile].errors(), [code], "{what}");
        assert!(matches!(all.sim[hostile].control.last(), Some(Body::Error(error)) if error.fatal), "{what}");
        assert!(all.sim.node(hostile).is_closed(), "{what}");
        assert_eq!(all.sim.refused(code), 1, "{what}");
        all.check();
    }
}

#[test]
fn what_precedes_a_fatal_error_is_still_published() {
    let mut all = Bystanders::new(Config::default());
    let other = all.sim.peer(fast(), true);
    all.sim[other].advertise(5, "mixed", Kind::Event);
    all.sim[other].publish(5, Kind::Event, b"whole");
    all.sim[other].outgoing.extend_from_slice(&[0xFF; 16]);
    let reader = all.sim.subscriber(fast(), "mixed");
    all.sim.settle();
    let delivered = all.sim[reader].topics.contains_key("mixed");
    assert!(delivered && all.sim.node(other).is_closed());
}

#[test]
fn other_errors_are_answered_and_the_session_goes_on() {
    let advertise = |alias, topic: &str, kind: Option<Kind>| {
        let kind = kind.map_or(WireKind::Unspecified, WireKind::from).into();
        Body::from(Advertise { alias, topic: topic.to_owned(), kind, ..Default::default() })
    };
    let subscribe =
        |id, pattern: &str| Body::from(Subscribe { id, pattern: pattern.to_owned(), ..Default::default() });
    let cases = [
        (advertise(1, "good", Some(Kind::Frame)), ErrorCode::KindMismatch),
        (advertise(1, "a//b", Some(Kind::Event)), ErrorCode::BadTopic),
        (advertise(1, "", Some(Kind::Event)), ErrorCode::BadTopic),
        (advertise(1, "a/*", Some(Kind::Event)), ErrorCode::BadTopic),
        (advertise(1, &"x".repeat(256), Some(Kind::Event)), ErrorCode::BadTopic),
        (advertise(1, "$nyx/stats", Some(Kind::State)), ErrorCode::BadTopic),
        (advertise(1, "new", None), ErrorCode::BadTopic),
        (advertise(70_000, "new", Some(Kind::Event)), ErrorCode::Limit),
        (subscribe(1, "a*"), ErrorCode::BadTopic),
        (subscribe(1, ""), ErrorCode::BadTopic),
        (Hello { version: 1, ..Default::default() }.into(), ErrorCode::Unexpected),
        (control::Welcome::default().into(), ErrorCode::Unexpected),
        (Ack { bytes: 1 }.into(), ErrorCode::Unexpected),
    ];
    for (body, code) in cases {
        let what = format!("{body:?}");
        let mut all = Bystanders::new(Config::default());
        let hostile = all.sim.peer(fast(), true);
        all.sim[hostile].send(body);
        all.sim[hostile].send(Ping { nonce: 7 });
        all.sim.settle();
        assert_eq!(all.sim[hostile].errors(), [code], "{what}");
        assert_eq!(all.sim[hostile].control.last(), Some(&Body::Pong(control::Pong { nonce: 7 })), "{what}");
        assert_eq!(all.sim.refused(code), 1, "{what}");
        all.check();
    }
}

#[test]
fn sound_of_another_rate_than_its_topic_has_is_refused() {
    let advertise = |alias, sample_rate| Advertise {
        alias,
        topic: "radio".to_owned(),
        kind: WireKind::Audio.into(),
        audio: Some(control::AudioFormat { sample_rate, channels: 2 }),
        ..Default::default()
    };
    let mut all = Bystanders::new(Config::default());
    let hostile = all.sim.peer(fast(), true);
    all.sim[hostile].send(advertise(1, 48_000));
    all.sim[hostile].send(advertise(2, 44_100));
    all.sim[hostile].send(advertise(3, 48_000));
    all.sim[hostile].publish(2, Kind::Audio, b"too slow");
    all.sim.settle();
    assert_eq!(all.sim[hostile].errors(), [ErrorCode::KindMismatch]);
    assert_eq!(all.sim.refused(ErrorCode::KindMismatch), 2);
    all.check();
}

#[test]
fn data_that_has_no_place_is_refused_and_discarded() {
    let mut all = Bystanders::new(Config::default());
    let hostile = all.sim.peer(fast(), true);
    all.sim[hostile].publish(9, Kind::Event, b"unknown alias");
    all.sim[hostile].advertise(1, "good", Kind::Event);
    all.sim[hostile].publish(1, Kind::Audio, b"wrong kind");
    all.sim[hostile].advertise(2, "good", Kind::Frame);
    for _ in 0..3 {
        all.sim[hostile].publish(2, Kind::Frame, b"on a refused alias");
    }
    all.sim.settle();
    let expected = [ErrorCode::UnknownAlias, ErrorCode::KindMismatch, ErrorCode::KindMismatch];
    assert_eq!(all.sim[hostile].errors(), expected);
    assert_eq!(all.sim.refused(ErrorCode::KindMismatch), 2 + 3);
    all.check();
}

#[test]
fn only_a_hello_of_this_version_opens_a_session() {
    let hello = |version| Body::from(Hello { version, acknowledges: true, ..Default::default() });
    let cases = [
        (hello(2), ErrorCode::UnsupportedVersion),
        (hello(0), ErrorCode::UnsupportedVersion),
        (Ping { nonce: 1 }.into(), ErrorCode::Unexpected),
    ];
    for (body, code) in cases {
        let mut sim = Sim::new(Config::default());
        let id = sim.connect(fast());
        sim[id].send(body);
        sim.settle();
        assert_eq!(sim[id].errors(), [code]);
        assert!(sim.node(id).is_closed());
    }
    let mut sim = Sim::new(Config::default());
    let id = sim.connect(fast());
    sim[id].publish(1, Kind::Event, b"early");
    sim.settle();
    assert_eq!(sim[id].errors(), [ErrorCode::Unexpected]);
}

#[test]
fn what_data_promises_before_hello_is_not_waited_for() {
    let mut sim = Sim::new(Config::default());
    let id = sim.connect(fast());
    let header = Header { length: 16 << 20, ..Header::data(Kind::Event) };
    sim[id].outgoing.extend_from_slice(&header.to_bytes());
    sim.settle();
    assert_eq!(sim[id].errors(), [ErrorCode::Unexpected]);
    assert!(sim.node(id).is_closed());
}

#[test]
fn a_slow_hello_times_out() {
    let mut sim = Sim::new(Config::default());
    let id = sim.connect(fast());
    // One byte a second is no hello.
    let header = Header { length: 40, ..Header::CONTROL }.to_bytes();
    for byte in &header[..10] {
        sim[id].outgoing.extend_from_slice(&[*byte]);
        sim.run_for(ms(499));
    }
    assert!(!sim.node(id).is_closed());
    sim.run_for(ms(20));
    assert_eq!(sim[id].errors(), [ErrorCode::Timeout]);
    assert!(sim.node(id).is_closed());
}

#[test]
fn a_silent_peer_is_asked_and_then_left() {
    for acknowledges in [true, false] {
        let mut sim = Sim::new(Config::default());
        let (alive, dead) = (sim.peer(fast(), acknowledges), sim.peer(fast(), acknowledges));
        sim.settle();
        sim.run_for(ms(100));
        sim[dead].reads = false;
        // A part of a message, offered again and again, is no sign of life.
        sim[dead].outgoing.extend_from_slice(&[4, 0, 0]);
        sim.run_for(ms(29_000));
        assert!(!sim.node(dead).is_closed());
        sim.run_for(ms(90_000));
        assert!(sim.node(dead).is_closed());
        assert!(!sim.node(alive).is_closed(), "it answers");
        assert!(sim[alive].control.iter().any(|body| matches!(body, Body::Ping(_))));
        assert_eq!(sim.refused(ErrorCode::Timeout), 1);
    }
}

#[test]
fn the_same_input_offered_again_is_no_sign_of_life() {
    let mut sim = Sim::new(Config::default());
    let mut session = sim.hub.session(sim.now, Peer::new("x", Transport::Tcp)).unwrap();
    let mut input = BytesMut::new();
    control::put(&mut input, Hello { version: 1, acknowledges: true, ..Default::default() });
    input.extend_from_slice(&[4, 0]);
    for _ in 0..100 {
        if session.handle_input(sim.now, &mut input).is_err() {
            break;
        }
        session.poll_transmit(sim.now, &mut Vec::new());
        sim.now = session.poll_timeout().unwrap();
        session.handle_timeout(sim.now);
    }
    assert!(session.handle_input(sim.now, &mut input).is_err());
}

#[test]
fn who_asks_and_does_not_read_is_no_longer_read() {
    let mut all = Bystanders::new(Config::default());
    let hostile = all.sim.peer(fast(), true);
    all.sim.settle();
    all.sim[hostile].reads = false;
    for nonce in 0..100_000 {
        all.sim[hostile].send(Ping { nonce });
    }
    all.sim.run_for(ms(100));
    assert!(all.sim.node(hostile).is_paused());
    assert!(all.sim.node(hostile).waiting_bytes() < 100_000);
    assert!(all.sim[hostile].outgoing.len() > 1_000_000);
    all.sim[hostile].reads = true;
    all.sim.settle();
    let pongs = all.sim[hostile].control.iter().filter(|body| matches!(body, Body::Pong(_))).count();
    assert_eq!(pongs, 100_000);
    all.check();
}

#[test]
fn limits_are_typed_errors() {
    let mut config = Config::default();
    (config.sessions, config.topics, config.subscriptions, config.aliases) = (2, 2, 3, 10);
    let mut sim = Sim::new(config);
    let id = sim.peer(fast(), true);
    sim.settle();
    let other = sim.hub.session(sim.now, Peer::new("two", Transport::Tcp)).unwrap();
    assert_eq!(
        sim.hub.session(sim.now, Peer::new("three", Transport::Tcp)).err(),
        Some(AdmitError::TooMany(2))
    );
    drop(other);
    assert!(sim.hub.session(sim.now, Peer::new("three", Transport::Tcp)).is_ok());

    sim[id].advertise(0, "a", Kind::Event);
    sim[id].advertise(1, "b", Kind::Event);
    sim[id].advertise(2, "c", Kind::Event);
    sim[id].advertise(10, "a", Kind::Event);
    for _ in 0..4 {
        sim[id].subscribe("**", 0);
    }
    sim.settle();
    assert_eq!(sim[id].errors(), [ErrorCode::Limit; 3]);
    let spec = Spec::new(Kind::Event);
    assert!(matches!(sim.hub.create(&Name::new("d").unwrap(), &spec), Err(CreateError::TooMany(2))));
    assert!(matches!(sim.hub.create(&Name::new("$d").unwrap(), &spec), Err(CreateError::Reserved(_))));
}

#[test]
fn subscribing_again_and_again_costs_no_memory() {
    let mut all = Bystanders::new(Config::default());
    let hostile = all.sim.peer(fast(), true);
    for _ in 0..20_000 {
        let id = all.sim[hostile].subscribe("good", 0);
        all.sim[hostile].send(control::Unsubscribe { id });
    }
    all.sim.settle();
    assert!(all.sim[hostile].errors().is_empty());
    assert_eq!(all.sim.hub.stats(all.sim.now).topics[0].subscribers, 1);
    all.check();
}

#[test]
fn an_ended_session_joins_nothing_any_more() {
    let mut sim = Sim::new(Config::default());
    let mut session = sim.hub.session(sim.now, Peer::new("x", Transport::Tcp)).unwrap();
    let mut input = BytesMut::new();
    control::put(&mut input, Hello { version: 1, acknowledges: true, ..Default::default() });
    control::put(&mut input, Subscribe { id: 1, pattern: "**".into(), ..Default::default() });
    session.handle_input(sim.now, &mut input).unwrap();
    let topic = sim.hub.topic_for(&Name::new("late").unwrap(), Kind::Event).unwrap();
    input.extend_from_slice(&[0xFF; 16]);
    assert!(session.handle_input(sim.now, &mut input).is_err());
    let mut out = Vec::new();
    session.poll_transmit(sim.now, &mut out);
    let mut last = None;
    let mut bytes = &out.concat()[..];
    while let Ok(wire::Scan::Control { len }) = wire::scan(bytes, 0) {
        last = control::parse(&bytes[..len]).unwrap();
        bytes = &bytes[len..];
    }
    assert!(matches!(last, Some(Body::Error(_))), "{last:?} after the last message");
    assert!(session.is_finished());
    assert_eq!(topic.name().as_str(), "late");
    assert_eq!(sim.hub.stats(sim.now).topics[0].subscribers, 0);
    sim.settle();
}

#[test]
fn the_end_of_a_read_buffer_does_not_pin_all_of_it_unaccounted() {
    let mut config = Config::default();
    config.topic_bytes = 1 << 20;
    let sim = Sim::new(config);
    let mut session = sim.hub.session(sim.now, Peer::new("x", Transport::Tcp)).unwrap();
    let mut input = BytesMut::new();
    control::put(&mut input, Hello { version: 1, acknowledges: true, ..Default::default() });
    control::put(
        &mut input,
        Advertise { alias: 1, topic: "a".into(), kind: WireKind::Event.into(), ..Default::default() },
    );
    assert!(matches!(session.handle_input(sim.now, &mut input), Ok(Ingest::Needs(_))));
    // Each buffer is spent on a refused message, but for its last bytes, which are an event.
    let filler = data(9, Kind::Event, &[0; 100_000]);
    let event = data(1, Kind::Event, &[1; 50]);
    let mut subscriber = sim.hub.session(sim.now, Peer::new("y", Transport::Http)).unwrap();
    subscriber.open_unacknowledged("y");
    subscriber.subscribe_for(sim.now, nyx_protocol::topic::Pattern::new("a").unwrap(), None);
    for _ in 0..10 {
        let mut input = BytesMut::with_capacity(filler.len() + event.len());
        input.extend_from_slice(&filler);
        input.extend_from_slice(&event);
        let buffer = input.as_ptr_range();
        session.handle_input(sim.now, &mut input).unwrap();
        session.poll_transmit(sim.now, &mut Vec::new());
        let mut out = Vec::new();
        subscriber.poll_transmit(sim.now, &mut out);
        assert!(!buffer.contains(&out.last().unwrap().as_ptr()), "a copy was kept, not the buffer");
    }
}

/// A stream of a peer that does all there is to do.
fn valid_stream() -> Vec<u8> {
    let mut out = BytesMut::new();
    control::put(
        &mut out,
        Hello { version: 1, name: "fuzz".into(), acknowledges: true, ..Default::default() },
    );
    for (alias, kind) in Kind::ALL.into_iter().enumerate() {
        let topic = format!("fuzz/{kind}");
        let kind = WireKind::from(kind).into();
        control::put(&mut out, Advertise { alias: alias as u32, topic, kind, ..Default::default() });
    }
    control::put(&mut out, Subscribe { id: 1, pattern: "**".into(), ..Default::default() });
    for (alias, kind) in Kind::ALL.into_iter().enumerate() {
        let header = Header { topic: alias as u32, codec: 1, ..Header::data(kind) };
        wire::put_message(&mut out, header, &[0x02, 0x01, 0x01, b'a', 0x00, 0xC5]);
        wire::put_stamped(&mut out, header, 1, &[0x00, 0x09, 0x00]);
    }
    control::put(&mut out, Ack { bytes: 30 });
    control::put(&mut out, Ping { nonce: 3 });
    control::put(&mut out, control::Resync { topic_id: 0 });
    control::put(&mut out, control::Unsubscribe { id: 1 });
    control::put(
        &mut out,
        Subscribe { id: 2, pattern: "fuzz/*".into(), max_age_ms: 5, ..Default::default() },
    );
    out.to_vec()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_streams_harm_nobody_else(
        mutations in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0u8..4), 0..12),
        cuts in prop::collection::vec(1usize..80, 1..40),
        waits in prop::collection::vec(0u64..12, 1..10),
    ) {
        let mut stream = valid_stream();
        for (at, byte, how) in mutations {
            let at = at.index(stream.len());
            match how {
                0 => stream[at] = byte,
                1 => stream[at] ^= 1 << (byte % 8),
                2 => stream.insert(at, byte),
                _ => drop(stream.remove(at)),
            }
        }
        let mut all = Bystanders::new(Config::default());
        let hostile = all.sim.connect(fast());
        let (mut cuts, mut waits) = (cuts.into_iter().cycle(), waits.into_iter().cycle());
        let mut rest = &stream[..];
        while !rest.is_empty() && !all.sim.node(hostile).is_closed() {
            let (part, after) = rest.split_at(cuts.next().unwrap().min(rest.len()));
            all.sim[hostile].outgoing.extend_from_slice(part);
            all.sim.run_for(ms(waits.next().unwrap()));
            rest = after;
        }
        all.sim.run_for(ms(2000));
        all.sim.cut(hostile);
        all.check();
    }
}
