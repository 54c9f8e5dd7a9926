//! A peer that writes its bytes itself, right or wrong.

use std::net::SocketAddr;

use bytes::BytesMut;
use nyx_protocol::control::{self, Body, ErrorCode, Hello, Kind};
use nyx_protocol::wire::{self, Header, Scan};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::daemon::PATIENCE;
use super::wait::within;

/// A TCP connection to the native port.
pub(crate) struct Raw {
    stream: TcpStream,
    read: BytesMut,
}

impl Raw {
    /// Connects and says nothing.
    pub(crate) async fn connect(hub: SocketAddr) -> Self {
        let stream =
            within(PATIENCE, "a connection", TcpStream::connect(hub)).await.expect("the hub accepts");
        Self { stream, read: BytesMut::new() }
    }

    /// Connects, says hello and is welcome.
    pub(crate) async fn welcome(hub: SocketAddr) -> Self {
        let mut raw = Self::connect(hub).await;
        raw.say(Hello {
            version: control::VERSION,
            name: "raw".to_owned(),
            acknowledges: true,
            ..Default::default()
        })
        .await;
        assert!(matches!(raw.hear().await, Some(Body::Welcome(_))));
        raw
    }

    /// Connects and advertises a topic as alias 0.
    pub(crate) async fn publisher(hub: SocketAddr, topic: &str, kind: Kind) -> Self {
        let mut raw = Self::welcome(hub).await;
        raw.say(advertise(topic, kind)).await;
        assert!(matches!(raw.hear().await, Some(Body::Advertised(_))));
        raw
    }

    /// Writes bytes. A hub that has closed already may not take them.
    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        let _ = within(PATIENCE, "the hub reads", self.stream.write_all(bytes)).await;
    }

    /// Sends a control message.
    pub(crate) async fn say(&mut self, body: impl Into<Body>) {
        let mut out = BytesMut::new();
        control::put(&mut out, body);
        self.write(&out).await;
    }

    /// Sends a data message.
    pub(crate) async fn send(&mut self, header: Header, payload: &[u8]) {
        let mut out = BytesMut::new();
        wire::put_message(&mut out, header, payload);
        self.write(&out).await;
    }

    /// The next control message, data being passed over; `None` at the end of the connection.
    pub(crate) async fn hear(&mut self) -> Option<Body> {
        loop {
            match wire::scan(&self.read, 16 << 20).expect("the hub sends messages") {
                Scan::Control { len } => {
                    return control::parse(&self.read.split_to(len)).expect("the hub sends control messages");
                }
                Scan::Run(run) => drop(self.read.split_to(run.len)),
                Scan::Incomplete { .. } => {
                    let read =
                        within(PATIENCE, "the hub says something", self.stream.read_buf(&mut self.read))
                            .await;
                    if !read.is_ok_and(|bytes| bytes > 0) {
                        return None;
                    }
                }
            }
        }
    }

    /// The next error, other control messages being passed over.
    pub(crate) async fn error(&mut self) -> Option<control::Error> {
        loop {
            if let Body::Error(error) = self.hear().await? {
                return Some(error);
            }
        }
    }

    /// Whether the hub closes the connection, whatever it says before.
    pub(crate) async fn closed(&mut self) {
        while self.hear().await.is_some() {}
    }

    /// Reads whatever comes until the connection ends.
    pub(crate) async fn hung_up(&mut self) {
        while within(PATIENCE, "the hub hangs up", self.stream.read_buf(&mut self.read))
            .await
            .is_ok_and(|read| read > 0)
        {}
    }

    /// Asks for an answer, to know that the hub has taken in what was sent before.
    pub(crate) async fn ping(&mut self) {
        self.say(control::Ping { nonce: 7 }).await;
        loop {
            match self.hear().await.expect("the connection is still there") {
                Body::Pong(pong) if pong.nonce == 7 => return,
                _ => {}
            }
        }
    }
}

/// `topic` as alias 0.
pub(crate) fn advertise(topic: &str, kind: Kind) -> control::Advertise {
    control::Advertise { topic: topic.to_owned(), kind: kind.into(), ..Default::default() }
}

/// The code of an error as the statistics name it.
pub(crate) fn name_of(code: ErrorCode) -> String {
    code.as_str_name().trim_start_matches("ERROR_CODE_").to_ascii_lowercase()
}
