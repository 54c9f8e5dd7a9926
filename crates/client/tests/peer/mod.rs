//! A hub that does what a test tells it, on a real socket.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};
use nyx_client::{Address, Client, Config, ErrorCode, Name, Patch};
use nyx_protocol::control::{
    self, Advertise, Advertised, Announce, Body, Pong, Subscribe, Subscribed, Welcome,
};
use nyx_protocol::state::Limits;
use nyx_protocol::wire::{self, Header, Kind, Messages, Scan, codec};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub(crate) struct Peer(TcpListener);

impl Peer {
    pub(crate) async fn new() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    pub(crate) fn address(&self) -> Address {
        self.0.local_addr().unwrap().into()
    }

    /// The next connection, greeted.
    pub(crate) async fn accept(&self) -> Link {
        self.accept_taking(1 << 20).await
    }

    /// The same, of a hub that takes messages of so many bytes.
    pub(crate) async fn accept_taking(&self, max_message_bytes: u32) -> Link {
        let mut link = self.accept_raw().await;
        assert!(
            matches!(link.control().await, Body::Hello(hello) if hello.version == 1 && hello.acknowledges)
        );
        let server = "test".to_owned();
        // It counts messages, and could not tell those that a block holds.
        let welcome = Welcome { version: 1, session_id: 1, server, max_message_bytes, ..Welcome::default() };
        link.send(welcome).await;
        link
    }

    pub(crate) async fn accept_raw(&self) -> Link {
        let (stream, _) = self.0.accept().await.unwrap();
        // What a test says in pieces would wait for the client's acknowledgements, 40 ms each time.
        stream.set_nodelay(true).unwrap();
        Link { stream, buffer: BytesMut::new(), read_ahead: VecDeque::new(), answers_pings: true }
    }

    /// A client and its connection.
    pub(crate) async fn client(&self) -> (Client, Link) {
        let (client, link) = tokio::join!(Client::connect(self.address(), quick()), self.accept());
        (client.unwrap(), link)
    }
}

/// Comes back at once.
pub(crate) fn quick() -> Config {
    let mut config = Config::default();
    config.backoff_min = std::time::Duration::from_millis(1);
    config.backoff_max = std::time::Duration::from_millis(1);
    config
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Sent {
    Control(Body),
    Data { header: Header, unix_micros: Option<u64>, payload: Bytes },
}

pub(crate) struct Link {
    pub(crate) stream: TcpStream,
    buffer: BytesMut,
    read_ahead: VecDeque<Sent>,
    pub(crate) answers_pings: bool,
}

impl Link {
    /// What the client sent next; `None` at the end. Pings are answered and passed over, unless told otherwise.
    pub(crate) async fn next(&mut self) -> Option<Sent> {
        loop {
            let sent = match self.read_ahead.pop_front() {
                Some(sent) => sent,
                None if self.fill().await => continue,
                None => return None,
            };
            match sent {
                Sent::Control(Body::Ping(ping)) if self.answers_pings => {
                    self.send(Pong { nonce: ping.nonce }).await;
                }
                sent => return Some(sent),
            }
        }
    }

    async fn fill(&mut self) -> bool {
        loop {
            match wire::scan(&self.buffer, usize::MAX).unwrap() {
                Scan::Incomplete { .. } => {}
                Scan::Control { len } => {
                    let body = control::parse(&self.buffer.split_to(len)).unwrap().unwrap();
                    self.read_ahead.push_back(Sent::Control(body));
                    return true;
                }
                Scan::Run(run) => {
                    let bytes = self.buffer.split_to(run.len).freeze();
                    self.read_ahead.extend(Messages::new(&bytes).map(|message| Sent::Data {
                        header: message.header,
                        unix_micros: message.unix_micros,
                        payload: message.owned_payload(&bytes),
                    }));
                    return true;
                }
            }
            if self.stream.read_buf(&mut self.buffer).await.unwrap_or(0) == 0 {
                return false;
            }
        }
    }

    /// The next control message; data is a failure.
    pub(crate) async fn control(&mut self) -> Body {
        match self.next().await {
            Some(Sent::Control(body)) => body,
            other => panic!("a control message is due, not {other:?}"),
        }
    }

    /// The next data message's header and payload; control is a failure.
    pub(crate) async fn data(&mut self) -> (Header, Bytes) {
        match self.next().await {
            Some(Sent::Data { header, payload, .. }) => (header, payload),
            other => panic!("data is due, not {other:?}"),
        }
    }

    /// The next advertisement, accepted.
    pub(crate) async fn advertised(&mut self) -> Advertise {
        let Body::Advertise(advertise) = self.control().await else { panic!("an advertisement is due") };
        self.send(Advertised {
            alias: advertise.alias,
            topic_id: 100 + advertise.alias,
            ..Default::default()
        })
        .await;
        advertise
    }

    /// The next subscription, confirmed after these topics have been announced.
    pub(crate) async fn subscribed(&mut self, topics: &[Announce]) -> Subscribe {
        let Body::Subscribe(subscribe) = self.control().await else { panic!("a subscription is due") };
        for announce in topics {
            self.send(announce.clone()).await;
        }
        self.send(Subscribed { id: subscribe.id }).await;
        subscribe
    }

    pub(crate) async fn send(&mut self, body: impl Into<Body>) {
        let mut out = BytesMut::new();
        control::put(&mut out, body);
        self.raw(&out).await;
    }

    pub(crate) async fn message(&mut self, header: Header, payload: &[u8]) {
        let mut out = BytesMut::new();
        wire::put_message(&mut out, header, payload);
        self.raw(&out).await;
    }

    pub(crate) async fn raw(&mut self, mut bytes: &[u8]) {
        while bytes.has_remaining() {
            self.stream.write_buf(&mut bytes).await.unwrap();
        }
    }

    /// Waits for the end of what the client sends.
    pub(crate) async fn ended(&mut self) {
        while self.next().await.is_some() {}
    }
}

pub(crate) fn announce(topic_id: u32, topic: &str, kind: Kind) -> Announce {
    let kind = control::Kind::from(kind) as i32;
    Announce { topic_id, topic: topic.to_owned(), kind, epoch: 5, ..Announce::default() }
}

pub(crate) fn event(topic: u32, sequence: u32) -> Header {
    Header { topic, sequence, ..Header::data(Kind::Event) }
}

pub(crate) fn name(name: &str) -> Name {
    Name::new(name).unwrap()
}

pub(crate) fn error(code: ErrorCode, alias: u32) -> control::Error {
    control::Error { code: code as i32, message: "no".to_owned(), alias: Some(alias), ..Default::default() }
}

/// Makes a publisher while the hub accepts it.
#[allow(unused_macros, reason = "as above")]
macro_rules! publisher {
    ($link:ident, $making:expr) => {{
        let (publisher, advertise) = tokio::join!($making, $link.advertised());
        (publisher.unwrap(), advertise)
    }};
}

#[allow(unused_imports, reason = "as above")]
pub(crate) use publisher;

/// The patch that the client sends next.
pub(crate) async fn patch(link: &mut Link) -> Patch {
    let (header, payload) = link.data().await;
    assert_eq!((header.kind, header.codec), (Some(Kind::State), codec::STATE_PATCH));
    Patch::decode(&payload, &Limits::default()).unwrap()
}

/// Answers the ping of a flush.
pub(crate) async fn flush_answered(link: &mut Link) {
    link.answers_pings = false;
    let Body::Ping(ping) = link.control().await else { panic!("a ping is due") };
    link.answers_pings = true;
    link.send(Pong { nonce: ping.nonce }).await;
}
