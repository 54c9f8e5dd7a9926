//! What other hubs forward: it says which hubs it has passed, comes to each of them once, and who asks is told.

use bytes::{Bytes, BytesMut};
use nyx_core::Instant;
use nyx_hub::{Config, Hub, Peer, Session, Transport};
use nyx_protocol::control::{self, Advertise, Body, ErrorCode, Hello};
use nyx_protocol::state::{Patch, Value};
use nyx_protocol::topic::Name;
use nyx_protocol::wire::{self, HEADER_LEN, Header, Kind, Messages, codec};

const NOW: Instant = Instant::ZERO;

fn hub() -> Hub {
    let mut config = Config::default();
    config.epoch_seed = Some(7);
    Hub::new(config)
}

fn session(hub: &Hub) -> Session {
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    hub.session(NOW, Peer::new(address, Transport::Tcp)).unwrap()
}

fn publisher(hub: &Hub) -> Session {
    let mut session = session(hub);
    say(&mut session, Hello { version: 1, acknowledges: true, ..Hello::default() });
    session
}

fn say(session: &mut Session, body: impl Into<Body>) {
    let mut out = BytesMut::new();
    control::put(&mut out, body);
    session.handle_input(NOW, &mut out).unwrap();
}

fn advertise(session: &mut Session, alias: u32, topic: &str, kind: Kind, passed: &[u64]) {
    let (topic, kind, passed) = (topic.to_owned(), control::Kind::from(kind).into(), passed.to_vec());
    say(session, Advertise { alias, topic, kind, passed, ..Advertise::default() });
}

fn publish(session: &mut Session, alias: u32, texts: &[&str]) {
    let mut out = BytesMut::new();
    for text in texts {
        wire::put_message(&mut out, Header { topic: alias, ..Header::data(Kind::Event) }, text.as_bytes());
    }
    session.handle_input(NOW, &mut out).unwrap();
}

fn set(session: &mut Session, alias: u32, key: &str, value: i64) {
    let mut payload = BytesMut::new();
    Patch::merge(Value::map([(key, value)])).encode(&mut payload);
    let header = Header { topic: alias, codec: codec::STATE_PATCH, ..Header::data(Kind::State) };
    let mut out = BytesMut::new();
    wire::put_message(&mut out, header, &payload);
    session.handle_input(NOW, &mut out).unwrap();
}

/// A session that reads everything of `topic`, as a forwarder does.
fn follower(hub: &Hub, topic: &str) -> Session {
    let mut session = session(hub);
    session.open_unacknowledged("follower");
    session.tell_passed();
    session.subscribe_for(NOW, topic.parse().unwrap(), None);
    session
}

/// What a session is sent: which hubs what follows has passed, and texts.
#[derive(Debug, PartialEq)]
enum Told {
    Passed(Vec<u64>),
    Text(String),
    Document,
}

fn told(session: &mut Session) -> Vec<Told> {
    let mut all = Vec::new();
    loop {
        let mut out = Vec::new();
        session.poll_transmit(NOW, &mut out);
        if out.is_empty() {
            return all;
        }
        out.into_iter().for_each(|chunk| read(chunk, &mut all));
    }
}

fn read(mut chunk: Bytes, all: &mut Vec<Told>) {
    while let Some(head) = chunk.first_chunk::<HEADER_LEN>() {
        let header = Header::parse(head).unwrap();
        let message = chunk.split_to(header.message_len());
        match header.kind {
            None => {
                if let Some(Body::Passed(passed)) = control::parse(&message).unwrap() {
                    all.push(Told::Passed(passed.hubs));
                }
            }
            Some(Kind::State) => all.push(Told::Document),
            Some(_) => {
                let payload = Messages::new(&message).next().unwrap().payload;
                all.push(Told::Text(String::from_utf8(payload.to_vec()).unwrap()));
            }
        }
    }
}

fn texts<const N: usize>(texts: [&str; N]) -> impl Iterator<Item = Told> {
    texts.map(|text| Told::Text(text.to_owned())).into_iter()
}

#[test]
fn what_has_been_here_or_has_passed_too_many_hubs_is_refused_by_its_topic() {
    let hub = hub();
    let mut publisher = publisher(&hub);
    advertise(&mut publisher, 0, "a", Kind::Event, &[5, hub.id(), 6]);
    advertise(&mut publisher, 1, "b", Kind::Event, &[5; 17]);
    advertise(&mut publisher, 2, "c", Kind::Event, &[5; 16]);
    publish(&mut publisher, 0, &["one", "two"]);
    publish(&mut publisher, 2, &["three"]);
    let refused = |code| {
        let refused = hub.stats(NOW).refused.into_iter();
        refused.filter(|(each, _)| *each == code).map(|(_, count)| count).sum::<u64>()
    };
    // Two advertisements, and two items.
    assert_eq!(refused(ErrorCode::Loop), 4);
    let topics: Vec<_> = hub.topics().iter().map(|topic| topic.name().to_string()).collect();
    assert_eq!(topics, ["c"]);
    assert!(hub.trail(&[hub.id()]).is_err() && hub.trail(&[1; 17]).is_err() && hub.trail(&[]).is_ok());
}

#[test]
fn who_asks_is_told_in_front_of_each_change_and_nobody_else_is() {
    let hub = hub();
    let (mut here, mut there) = (publisher(&hub), publisher(&hub));
    advertise(&mut here, 0, "log", Kind::Event, &[]);
    advertise(&mut there, 0, "log", Kind::Event, &[8, 9]);
    let (mut follower, mut other) = (follower(&hub, "log"), session(&hub));
    other.open_unacknowledged("other");
    other.subscribe_for(NOW, "log".parse().unwrap(), None);
    publish(&mut here, 0, &["one", "two"]);
    publish(&mut there, 0, &["three", "four"]);
    publish(&mut there, 0, &["five"]);
    publish(&mut here, 0, &["six"]);
    // With another advertisement the alias begins anew.
    advertise(&mut there, 0, "log", Kind::Event, &[9]);
    publish(&mut there, 0, &["seven"]);
    let mut expected: Vec<_> = texts(["one", "two"]).collect();
    expected.push(Told::Passed(vec![8, 9]));
    expected.extend(texts(["three", "four", "five"]));
    expected.push(Told::Passed(vec![]));
    expected.extend(texts(["six"]));
    expected.push(Told::Passed(vec![9]));
    expected.extend(texts(["seven"]));
    assert_eq!(told(&mut follower), expected);
    assert_eq!(
        told(&mut other),
        texts(["one", "two", "three", "four", "five", "six", "seven"]).collect::<Vec<_>>()
    );
}

#[test]
fn of_a_document_that_several_write_it_is_told_what_all_that_is_new_has_passed() {
    let hub = hub();
    let (mut here, mut there) = (publisher(&hub), publisher(&hub));
    advertise(&mut here, 0, "world", Kind::State, &[]);
    advertise(&mut there, 0, "world", Kind::State, &[8]);
    let mut follower = follower(&hub, "world");
    set(&mut there, 0, "a", 1);
    set(&mut there, 0, "a", 2);
    assert_eq!(told(&mut follower), [Told::Passed(vec![8]), Told::Document]);
    set(&mut there, 0, "a", 3);
    set(&mut here, 0, "b", 1);
    assert_eq!(told(&mut follower), [Told::Passed(vec![0]), Told::Document]);
    set(&mut here, 0, "b", 2);
    assert_eq!(told(&mut follower), [Told::Passed(vec![]), Told::Document]);
    // It is so already: nobody is told anything, and it is no change of what follows.
    set(&mut there, 0, "b", 2);
    set(&mut here, 0, "b", 3);
    assert_eq!(told(&mut follower), [Told::Document]);
}

#[test]
fn what_an_adapter_publishes_has_passed_what_it_says() {
    let hub = hub();
    let (mut events, mut states) = (follower(&hub, "log"), follower(&hub, "world"));
    let trail = hub.trail(&[3]).unwrap();
    let log = hub.topic_for(&Name::new("log").unwrap(), Kind::Event).unwrap();
    hub.publish_forwarded(NOW, &log, codec::EVENT_TEXT, None, b"one", &trail).unwrap();
    hub.publish(NOW, &log, codec::EVENT_TEXT, None, b"two").unwrap();
    let mut expected = vec![Told::Passed(vec![3])];
    expected.extend(texts(["one"]));
    expected.push(Told::Passed(vec![]));
    expected.extend(texts(["two"]));
    assert_eq!(told(&mut events), expected);
    let world = hub.topic_for(&Name::new("world").unwrap(), Kind::State).unwrap();
    hub.patch_forwarded(&world, &Patch::Set(Value::map([("a", 1)])), &trail).unwrap();
    assert_eq!(told(&mut states), [Told::Passed(vec![3]), Told::Document]);
}
