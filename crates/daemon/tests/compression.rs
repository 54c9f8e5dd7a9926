//! Compression end to end: a real hub, real clients, and links of 500 kB/s between them.

mod common {
    pub(crate) mod daemon;
    pub(crate) mod slow_link;
    pub(crate) mod wait;
}

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use common::daemon::{Daemon, PATIENCE, at, connect};
use common::slow_link::SlowLink;
use common::wait::{eventually, within};
use nyx_client::publish::{self, State};
use nyx_client::{Client, Item, Pattern, Subscription, Value, subscribe};

const LINK: &str = "500kB/s";

/// One request on a connection of its own.
fn http(address: SocketAddr, method: &str, path: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("the hub listens");
    let head = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
    let length = format!("content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    stream.write_all((head + &length).as_bytes()).expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer of text");
    assert!(answer.starts_with("HTTP/1.1 200"), "{method} {path}: {answer}");
    answer
}

/// A hundred walkers after `tick` ticks, of whom each tick moves ten.
fn world(tick: i64) -> Value {
    let walker = |n: i64| {
        let moved = (tick + n) / 10;
        let (x, y) = ((n * 37 + moved * 13) % 1000, (n * 91 + moved * 7) % 1000);
        let state = ["idle", "walking", "running"][(moved % 3) as usize];
        Value::map([
            ("id", Value::from(n)),
            ("name", format!("walker number {n}").into()),
            ("x", x.into()),
            ("y", y.into()),
            ("state", format!("{state} towards the gate at {x}/{y}").into()),
        ])
    };
    Value::map([("tick", Value::from(tick)), ("walkers", Value::List((0..100).map(walker).collect()))])
}

/// A publisher of a document and a subscriber behind a slow link, in step.
struct Pair {
    topic: &'static str,
    state: State,
    subscription: Subscription,
    /// Bytes that came.
    bytes: usize,
}

impl Pair {
    async fn new(topic: &'static str, publisher: &Client, subscriber: &Client) -> Self {
        let options = publish::Options::default();
        let state = publisher.state(topic.parse().unwrap(), options).await.expect("a topic");
        let pattern = Pattern::new(topic).unwrap();
        let options = subscribe::Options::default();
        let subscription = subscriber.subscribe(pattern, options).await.expect("a subscription");
        Self { topic, state, subscription, bytes: 0 }
    }

    /// Publishes, and waits until the subscriber has it.
    async fn set(&mut self, value: &Value) {
        self.state.set(value.clone()).await.expect("it is sent");
        let arrival = async {
            loop {
                let Item::State(state) = self.subscription.recv().await.expect("more") else { continue };
                self.bytes += state.encoded_len;
                if self.value() == Some(value.clone()) {
                    return;
                }
            }
        };
        within(PATIENCE, "the document arrives", arrival).await;
    }

    fn value(&self) -> Option<Value> {
        self.subscription.document(&self.topic.parse().unwrap()).map(|document| document.value())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_subscriber_s_document_takes_fewer_bytes_and_the_hub_says_why() {
    let daemon =
        Daemon::with_config("[compression]\ntopics = [{ pattern = \"plain/**\", compression = \"off\" }]\n");
    let links = [SlowLink::to(daemon.native, Some(LINK)), SlowLink::to(daemon.native, Some(LINK))];
    let publisher = daemon.client("publisher").await;
    let [one, two] = [connect(links[0].address, "packed").await, connect(links[1].address, "plain").await];
    let mut packed = Pair::new("game/world", &publisher, &one).await;
    let mut plain = Pair::new("plain/world", &publisher, &two).await;
    for tick in 0..60 {
        packed.set(&world(tick)).await;
        plain.set(&world(tick)).await;
    }
    assert_eq!(packed.value(), plain.value());
    println!("{} bytes plainly, {} as chosen", plain.bytes, packed.bytes);
    assert!(packed.bytes * 4 < plain.bytes * 3, "{} of {}", packed.bytes, plain.bytes);

    // What was decided, and why, for people and for Prometheus.
    let of = |topic: &'static str, field: &'static str| ["topics", topic, "compression", field];
    let decided = |stats: &Value| {
        at(stats, &of("game/world", "decisions"))
            .and_then(Value::as_list)
            .is_some_and(|list| !list.is_empty())
    };
    let stats = daemon.stats("a decision", decided).await;
    let text = |path: &[&str]| at(&stats, path).and_then(Value::as_str).map(str::to_owned);
    assert_ne!(text(&of("game/world", "chosen")).as_deref(), Some("raw"));
    assert_eq!(text(&of("plain/world", "allowed")).as_deref(), Some("off"));
    let decisions = at(&stats, &of("game/world", "decisions")).and_then(Value::as_list).unwrap();
    let reason = decisions.last().and_then(|last| last.get("text")).and_then(Value::as_str).unwrap();
    assert!(reason.contains("instead of") && reason.contains("bytes"), "{reason}");
    let metrics = http(daemon.http, "GET", "/metrics", "");
    let number = |series: &str| -> f64 {
        let line = metrics.lines().find_map(|line| line.strip_prefix(series));
        line.unwrap_or_else(|| panic!("{series} in {metrics}")).trim().parse().expect("a number")
    };
    let [before, after] = ["before", "after"]
        .map(|what| number(&format!("nyx_compression_{what}_bytes_total{{topic=\"game/world\"}}")));
    assert!(after * 4.0 < before * 3.0, "{after} of {before}");
    assert!(number("nyx_compression_decisions_total{topic=\"game/world\",reason=\"faster\"}") >= 1.0);
    assert_eq!(
        number("nyx_compression_before_bytes_total{topic=\"plain/world\"}"),
        number("nyx_compression_after_bytes_total{topic=\"plain/world\"}"),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_kill_switch_is_turned_while_the_hub_runs() {
    let daemon = Daemon::with_config("[compression]\ndefault = \"level-1\"\n");
    let client = daemon.client("both").await;
    let mut pair = Pair::new("game/world", &client, &client).await;
    let mut bytes = Vec::new();
    for (allowed, ticks) in [(true, 0..3), (false, 3..6), (true, 6..9)] {
        let answer = http(daemon.http, "PUT", "/v1/compression", &format!("{{\"allowed\":{allowed}}}"));
        assert!(answer.ends_with(&format!("{{\"allowed\":{allowed}}}")), "{answer}");
        pair.bytes = 0;
        for tick in ticks {
            // Another document each time: deltas of all of it.
            pair.set(&Value::map([(format!("world {tick}"), world(tick))])).await;
        }
        bytes.push(pair.bytes);
    }
    println!("{bytes:?} bytes while it was allowed, was not, and was again");
    assert!(bytes[0] * 2 < bytes[1] && bytes[2] * 2 < bytes[1]);
    assert!(http(daemon.http, "GET", "/metrics", "").contains("nyx_compression_allowed 1"));
    let decisions = |stats: &Value| {
        let list = at(stats, &["topics", "game/world", "compression", "decisions"]).and_then(Value::as_list);
        let killed = |entry: &&Value| entry.get("reason").and_then(Value::as_str) == Some("killed");
        list.is_some_and(|list| list.iter().filter(killed).count() == 2)
    };
    daemon.stats("that the switch was turned twice", decisions).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publisher_behind_a_slow_link_sends_batches_and_every_reader_gets_every_event() {
    const EVENTS: u64 = 30_000;
    let daemon = Daemon::start();
    let link = SlowLink::to(daemon.native, Some(LINK));
    let reader = daemon.client("reader").await;
    let options = subscribe::Options::default();
    let mut subscription = reader.subscribe(Pattern::new("match").unwrap(), options).await.unwrap();
    let publisher = connect(link.address, "publisher").await;
    let events = publisher.events("match".parse().unwrap(), publish::Options::default()).await.unwrap();
    let event = |n: u64| {
        let (team, player) = (["north", "south"][n as usize % 2], n * 7 % 11);
        format!(
            "{{\"seq\":{n},\"minute\":{},\"event\":\"pass\",\"team\":\"{team}\",\"player\":{player}}}",
            n / 600
        )
    };
    let plain_bytes: u64 = (0..EVENTS).map(|n| 16 + event(n).len() as u64).sum();
    let sent = events.send_batch((0..EVENTS).map(event));
    let received = async {
        let mut next = 0;
        while next < EVENTS {
            match subscription.recv().await.expect("more") {
                Item::Event(received) => {
                    assert_eq!((received.sequence, received.payload), (next, event(next).into()));
                    next += 1;
                }
                other => panic!("nothing is lost: {other:?}"),
            }
        }
    };
    let (sent, ()) = within(PATIENCE, "every event arrives", async { tokio::join!(sent, received) }).await;
    assert_eq!(sent.map_err(|error| error.cause), Ok(EVENTS));
    let saved = publisher.stats().saved_bytes;
    println!("{saved} of {plain_bytes} bytes were not sent");
    assert!(saved * 2 > plain_bytes, "{saved} of {plain_bytes}");
    let counted = |stats: &Value| {
        let blocks =
            |field| at(stats, &["topics", "match", "blocks", field]).and_then(Value::as_i64).unwrap_or(0);
        blocks("messages") > 0 && blocks("before_bytes") > 4 * blocks("after_bytes")
    };
    daemon.stats("the publisher's blocks", counted).await;

    // Who speaks no protocol is not sent any.
    let latest = eventually(PATIENCE, "the last event", async || {
        let answer = http(daemon.http, "GET", "/v1/topics/match", "");
        answer.contains(&format!("\"seq\":{}", EVENTS - 1)).then_some(answer)
    })
    .await;
    assert!(latest.ends_with(&event(EVENTS - 1)), "{latest}");
}
