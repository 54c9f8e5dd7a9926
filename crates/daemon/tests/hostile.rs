//! Bad input over real sockets: the sender gets a typed error or loses its connection, a counter tells of it, and nothing
//! changes for anybody else.

mod common {
    pub(crate) mod daemon;
    pub(crate) mod ledger;
    pub(crate) mod raw;
    pub(crate) mod wait;
    pub(crate) mod websocket;
    pub(crate) mod witness;
}

use bytes::BytesMut;
use common::daemon::{Daemon, PATIENCE, at};
use common::raw::{Raw, advertise, name_of};
use common::wait::within;
use common::websocket::WebSocket;
use common::witness::Witness;
use nyx_client::{Item, Pattern, Value, subscribe};
use nyx_protocol::control::{self, ErrorCode, Hello, Kind};
use nyx_protocol::state::{ListOp, Patch};
use nyx_protocol::wire::{self, Header, codec};

/// A message that is refused, and what the hub says to it.
struct Bad {
    what: &'static str,
    bytes: Vec<u8>,
    code: ErrorCode,
}

impl Bad {
    const fn new(what: &'static str, bytes: Vec<u8>, code: ErrorCode) -> Self {
        Self { what, bytes, code }
    }
}

/// What ends a connection that was welcome.
fn fatal() -> Vec<Bad> {
    let event = |header: Header| header.to_bytes().to_vec();
    let mut unknown_flag = event(Header::data(wire::Kind::Event));
    unknown_flag[1] = 0x80;
    let mut reserved = event(Header::data(wire::Kind::Event));
    reserved[3] = 1;
    let stampless = Header { flags: wire::Flags::TIMESTAMP, length: 4, ..Header::data(wire::Kind::Event) };
    let mut protobuf = BytesMut::new();
    wire::put_message(&mut protobuf, Header::CONTROL, &[0xff; 40]);
    vec![
        Bad::new("garbage", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(), ErrorCode::Malformed),
        Bad::new("an unknown type", vec![9; 64], ErrorCode::Malformed),
        Bad::new("an unknown flag", unknown_flag, ErrorCode::Malformed),
        Bad::new("a reserved byte", reserved, ErrorCode::Malformed),
        Bad::new("a stamp that is none", event(stampless), ErrorCode::Malformed),
        Bad::new("no protobuf", protobuf.to_vec(), ErrorCode::Malformed),
        Bad::new(
            "a message of 4 GiB",
            event(Header { length: u32::MAX, ..Header::data(wire::Kind::Frame) }),
            ErrorCode::TooLarge,
        ),
        Bad::new(
            "a control message of 1 MiB",
            event(Header { length: 1 << 20, ..Header::CONTROL }),
            ErrorCode::TooLarge,
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_message_costs_the_sender_its_connection_and_is_counted() {
    let daemon = Daemon::start();
    let witness = Witness::of(&daemon).await;
    for bad in fatal() {
        let mut raw = Raw::welcome(daemon.native).await;
        raw.write(&bad.bytes).await;
        let error = raw.error().await.unwrap_or_else(|| panic!("{}: closed without a word", bad.what));
        assert_eq!((error.code(), error.fatal), (bad.code, true), "{}: {}", bad.what, error.message);
        raw.closed().await;
    }
    let [malformed, too_large] = [ErrorCode::Malformed, ErrorCode::TooLarge].map(|code| {
        let count = fatal().iter().filter(|bad| bad.code == code).count();
        (code, count)
    });
    for (code, count) in [malformed, too_large] {
        refused(&daemon, code, count).await;
    }
    println!("{} events undisturbed", witness.undisturbed().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_begin_with_a_good_hello_is_turned_away() {
    let daemon = Daemon::start();
    let witness = Witness::of(&daemon).await;
    let mut early = BytesMut::new();
    wire::put_message(&mut early, Header::data(wire::Kind::Event), b"no hello");
    let mut other = BytesMut::new();
    control::put(&mut other, advertise("a", Kind::Event));
    let mut version = BytesMut::new();
    control::put(
        &mut version,
        Hello { version: 99, name: String::new(), acknowledges: true, ..Default::default() },
    );
    for bad in [
        Bad::new("data first", early.to_vec(), ErrorCode::Unexpected),
        Bad::new("an advertisement first", other.to_vec(), ErrorCode::Unexpected),
        Bad::new("another version", version.to_vec(), ErrorCode::UnsupportedVersion),
        Bad::new("garbage", vec![0xee; 100], ErrorCode::Malformed),
    ] {
        let mut raw = Raw::connect(daemon.native).await;
        raw.write(&bad.bytes).await;
        let error = raw.error().await.unwrap_or_else(|| panic!("{}: closed without a word", bad.what));
        assert_eq!((error.code(), error.fatal), (bad.code, true), "{}: {}", bad.what, error.message);
        raw.closed().await;
        refused(&daemon, bad.code, 1).await;
    }
    println!("{} events undisturbed", witness.undisturbed().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_breaks_off_is_forgotten() {
    let daemon = Daemon::start();
    let witness = Witness::of(&daemon).await;
    let mut whole = BytesMut::new();
    wire::put_message(&mut whole, Header::data(wire::Kind::Event), &[7; 1000]);
    for length in [1, 15, 16, 17, 1015] {
        let mut raw = Raw::publisher(daemon.native, "broken", Kind::Event).await;
        raw.write(&whole[..length]).await;
    }
    let stats = daemon
        .stats("those have gone", |stats| at(stats, &["server", "connections"]) == Some(&Value::from(3)));
    let messages = at(&stats.await, &["topics", "broken", "messages"]).and_then(Value::as_i64);
    assert_eq!(messages, Some(0), "no part of a message is one");
    println!("{} events undisturbed", witness.undisturbed().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_names_and_wrong_kinds_are_refused_and_the_connection_stays() {
    let daemon = Daemon::start();
    let witness = Witness::of(&daemon).await;
    let mut raw = Raw::publisher(daemon.native, "an/event", Kind::Event).await;
    let long = "x".repeat(256);
    let names = ["", "/a", "a//b", "a/", "a/*", "**", "$nyx/stats", "$mine", "a\u{7}b", &long];
    for name in names {
        raw.say(control::Advertise { alias: 1, ..advertise(name, Kind::Event) }).await;
        let error = raw.error().await.expect("an error");
        assert_eq!(
            (error.code(), error.fatal, error.alias),
            (ErrorCode::BadTopic, false, Some(1)),
            "{name:?}"
        );
    }
    for kind in [Kind::State, Kind::Frame, Kind::Audio] {
        raw.say(control::Advertise { alias: 2, ..advertise("an/event", kind) }).await;
        let error = raw.error().await.expect("an error");
        assert_eq!(
            (error.code(), error.fatal, error.alias),
            (ErrorCode::KindMismatch, false, Some(2)),
            "{kind:?}"
        );
    }
    raw.send(Header::data(wire::Kind::Frame), b"no event").await;
    let error = raw.error().await.expect("an error");
    assert_eq!((error.code(), error.fatal, error.alias), (ErrorCode::KindMismatch, false, Some(0)));
    raw.send(Header { topic: 40, ..Header::data(wire::Kind::Event) }, b"to nowhere").await;
    let error = raw.error().await.expect("an error");
    assert_eq!((error.code(), error.fatal, error.alias), (ErrorCode::UnknownAlias, false, Some(40)));
    for pattern in ["", "a//b", "a/**x", "\u{0}"] {
        raw.say(control::Subscribe { id: 1, pattern: pattern.to_owned(), ..Default::default() }).await;
        let error = raw.error().await.expect("an error");
        assert_eq!((error.code(), error.subscription), (ErrorCode::BadTopic, Some(1)), "{pattern:?}");
    }
    // After all that it can still publish.
    raw.send(Header::data(wire::Kind::Event), b"good").await;
    raw.ping().await;
    let stats = daemon.stats("the good one", |stats| {
        at(stats, &["topics", "an/event", "messages"]) == Some(&Value::from(1))
    });
    let stats = stats.await;
    let count = |code| at(&stats, &["server", "refused", &name_of(code)]).and_then(Value::as_i64);
    assert_eq!(count(ErrorCode::BadTopic), Some(names.len() as i64 + 4));
    assert_eq!(count(ErrorCode::KindMismatch), Some(4));
    assert_eq!(count(ErrorCode::UnknownAlias), Some(1));
    println!("{} events undisturbed", witness.undisturbed().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_patch_that_does_not_fit_changes_nothing() {
    let daemon = Daemon::start();
    let client = daemon.client("reader").await;
    let mut raw = Raw::publisher(daemon.native, "world", Kind::State).await;
    let pattern = Pattern::new("world").expect("a pattern");
    let mut world = client.subscribe(pattern, subscribe::Options::default()).await.expect("a subscription");
    let header = Header { codec: codec::STATE_PATCH, ..Header::data(wire::Kind::State) };
    let good = Value::map([("list", Value::list([1, 2, 3])), ("n", Value::from(1))]);
    raw.send(header, &encoded(&Patch::Set(good.clone()))).await;

    let nested = (0..200).fold(Value::Null, |inside, _| Value::list([inside]));
    let splice = Patch::List(vec![ListOp::Splice { index: 9, removed: 1, inserted: vec![Value::Null] }]);
    let halfway = [("n", Patch::Set(Value::from(2))), ("list", splice)];
    let halfway = Patch::Map(halfway.into_iter().map(|(key, patch)| (key.to_owned(), patch)).collect());
    let mut deep = vec![0x00];
    deep.extend_from_slice(&[0x08, 1].repeat(100_000));
    for (what, payload) in [
        ("one that fits by half", encoded(&halfway)),
        ("a deep one", encoded(&Patch::Set(nested))),
        ("one as deep as a stack", deep),
        ("a huge one", encoded(&Patch::Set(Value::from("x".repeat(2 << 20))))),
        ("a list that says it has more than it has", vec![0x00, 0x08, 0xff, 0xff, 0xff, 0xff, 0x7f]),
        ("nothing", Vec::new()),
        ("garbage", vec![0xee; 50]),
    ] {
        raw.send(header, &payload).await;
        let error = raw.error().await.expect("an error");
        assert_eq!(
            (error.code(), error.fatal, error.alias),
            (ErrorCode::BadDocument, false, Some(0)),
            "{what}"
        );
    }
    let last = Value::map([("end", true)]);
    raw.send(header, &encoded(&Patch::merge(last))).await;
    raw.ping().await;
    let expected =
        Value::map([("end", Value::from(true)), ("list", Value::list([1, 2, 3])), ("n", Value::from(1))]);
    let seen = async {
        loop {
            let Item::State(state) = world.recv().await.expect("the subscription goes on") else { continue };
            let value = world.document(&state.topic.name).expect("a document").value();
            if value.get("end").is_some() {
                return value;
            }
            assert_eq!(value, good, "a patch that was refused changed something");
        }
    };
    assert_eq!(within(PATIENCE, "the last patch", seen).await, expected);
    refused(&daemon, ErrorCode::BadDocument, 7).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_websocket_that_sends_text_is_closed_as_such() {
    let daemon = Daemon::start();
    let witness = Witness::of(&daemon).await;
    let mut socket = WebSocket::connect(daemon.http, "/v1/ws").await;
    socket.send_text("hello").await;
    assert_eq!(socket.close_code().await, Some(1003));
    println!("{} events undisturbed", witness.undisturbed().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_falls_silent_is_closed_and_counted() {
    let daemon = Daemon::with_config("[limits]\nsilence = \"2s\"\n");
    let witness = Witness::of(&daemon).await;
    let mut raw = Raw::welcome(daemon.native).await;
    raw.say(control::Subscribe { id: 1, pattern: "**".to_owned(), ..Default::default() }).await;
    // It reads what comes, as the system of a half-open peer would take it, and answers nothing: no ping, no data.
    let error = raw.error().await.expect("an error");
    assert_eq!((error.code(), error.fatal), (ErrorCode::Timeout, true), "{}", error.message);
    raw.closed().await;
    refused(&daemon, ErrorCode::Timeout, 1).await;
    // Its statistics are there for nobody any more.
    daemon.stats("it has gone", |stats| at(stats, &["server", "connections"]) == Some(&Value::from(3))).await;
    println!("{} events undisturbed", witness.undisturbed().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_handshakes_disturb_nobody_and_end() {
    const PEERS: usize = 500;
    let daemon = Daemon::with_config("[limits]\nhandshake = \"1s\"\n");
    let witness = Witness::of(&daemon).await;
    let mut hello = BytesMut::new();
    control::put(
        &mut hello,
        Hello {
            version: control::VERSION,
            name: "slow".to_owned(),
            acknowledges: true,
            ..Default::default()
        },
    );
    let mut peers = Vec::new();
    for number in 0..PEERS {
        let mut raw = Raw::connect(daemon.native).await;
        // One in two says nothing, the others begin and never end.
        raw.write(&hello[..number % 2 * 5]).await;
        peers.push(raw);
    }
    let mut web = Vec::new();
    for _ in 0..PEERS / 5 {
        let mut raw = Raw::connect(daemon.http).await;
        raw.write(b"GET /v1/ws HTTP/1.1\r\nHost: loc").await;
        web.push(raw);
    }
    // There is room for others meanwhile.
    daemon.client("in time").await;
    for raw in &mut peers {
        let error = raw.error().await.expect("an error");
        assert_eq!((error.code(), error.fatal), (ErrorCode::Timeout, true), "{}", error.message);
        raw.closed().await;
    }
    for raw in &mut web {
        raw.hung_up().await;
    }
    refused(&daemon, ErrorCode::Timeout, PEERS).await;
    println!("{} events undisturbed", witness.undisturbed().await);
}

/// The hub counts that it refused so many messages for this reason.
async fn refused(daemon: &Daemon, code: ErrorCode, count: usize) {
    let name = name_of(code);
    let counted = |stats: &Value| {
        at(stats, &["server", "refused", &name]).and_then(Value::as_i64) == Some(count as i64)
    };
    daemon.stats(&format!("{count} times {name}"), counted).await;
}

fn encoded(patch: &Patch) -> Vec<u8> {
    let mut out = BytesMut::new();
    patch.encode(&mut out);
    out.to_vec()
}
