//! The native protocol in datagrams, over real sockets.

mod common {
    pub(crate) mod command;
    pub(crate) mod daemon;
    pub(crate) mod wait;
}

use std::collections::HashMap;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::command::Running;
use common::daemon::{Daemon, NYX, PATIENCE, at};
use nyx_client::publish::{Frame, Options};
use nyx_client::{
    Address, AudioFormat, Client, Config, ConnectError, ErrorCode, FrameCodec, Item, Name, Pattern, Samples,
    Subscription, Value, subscribe,
};
use nyx_netem::udp::Proxy;
use tokio::task::JoinHandle;

const UDP: &str = "[listen]\nudp = \"127.0.0.1:0\"\n";

async fn connect(address: Address) -> Client {
    let mut config = Config::default();
    config.connect_timeout = PATIENCE;
    config.backoff_max = Duration::from_millis(200);
    Client::connect(address, config).await.expect("the hub answers")
}

async fn watch(client: &Client, pattern: &str) -> Subscription {
    let pattern = Pattern::new(pattern).expect("a pattern");
    client.subscribe(pattern, subscribe::Options::default()).await.expect("a subscription")
}

fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

/// What a subscriber has seen of a topic.
#[derive(Default)]
struct Seen {
    items: u64,
    /// The sequence of the next, once one is known.
    next: Option<u64>,
}

impl Seen {
    /// Nothing comes twice, nothing comes back, and every hole was told.
    fn add(&mut self, first: u64, count: u64, is_gap: bool) {
        assert!(self.next.is_none_or(|next| next == first), "{first} after {:?}", self.next);
        self.next = Some(first + count);
        self.items += if is_gap { 0 } else { count };
    }
}

fn note(seen: &mut HashMap<String, Seen>, item: &Item) {
    let (topic, first, count, is_gap) = match item {
        Item::Event(event) => (&event.topic, event.sequence, 1, false),
        Item::Frame(frame) => (&frame.topic, frame.sequence, 1, false),
        Item::Audio(audio) => (&audio.topic, audio.sequence, 1, false),
        Item::Gap(gap) => (&gap.topic, gap.first_sequence, gap.total(), true),
        _ => return,
    };
    seen.entry(topic.name.to_string()).or_default().add(first, count, is_gap);
}

/// One publishes, the other reads, at these addresses of a hub.
async fn everything_comes_through(publisher: Address, subscriber: Address) {
    let (publisher, reader) = (connect(publisher).await, connect(subscriber).await);
    let options = Options::default;
    let state = publisher.state(name("all/state"), options()).await.expect("a topic");
    let events = publisher.events(name("all/events"), options()).await.expect("a topic");
    let frames = publisher.frames(name("all/frames"), options()).await.expect("a topic");
    let format = AudioFormat { sample_rate: 48_000, channels: 2 };
    let audio = publisher.audio(name("all/audio"), format, Samples::S16Le, options()).await.expect("a topic");
    let mut all = watch(&reader, "all/*").await;

    let send = async {
        for n in 0..100i64 {
            let filler = "x".repeat(5_000);
            state.set(Value::map([("n", Value::from(n)), ("filler", filler.into())])).await.expect("sent");
            events.send(format!("event {n}").into_bytes()).await.expect("sent");
        }
        publisher.flush().await.expect("all was taken in");
        // What may get lost goes on until enough has come.
        for n in (0..=u8::MAX).cycle() {
            frames.send(Frame::key(FrameCodec::Jpeg, vec![n; 20_000])).await.expect("sent");
            audio.send(vec![n; 3_840], None).await.expect("sent");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let receive = async {
        let (mut seen, mut last) = (HashMap::<String, Seen>::new(), None);
        let has = |seen: &HashMap<String, Seen>, topic, items| {
            seen.get(topic).is_some_and(|seen: &Seen| seen.items >= items)
        };
        while last != Some(99)
            || !(has(&seen, "all/events", 100) && has(&seen, "all/frames", 20) && has(&seen, "all/audio", 50))
        {
            note(&mut seen, &all.recv().await.expect("it goes on"));
            last =
                all.document(&name("all/state")).and_then(|document| document.get(&["n"])?.leaf()?.as_i64());
        }
        assert_eq!(seen["all/events"].items, 100);
    };
    tokio::select! {
        () = send => {}
        received = tokio::time::timeout(3 * PATIENCE, receive) => received.expect("everything comes through"),
    }
    assert_eq!((reader.stats().reconnects, publisher.stats().reconnects), (0, 0));
    publisher.close().await.expect("it closes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_kinds_travel_both_ways() {
    let hub = Daemon::with_config(UDP);
    everything_comes_through(hub.udp(), hub.udp()).await;
}

/// A path to the hub, until the task ends, and its near end.
fn bad_path(hub: &Daemon, loss: &str, reorder: Option<&str>) -> (Address, JoinHandle<()>) {
    let upstream = SocketAddr::from(([127, 0, 0, 1], hub.udp().port()));
    let mut conditions = nyx_netem::path::Conditions::default();
    conditions.delay = Duration::from_millis(10);
    conditions.loss = loss.parse().expect("a share");
    conditions.reorder = reorder.map(|share| share.parse().expect("a share"));
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let proxy = Proxy::bind(any, upstream, conditions.into()).expect("the proxy listens");
    let between = Address::from(proxy.local_addr()).with_udp();
    (between, tokio::spawn(async move { match proxy.run().await {} }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_kinds_travel_both_ways_though_the_path_loses_and_reorders() {
    let hub = Daemon::with_config(UDP);
    let (between, path) = bad_path(&hub, "5%", Some("2%:10"));
    everything_comes_through(between.clone(), between).await;
    path.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_lost_shows_while_the_connection_lasts() {
    let hub = Daemon::with_config(UDP);
    let (between, path) = bad_path(&hub, "20%", None);
    let (publisher, reader) = (connect(hub.udp()).await, connect(between).await);
    let log = publisher.events(name("log"), Options::default()).await.expect("a topic");
    let _watched = watch(&reader, "log").await;
    let send = async {
        for n in 0u64.. {
            log.send_text(n.to_string()).await.expect("sent");
            // One at a time, so that each takes a datagram.
            publisher.flush().await.expect("the hub has it");
        }
    };
    let is_seen = |stats: &Value| {
        let of = |what: &str| at(stats, &["server", "datagrams", what]).and_then(Value::as_i64).unwrap_or(0);
        of("lost") > 5 && of("sent") > of("lost") && of("received") > 0
    };
    tokio::select! {
        () = send => {}
        _ = hub.stats("what was lost", is_seen) => {}
    }
    assert_eq!((publisher.stats().reconnects, reader.stats().reconnects), (0, 0));
    assert!(reader.stats().connected);
    path.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_commands_take_such_addresses() {
    let hub = Daemon::with_config(&format!("{UDP}[[topic]]\nname = \"world\"\nkind = \"state\"\n"));
    let server = hub.udp().to_string();
    let nyx = |command: &str| {
        let mut nyx = Command::new(NYX);
        nyx.args([command, "--server", &server, "world"]);
        nyx
    };
    let subscriber = Running::start(nyx("sub").args(["--json", "--count", "1"]).stdin(Stdio::null()));
    let mut publisher = nyx("pub").stdin(Stdio::piped()).spawn().expect("it starts");
    publisher.stdin.take().expect("a pipe").write_all(b"{\"players\": 3}\n").expect("it reads");
    assert!(publisher.wait().expect("it ends").success());
    let lines = subscriber.succeeded().await;
    let received = lines.iter().find_map(|line| line["topics"]["world"]["received"].as_u64());
    assert_eq!(received, Some(1), "{lines:?}");
    // That somebody has gone would be noticed by its silence, but not in this time.
    let is_by_udp = |one: &Value| at(one, &["transport"]).and_then(Value::as_str) == Some("udp");
    let have_gone = |stats: &Value| {
        let all = at(stats, &["subscribers"]).and_then(Value::as_map);
        all.is_some_and(|all| !all.values().any(is_by_udp))
    };
    hub.stats("who was there by datagrams has said goodbye", have_gone).await;
}

/// A hub that can be started again where it was.
fn on_a_port_of_its_own() -> Daemon {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let port = socket.local_addr().expect("bound").port();
    drop(socket);
    Daemon::with_config(&format!("[listen]\nudp = \"127.0.0.1:{port}\"\n"))
}

/// Receives until the document `a` says `{"n": wanted}`; says whether a reconnect was told before.
async fn until_document(watched: &mut Subscription, wanted: i64) -> bool {
    let mut has_reconnected = false;
    let until = async {
        loop {
            has_reconnected |= matches!(watched.recv().await.expect("it goes on"), Item::Reconnected(_));
            let document = watched.document(&name("a"));
            if document.and_then(|document| document.get(&["n"])?.leaf()?.as_i64()) == Some(wanted) {
                return;
            }
        }
    };
    // Silence would take 30 s to be noticed; that the new hub does not know the connection shows at once.
    tokio::time::timeout(2 * PATIENCE, until).await.expect("the version comes");
    has_reconnected
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_the_stream_may_be_longer_than_its_window() {
    let hub = Daemon::with_config(UDP);
    let (publisher, reader) = (connect(hub.udp()).await, connect(hub.udp()).await);
    let mut watched = watch(&reader, "a").await;
    let events = publisher.events(name("a"), Options::default()).await.expect("a topic");
    for length in [5_000_000, 1, 100_000] {
        events.send(vec![7; length]).await.expect("sent");
    }
    // The topic keeps 8 MiB, memory that nothing is in included.
    for length in [5_000_000, 1, 100_000] {
        let (_, text) = next_event(&mut watched).await;
        assert_eq!(text.len(), length);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_hub_allows_is_not_too_large_for_its_subscribers() {
    let hub =
        Daemon::with_config(&format!("{UDP}[limits]\nmessage_bytes = \"20MiB\"\ntopic_bytes = \"32MiB\"\n"));
    let (publisher, reader) = (connect(hub.native.into()).await, connect(hub.udp()).await);
    let mut watched = watch(&reader, "a").await;
    let mut options = Options::default();
    // However busy the machine.
    options.max_age = Some(PATIENCE);
    let frames = publisher.frames(name("a"), options).await.expect("a topic");
    // A client takes 16 MiB from a hub that says nothing of its own limit.
    let payload = vec![7; 17 << 20].into();
    let frame = Frame { payload, codec: FrameCodec::Jpeg, keyframe: true, unix_micros: None };
    frames.send(frame).await.expect("sent");
    let item = common::wait::within(PATIENCE, "the frame", watched.recv()).await.expect("it goes on");
    assert!(matches!(&item, Item::Frame(frame) if frame.payload.len() == 17 << 20), "{item:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_that_was_killed_is_found_again_and_counts_anew() {
    let mut hub = on_a_port_of_its_own();
    let (publisher, reader) = (connect(hub.udp()).await, connect(hub.udp()).await);
    let state = publisher.state(name("a"), Options::default()).await.expect("a topic");
    let log = publisher.events(name("log"), Options::default()).await.expect("a topic");
    let (mut watched, mut logs) = (watch(&reader, "a").await, watch(&reader, "log").await);
    for n in 0..20 {
        state.set(Value::map([("n", n)])).await.expect("sent");
        log.send_text(format!("before {n}")).await.expect("sent");
    }
    until_document(&mut watched, 19).await;
    for n in 0..20 {
        assert_eq!(next_event(&mut logs).await, (n, format!("before {n}")));
    }

    hub.kill();
    // What is said while nobody listens counts, too.
    state.set(Value::map([("n", 20)])).await.expect("kept");
    hub.restart();
    assert!(until_document(&mut watched, 20).await, "that it was away is told");
    state.set(Value::map([("n", 21)])).await.expect("sent");
    until_document(&mut watched, 21).await;
    publisher.flush().await.expect("the new hub has what it was sent");
    log.send_text("after").await.expect("sent");
    // Of another epoch: from the beginning, and no gap for numbers that this hub never gave out.
    assert_eq!(next_event(&mut logs).await, (0, "after".to_owned()));
    assert!(reader.stats().reconnects > 0 && publisher.stats().reconnects > 0);
}

/// The next event, before which nothing may come but that there was a reconnect.
async fn next_event(log: &mut Subscription) -> (u64, String) {
    loop {
        match common::wait::within(2 * PATIENCE, "the next event", log.recv()).await.expect("it goes on") {
            Item::Event(event) => {
                return (event.sequence, String::from_utf8_lossy(&event.payload).into_owned());
            }
            Item::Reconnected(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_that_has_gone_is_named_and_asked_again_until_it_is_back() {
    let mut hub = on_a_port_of_its_own();
    let mut config = Config::default();
    config.connect_timeout = Duration::from_millis(300);
    config.backoff_max = Duration::from_millis(100);
    config.wait_for_server = true;
    let client = Client::connect(hub.udp(), config.clone()).await.expect("the hub answers");
    let state = client.state(name("a"), Options::default()).await.expect("a topic");
    let mut watched = watch(&client, "a").await;
    state.set(Value::map([("n", 1)])).await.expect("sent");
    until_document(&mut watched, 1).await;

    let address = hub.udp();
    hub.terminate();
    assert!(hub.ended().await.success());
    common::wait::eventually(PATIENCE, "why it is not there", async || {
        let stats = client.stats();
        stats.last_error.filter(|why| !stats.connected && why.contains("nothing came back from udp://"))
    })
    .await;
    config.wait_for_server = false;
    let error = Client::connect(address.clone(), config).await.expect_err("nobody is there");
    assert!(matches!(&error, ConnectError::NoAnswer(whom) if *whom == address), "{error}");
    state.set(Value::map([("n", 2)])).await.expect("kept");
    hub.restart();
    assert!(until_document(&mut watched, 2).await, "that it was away is told");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_no_token_is_refused() {
    let tokens = tempfile::NamedTempFile::with_suffix(".toml").expect("a temporary file");
    let hub = Daemon::with_config(&format!("{UDP}[auth]\ntokens = \"{}\"\n", tokens.path().display()));
    let error = Client::connect(hub.udp(), Config::default()).await.expect_err("it has no token");
    match error {
        ConnectError::Refused(refusal) => assert_eq!(refusal.code, ErrorCode::Unauthorized),
        other => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_ends_in_order_and_says_so() {
    let mut hub = Daemon::with_config(UDP);
    let reader = connect(hub.udp()).await;
    let _watched = watch(&reader, "**").await;
    hub.terminate();
    assert!(hub.ended().await.success());
    common::wait::eventually(PATIENCE, "the client hears the goodbye", async || {
        let stats = reader.stats();
        (!stats.connected).then(|| stats.last_error.unwrap_or_default()).filter(|why| !why.is_empty())
    })
    .await;
}

#[test]
fn it_does_not_listen_beyond_this_machine_unless_that_is_meant() {
    let output = Command::new(NYX).args(["serve", "--udp", "0.0.0.0:0"]).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("not encrypted") && said.contains("--insecure"), "{said}");
}
