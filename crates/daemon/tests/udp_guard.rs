//! Over datagrams all that keeps peers in their bounds holds as over TCP: tokens, limits, the doorstep. Real sockets, a real daemon.

mod common;

use std::net::SocketAddr;

use common::guarded::{Guarded, Minted, connect};
use common::{Connection, PATIENCE, Server, udp_peer::Stranger};
use nyx_client::publish::Options;
use nyx_client::{
    Address, AdvertiseError, Client, ConnectError, ErrorCode, Item, Name, Pattern, Refusal, SubscribeError,
    Subscription, Value, subscribe,
};
use nyx_transport::udp::connection::Reason;

const UDP: &str = "[listen]\nudp = \"127.0.0.1:0\"\n";

fn name(topic: &str) -> Name {
    Name::new(topic).expect("a name")
}

async fn watch(client: &Client, pattern: &str) -> Subscription {
    try_watch(client, pattern).await.expect("a subscription")
}

async fn try_watch(client: &Client, pattern: &str) -> Result<Subscription, SubscribeError> {
    client.subscribe(Pattern::new(pattern).expect("a pattern"), subscribe::Options::default()).await
}

async fn next(subscription: &mut Subscription) -> Item {
    let item = tokio::time::timeout(PATIENCE, subscription.recv()).await.expect("something comes in time");
    item.expect("the subscription goes on")
}

/// The next event, which nothing but a reconnect may precede.
async fn next_event(subscription: &mut Subscription) -> (String, Vec<u8>) {
    loop {
        match next(subscription).await {
            Item::Event(event) => return (event.topic.name.to_string(), event.payload.to_vec()),
            Item::Reconnected(_) | Item::Refused(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// Who is refused at the door hears why.
fn refusal(outcome: Result<Client, ConnectError>) -> Refusal {
    match outcome {
        Err(ConnectError::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

fn says(hub: &Server, what: &str) {
    hub.until(&format!("a line of the log with `{what}`"), || hub.log().contains(what).then_some(()));
}

fn udp(hub: &Server) -> Address {
    Address::from(hub.udp()).with_udp()
}

/// The page of metrics, over a connection that was there before limits were reached.
fn metrics(connection: &mut Connection) -> String {
    connection.send("GET", "/metrics", &[], b"");
    connection.response().text().to_owned()
}

/// A series of which each repetition of a datagram may count once more: who hears nothing asks again.
fn counted_at_least(metrics: &str, series: &str, least: u64) -> bool {
    let values = metrics.lines().filter_map(|line| line.strip_prefix(series)?.trim().parse::<u64>().ok());
    values.max().is_some_and(|value| value >= least)
}

fn counted(metrics: &str, line: &str) -> bool {
    metrics.lines().any(|found| found == line)
}

/// A hub that asks for tokens, and takes datagrams.
struct Hub(Guarded);

impl Hub {
    fn start(more: &str) -> Self {
        Self(Guarded::start(&format!("{UDP}{more}")))
    }

    async fn client(&self, token: &Minted) -> Client {
        connect(udp(&self.0.server), &token.token).await.expect("a good token")
    }

    async fn by_tcp(&self, token: &Minted) -> Client {
        self.0.connect(&token.token).await.expect("a good token")
    }

    fn metrics(&self, token: &Minted) -> String {
        self.0.get("/metrics", &token.token).text().to_owned()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_is_revoked_ends_its_sessions_and_says_so_while_others_go_on() {
    let hub = Hub::start("");
    let doomed = hub.0.mint(&["--publish", "log", "--subscribe", "chat"]);
    let writer = hub.0.mint(&["--publish", "chat", "--subscribe", "chat", "--subscribe", "$nyx/**"]);
    let (publisher, other) = (hub.client(&writer).await, hub.by_tcp(&writer).await);
    let chat = publisher.events(name("chat"), Options::default()).await.expect("a topic");
    let client = hub.client(&doomed).await;
    let log = client.events(name("log"), Options::default()).await.expect("a topic");
    let (mut ended, mut others) = (watch(&client, "chat").await, watch(&other, "chat").await);
    chat.send_text("before").await.expect("it is taken");
    assert_eq!(next_event(&mut ended).await.1, b"before");

    hub.0.revoke(&doomed.id);
    match next(&mut ended).await {
        Item::Refused(refusal) => assert_eq!(refusal.code, ErrorCode::Unauthorized, "{refusal}"),
        other => panic!("{other:?}"),
    }
    hub.0.server.until("it is not let in again", || {
        client.stats().last_error.filter(|error| error.contains("does not take the token"))
    });
    let told = client.stats().refusal.expect("it knows why");
    assert_eq!(told.code, ErrorCode::Unauthorized);
    // Nothing of what it would publish now gets anywhere, and nothing of what is published comes to it.
    log.send_text("nobody hears this").await.expect("it waits for a connection");
    chat.send_text("after").await.expect("it is taken");
    for expected in ["before", "after"] {
        assert_eq!(next_event(&mut others).await.1, expected.as_bytes());
    }
    assert_eq!((other.stats().reconnects, publisher.stats().reconnects), (0, 0));
    let metrics = hub.metrics(&writer);
    for line in ["nyx_sessions_expelled_total 1", "nyx_topic_messages_total{topic=\"log\"} 0"] {
        assert!(counted(&metrics, line), "{line} in {metrics}");
    }
    assert!(metrics.contains("nyx_tokens_refused_total{reason="), "{metrics}");
    says(&hub.0.server, "token: ");
    let nothing = tokio::time::timeout(std::time::Duration::ZERO, ended.recv()).await;
    assert!(!matches!(nothing, Ok(Ok(Item::Event(_)))), "{nothing:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_token_may_not_any_more_does_not_reach_its_bearer_who_keeps_the_rest() {
    let hub = Hub::start("");
    let reader = hub.0.mint(&["--subscribe", "open", "--subscribe", "closing"]);
    let writer = hub.0.mint(&["--publish", "*", "--subscribe", "*"]);
    let (client, publisher) = (hub.client(&reader).await, hub.client(&writer).await);
    let open = publisher.events(name("open"), Options::default()).await.expect("a topic");
    let closing = publisher.events(name("closing"), Options::default()).await.expect("a topic");
    let mut all = watch(&client, "*").await;
    for topic in [&closing, &open] {
        topic.send_text("first").await.expect("it is taken");
    }
    let mut seen = [next_event(&mut all).await.0, next_event(&mut all).await.0];
    seen.sort();
    assert_eq!(seen, ["closing", "open"]);

    let file = std::fs::read_to_string(hub.0.tokens()).expect("the token file");
    let changed = file.replace("\"closing\"", "\"elsewhere\"");
    assert_ne!(changed, file);
    std::fs::write(hub.0.tokens(), changed).expect("the token file");
    hub.0.server.until("it comes back", || (client.stats().reconnects > 0).then_some(()));
    closing.send_text("second").await.expect("it is taken");
    publisher.flush().await.expect("the hub has it");
    open.send_text("second").await.expect("it is taken");
    assert_eq!(next_event(&mut all).await, ("open".to_owned(), b"second".to_vec()));
    let refused = try_watch(&client, "closing").await;
    assert!(matches!(&refused, Err(SubscribeError::Refused(no)) if no.code == ErrorCode::Forbidden));
    assert_eq!(publisher.stats().reconnects, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_token_does_not_allow_is_refused_counted_and_logged_and_the_rest_goes_on() {
    let hub = Hub::start("");
    let viewer = hub.0.mint(&["--subscribe", "chat/*", "--subscribe", "$nyx/**"]);
    let client = hub.client(&viewer).await;
    let refused = try_watch(&client, "secret/**").await;
    assert!(matches!(&refused, Err(SubscribeError::Refused(no)) if no.code == ErrorCode::Forbidden));
    let refused = client.events(name("chat/1"), Options::default()).await;
    assert!(matches!(&refused, Err(AdvertiseError::Refused(no)) if no.code == ErrorCode::Forbidden));
    watch(&client, "chat/*").await;
    assert_eq!(client.stats().reconnects, 0);
    let metrics = hub.metrics(&viewer);
    assert!(counted(&metrics, "nyx_refused_total{code=\"forbidden\"} 2"), "{metrics}");
    says(&hub.0.server, "subscribe secret/**");
    says(&hub.0.server, "publish chat/1");
    assert!(!hub.0.server.log().contains(&viewer.token), "no token is logged");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_guesses_tokens_is_held_up() {
    let hub = Hub::start("[limits]\nfailures_per_peer = \"1/min burst 3\"\n");
    let good = hub.0.mint(&["--all"]);
    let inside = hub.client(&good).await;
    let bad = "nyx_000000000000_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    for expected in [ErrorCode::Unauthorized; 3].into_iter().chain([ErrorCode::Limit]) {
        assert_eq!(refusal(connect(udp(&hub.0.server), bad).await).code, expected);
    }
    says(&hub.0.server, "too many bad tokens");
    // Who is in stays in, and may ask for the figures in the statistics alone: HTTP is the same address.
    watch(&inside, "chat").await;
    assert_eq!(inside.stats().reconnects, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_connects_too_often_is_told_so_and_who_is_connected_goes_on() {
    let hub = Server::configured(&format!("{UDP}[limits]\nconnections_per_peer = \"1/min burst 3\"\n"));
    // One for the page of metrics, two for clients.
    let mut page = Connection::open(hub.http());
    metrics(&mut page);
    let (publisher, reader) = (connect(udp(&hub), "").await.unwrap(), connect(udp(&hub), "").await.unwrap());
    for _ in 0..2 {
        let refused = refusal(connect(udp(&hub), "").await);
        assert_eq!(refused.code, ErrorCode::Limit);
        assert!(refused.message.contains("limits.connections_per_peer"), "{refused}");
    }
    says(&hub, "connects too often");
    let chat = publisher.events(name("chat"), Options::default()).await.expect("a topic");
    let mut watched = watch(&reader, "chat").await;
    chat.send_text("hello").await.expect("it is taken");
    assert_eq!(next_event(&mut watched).await.1, b"hello");
    let metrics = metrics(&mut page);
    for series in [
        "nyx_limited_total{limit=\"connections_per_peer\"}",
        "nyx_connections_refused_total{transport=\"udp\"}",
    ] {
        assert!(counted_at_least(&metrics, series, 2), "{series} in {metrics}");
    }
    assert!(counted(&metrics, "nyx_connections_accepted_total{transport=\"udp\"} 2"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_that_is_full_says_so_and_lets_in_who_comes_when_there_is_room() {
    let hub = Server::configured(&format!("{UDP}[limits]\nsessions = 2\n"));
    let (first, second) = (connect(udp(&hub), "").await.unwrap(), connect(udp(&hub), "").await.unwrap());
    let refused = refusal(connect(udp(&hub), "").await);
    assert_eq!(refused.code, ErrorCode::Limit);
    assert!(refused.message.contains("limits.sessions"), "{refused}");
    says(&hub, "there are 2 sessions");
    let page = hub.get("/metrics").text().to_owned();
    assert!(counted_at_least(&page, "nyx_connections_refused_total{transport=\"udp\"}", 1), "{page}");
    assert!(counted(&page, "nyx_sessions{transport=\"udp\"} 2.0"), "{page}");
    first.close().await.expect("it closes");
    let mut config = nyx_client::Config::default();
    config.wait_for_server = true;
    config.connect_timeout = PATIENCE;
    let third = Client::connect(udp(&hub), config).await.expect("there is room");
    watch(&third, "chat").await;
    assert_eq!(second.stats().reconnects, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_publishes_too_much_is_slowed_loses_nothing_and_slows_nobody_else() {
    let hub = Server::configured(&format!("{UDP}[limits]\npublish_messages = \"100/s burst 10\"\n"));
    let [eager, modest, reader] =
        [connect(udp(&hub), "").await, connect(udp(&hub), "").await, connect(udp(&hub), "").await]
            .map(|client| client.expect("the hub answers"));
    let flood = eager.events(name("flood"), Options::default()).await.expect("a topic");
    let calm = modest.events(name("calm"), Options::default()).await.expect("a topic");
    let (mut floods, mut calms) = (watch(&reader, "flood").await, watch(&reader, "calm").await);
    // A second's worth.
    flood.send_batch((0..100).map(|n| n.to_string())).await.expect("it is taken");
    for n in 0..10 {
        calm.send_text(n.to_string()).await.expect("it is taken");
        assert_eq!(next_event(&mut calms).await.1, n.to_string().into_bytes());
    }
    for n in 0..100 {
        assert_eq!(next_event(&mut floods).await.1, n.to_string().into_bytes(), "in order, without a gap");
    }
    let page = hub.get("/metrics").text().to_owned();
    assert!(counted_at_least(&page, "nyx_publishers_slowed_total", 1), "{page}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_has_one_quota_by_datagrams_and_by_http() {
    for (limit, what) in [
        ("publish_messages_per_peer = \"1/min burst 5\"", 1),
        ("publish_bytes_per_peer = \"1/min burst 300\"", 50),
    ] {
        let hub = Server::configured(&format!("{UDP}[limits]\n{limit}\n"));
        let (publisher, reader) =
            (connect(udp(&hub), "").await.unwrap(), connect(udp(&hub), "").await.unwrap());
        let topic = publisher.events(name("a"), Options::default()).await.expect("a topic");
        let mut watched = watch(&reader, "a").await;
        // Five messages, or five times 50 bytes and a header of 16.
        let payload = vec![b'.'; what];
        for _ in 0..5 {
            topic.send(payload.clone()).await.expect("it is taken");
        }
        let through = if what == 1 { 5 } else { 4 };
        for _ in 0..through {
            next_event(&mut watched).await;
        }
        let refused = hub.post("/v1/topics/a", "text/plain", &[b'.'; 100]);
        assert_eq!(refused.error(), (429, "rate_limited".to_owned()), "{limit}");
        assert!(refused.text().contains(limit.split(' ').next().unwrap()), "{}", refused.text());
        topic.send(payload).await.expect("it waits");
        hub.until("the publisher is slowed", || {
            counted_at_least(hub.get("/metrics").text(), "nyx_publishers_slowed_total", 1).then_some(())
        });
        let page = hub.get("/metrics").text().to_owned();
        assert!(counted(&page, &format!("nyx_topic_messages_total{{topic=\"a\"}} {through}")), "{page}");
        assert_eq!(publisher.stats().reconnects, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_topic_one_alias_and_one_subscription_too_many_are_refused_and_the_session_goes_on() {
    for (limit, aliases) in [("topics = 3", 2), ("aliases = 2", 2)] {
        let hub = Server::configured(&format!("{UDP}[limits]\n{limit}\nsubscriptions = 1\n"));
        let has_statistics = || counted(hub.get("/metrics").text(), "nyx_topics 1.0").then_some(());
        hub.until("the hub has its own topic, which counts", has_statistics);
        let client = connect(udp(&hub), "").await.expect("the hub answers");
        let mut publishers = Vec::new();
        for n in 0..aliases {
            let topic = client.state(name(&format!("t/{n}")), Options::default()).await;
            publishers.push(topic.expect("there is room"));
        }
        let refused = client.state(name("t/more"), Options::default()).await.err();
        assert!(
            matches!(&refused, Some(AdvertiseError::Refused(no)) if no.code == ErrorCode::Limit),
            "{limit}: {refused:?}"
        );
        let mut watched = watch(&client, "t/*").await;
        let refused = try_watch(&client, "u/*").await;
        assert!(matches!(&refused, Err(SubscribeError::Refused(no)) if no.code == ErrorCode::Limit));
        publishers[0].set(Value::from("still here")).await.expect("it is taken");
        assert!(matches!(next(&mut watched).await, Item::State(_)));
        let page = hub.get("/metrics").text().to_owned();
        assert!(counted(&page, "nyx_refused_total{code=\"limit\"} 2"), "{page}");
        assert_eq!(client.stats().reconnects, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_says_nothing_makes_room_for_others_and_who_has_spoken_does_not() {
    let hub = Server::configured(&format!("{UDP}[limits]\nhandshakes = 2\nhandshake = \"2m\"\n"));
    let client = connect(udp(&hub), "").await.expect("the hub answers");
    let mut silent = Vec::new();
    for _ in 0..3 {
        let mut stranger = Stranger::bind(hub.udp()).await;
        stranger.open().await;
        silent.push(stranger);
    }
    assert_eq!(silent[0].until_closed().await, Reason::There, "the oldest has to go, and hears it");
    let late = connect(udp(&hub), "").await.expect("it is let in");
    assert_eq!(silent[1].until_closed().await, Reason::There);
    for client in [&client, &late] {
        watch(client, "chat").await;
        assert_eq!(client.stats().reconnects, 0);
    }
    let page = hub.get("/metrics").text().to_owned();
    for line in
        ["nyx_handshakes_displaced_total 2", "nyx_handshakes 1.0", "nyx_sessions{transport=\"udp\"} 3.0"]
    {
        assert!(counted(&page, line), "{line} in {page}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_begins_anew_from_its_address_takes_the_place_of_its_earlier_session() {
    let hub = Server::configured(UDP);
    let mut stranger = Stranger::bind(hub.udp()).await;
    stranger.hello().await;
    stranger.publishes("camera").await;
    let sessions = || {
        let page = hub.get("/metrics").text().to_owned();
        let wanted =
            ["nyx_sessions{transport=\"udp\"} 1.0", "nyx_connections_closed_total{transport=\"udp\"} 1"];
        wanted.iter().all(|line| counted(&page, line)).then_some(())
    };
    // As a program that was killed and started again, on the same port.
    let mut again = stranger.begin_anew();
    again.hello().await;
    again.publishes("camera").await;
    hub.until("the earlier session is gone", sessions);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publishers_of_one_topic_displace_nobody_whatever_they_come_by() {
    let hub = Server::configured(UDP);
    let by_tcp = connect(Address::from(hub.native()), "").await.expect("the hub answers");
    let (one, other) = (connect(udp(&hub), "").await.unwrap(), connect(udp(&hub), "").await.unwrap());
    let mut watched = watch(&other, "world").await;
    let mut states = Vec::new();
    for client in [&one, &by_tcp, &other] {
        states.push(client.state(name("world"), Options::default()).await.expect("the same topic"));
    }
    let mut reaches = async |wanted: i64| loop {
        let Item::State(_) = next(&mut watched).await else { panic!("state goes on") };
        let document = watched.document(&name("world")).expect("a document");
        if document.value() == Value::map([("n", wanted)]) {
            return;
        }
    };
    for (n, state) in (0..).zip(&states) {
        state.set(Value::map([("n", n)])).await.expect("it is taken");
        reaches(n).await;
    }
    states.remove(0);
    one.close().await.expect("it closes");
    for (n, state) in (10..).zip(&states) {
        state.set(Value::map([("n", n)])).await.expect("it is taken");
        reaches(n).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_stranger_sends_is_counted_and_answered_by_no_session() {
    let hub = Server::configured(UDP);
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let to: SocketAddr = hub.udp();
    for datagram in [&b"hello"[..], &[2; 40], &[]] {
        socket.send_to(datagram, to).expect("it is sent");
    }
    hub.until("they are counted", || {
        let page = hub.get("/metrics").text().to_owned();
        let are_counted = ["malformed", "unexpected"].iter().all(|reason| {
            counted_at_least(&page, &format!("nyx_udp_refused_total{{reason=\"{reason}\"}}"), 1)
        });
        (are_counted && counted(&page, "nyx_sessions{transport=\"udp\"} 0.0")).then_some(())
    });
}
