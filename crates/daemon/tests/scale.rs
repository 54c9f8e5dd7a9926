//! Many of everything.

mod common {
    pub(crate) mod daemon;
    pub(crate) mod native_websocket;
    pub(crate) mod wait;
    pub(crate) mod websocket;
}

use std::collections::HashSet;

use bytes::Bytes;
use common::daemon::{Daemon, PATIENCE, at};
use common::native_websocket::{Heard, NativeWebSocket};
use common::wait::{alone, within};
use nyx_client::publish::{Frame, Options};
use nyx_client::{
    AudioFormat, Client, FrameCodec, Item, Kind, Name, Pattern, Samples, Subscription, Value, subscribe,
};
use nyx_protocol::control::Body;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_websocket_subscriber_takes_at_most_15_kb() {
    const SUBSCRIBERS: usize = 1_000;
    const EACH: i64 = 15_000;
    let _alone = alone().await;
    let daemon = Daemon::start();
    let publisher = daemon.client("publisher").await;
    let world = publisher.state(name("world"), Options::default()).await.expect("the topic is accepted");
    world.set(Value::map([("hello", "world")])).await.expect("a value is taken");
    publisher.flush().await.expect("the hub took it in");
    // What the first one needs, such as code that is used for the first time, is no price of the others.
    let mut sockets = vec![subscriber(&daemon).await];
    let before = daemon.resident_bytes();
    while sockets.len() <= SUBSCRIBERS {
        sockets.push(subscriber(&daemon).await);
    }
    let connections = SUBSCRIBERS as i64 + 3;
    let all = |stats: &Value| at(stats, &["server", "connections"]) == Some(&Value::from(connections));
    daemon.stats("all of them", all).await;
    let each = (daemon.resident_bytes() - before) / SUBSCRIBERS as i64;
    println!("{each} bytes of resident memory for each of {SUBSCRIBERS} idle WebSocket subscribers");
    assert!(each <= EACH, "{each} bytes each");
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_is_kept_once_however_many_event_sources_read_it() {
    const READERS: usize = 40;
    const LEAVES: i64 = 20_000;
    const EACH: i64 = 500_000;
    let _alone = alone().await;
    let daemon = Daemon::start();
    let publisher = daemon.client("publisher").await;
    let world = publisher.state(name("world"), Options::default()).await.expect("the topic is accepted");
    world.set(Value::list(0..LEAVES)).await.expect("a value is taken");
    publisher.flush().await.expect("the hub took it in");
    let mut readers = vec![event_source(&daemon).await];
    let before = daemon.resident_bytes();
    while readers.len() <= READERS {
        readers.push(event_source(&daemon).await);
    }
    let each = (daemon.resident_bytes() - before) / READERS as i64;
    println!("{each} bytes of resident memory for each of {READERS} event sources");
    assert!(each <= EACH, "{each} bytes each");
}

/// Reads a document over HTTP, and stays.
async fn event_source(daemon: &Daemon) -> TcpStream {
    let mut stream = TcpStream::connect(daemon.http).await.expect("the daemon listens");
    let request = format!("GET /v1/stream/world HTTP/1.1\r\nhost: {}\r\n\r\n", daemon.http);
    stream.write_all(request.as_bytes()).await.expect("the daemon reads");
    let mut read = Vec::new();
    while !read.ends_with(b"]\n\n\r\n") {
        let more = within(PATIENCE, "the document", stream.read_buf(&mut read)).await;
        assert!(more.is_ok_and(|bytes| bytes > 0), "{}", String::from_utf8_lossy(&read));
    }
    stream
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_topics_reach_a_hundred_subscribers() {
    const TOPICS: usize = 1_000;
    const SUBSCRIBERS: usize = 100;
    let _alone = alone().await;
    let daemon = Daemon::start();
    let publisher = daemon.client("publisher").await;
    // Half of the subscribers are there before the topics, half come when some are there already.
    let mut watching = JoinSet::new();
    for _ in 0..SUBSCRIBERS / 2 {
        watching.spawn(every_topic(subscribe_to_all(&daemon).await, TOPICS));
    }
    let mut topics = Vec::new();
    for number in 0..TOPICS {
        topics.push(Topic::new(&publisher, number).await);
        if number == TOPICS / 2 {
            for _ in 0..SUBSCRIBERS / 2 {
                watching.spawn(every_topic(subscribe_to_all(&daemon).await, TOPICS));
            }
        }
    }
    for topic in &topics {
        topic.publish().await;
    }
    let wait = async {
        while let Some(watched) = watching.join_next().await {
            watched.expect("every subscriber gets every topic");
        }
    };
    within(3 * PATIENCE, "every subscriber gets every topic", wait).await;
}

/// A subscriber over WebSocket, once it has been told all.
async fn subscriber(daemon: &Daemon) -> NativeWebSocket {
    let mut subscriber = NativeWebSocket::subscribe(daemon.http, "idle", "world").await;
    let (mut subscribed, mut received) = (false, false);
    while !(subscribed && received) {
        match subscriber.hear().await {
            Heard::Control(Body::Subscribed(_)) => subscribed = true,
            Heard::Control(_) => {}
            Heard::Data { .. } => received = true,
        }
    }
    subscriber
}

/// A publisher of any kind.
enum Topic {
    State(nyx_client::publish::State),
    Frame(nyx_client::publish::Frames),
    Audio(nyx_client::publish::Audio),
    Event(nyx_client::publish::Events),
}

impl Topic {
    async fn new(client: &Client, number: usize) -> Self {
        // Nothing expires here: whether a hundred subscribers on a busy machine are served within a second is another question.
        let mut options = Options::default();
        options.max_age = Some(4 * PATIENCE);
        let kind = Kind::ALL[number % Kind::ALL.len()];
        let name = name(&format!("many/{kind}/{number}"));
        let format = AudioFormat { sample_rate: 48_000, channels: 1 };
        match kind {
            Kind::State => Self::State(client.state(name, options).await.expect("the topic is accepted")),
            Kind::Frame => Self::Frame(client.frames(name, options).await.expect("the topic is accepted")),
            Kind::Audio => {
                let audio = client.audio(name, format, Samples::S16Le, options).await;
                Self::Audio(audio.expect("the topic is accepted"))
            }
            Kind::Event => Self::Event(client.events(name, options).await.expect("the topic is accepted")),
        }
    }

    async fn publish(&self) {
        let payload = Bytes::from_static(&[7; 960]);
        match self {
            Self::State(state) => state.set(Value::map([("on", true)])).await.expect("a value is taken"),
            Self::Frame(frames) => {
                frames.send(Frame::key(FrameCodec::Jpeg, payload)).await.expect("a frame is taken");
            }
            Self::Audio(audio) => audio.send(payload, None).await.expect("a chunk is taken"),
            Self::Event(events) => events.send(payload).await.expect("an event is taken"),
        }
    }
}

async fn subscribe_to_all(daemon: &Daemon) -> Subscription {
    let pattern = Pattern::new("**").expect("a pattern");
    let client = daemon.client("subscriber").await;
    client.subscribe(pattern, subscribe::Options::default()).await.expect("the subscription is accepted")
}

/// Receives until there was an item of each of so many topics.
async fn every_topic(mut subscription: Subscription, topics: usize) {
    let mut seen = HashSet::new();
    while seen.len() < topics {
        let topic = match subscription.recv().await.expect("the subscription goes on") {
            Item::State(state) => state.topic,
            Item::Frame(frame) => frame.topic,
            Item::Audio(chunk) => chunk.topic,
            Item::Event(event) => event.topic,
            other => panic!("one item of each topic is for everybody: {other:?}"),
        };
        assert!(seen.insert(topic.name.clone()), "{} came twice", topic.name);
    }
}

fn name(name: &str) -> Name {
    Name::new(name).expect("a topic")
}
