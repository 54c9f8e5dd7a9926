//! A peer that drives its connection over datagrams itself, and says only what a test has it say.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use nyx_core::clock::{Clock as _, Monotonic};
use nyx_protocol::control::{self, Advertise, Body, Hello};
use nyx_protocol::wire::{self, Kind, Scan};
use nyx_transport::udp::connection::{Config, Connection, Event, Reason};
use tokio::net::UdpSocket;

use super::PATIENCE;

/// One end of a connection, on a socket of its own.
pub(crate) struct Stranger {
    socket: Arc<UdpSocket>,
    hub: SocketAddr,
    clock: Monotonic,
    connection: Connection,
    closed: Option<Reason>,
    input: BytesMut,
}

impl Stranger {
    /// Has a socket, and sends nothing.
    pub(crate) async fn bind(hub: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
        Self::on(Arc::new(socket), hub)
    }

    fn on(socket: Arc<UdpSocket>, hub: SocketAddr) -> Self {
        let clock = Monotonic::new();
        let connection = Connection::client(clock.now(), random(), Config::default());
        Self { socket, hub, clock, connection, closed: None, input: BytesMut::new() }
    }

    /// Forgets its connection, as a program that is killed, and begins another from the same address.
    pub(crate) fn begin_anew(&self) -> Self {
        Self::on(self.socket.clone(), self.hub)
    }

    /// Is let in, and says nothing.
    pub(crate) async fn open(&mut self) {
        // An acknowledgement is the first that the hub says to who says nothing; a cookie does not count.
        self.until("it is let in", |end| (end.connection.stats().received > 0).then_some(())).await;
    }

    /// Says hello, and is welcome.
    pub(crate) async fn hello(&mut self) {
        let hello =
            Hello { version: control::VERSION, name: "x".into(), acknowledges: true, ..Default::default() };
        self.say(hello);
        self.hears("a welcome", |body| matches!(body, Body::Welcome(_))).await;
    }

    /// Advertises a topic of frames.
    pub(crate) async fn publishes(&mut self, topic: &str) {
        let kind = control::Kind::from(Kind::Frame).into();
        self.say(Advertise { alias: 0, topic: topic.into(), kind, ..Default::default() });
        self.hears("that it may", |body| matches!(body, Body::Advertised(_))).await;
    }

    /// Waits until the hub ends it.
    pub(crate) async fn until_closed(&mut self) -> Reason {
        self.until("the hub ends it", |end| end.closed).await
    }

    fn say(&mut self, body: impl Into<Body>) {
        let mut out = BytesMut::new();
        control::put(&mut out, body);
        self.connection.write(&out);
    }

    async fn hears(&mut self, what: &str, is_it: impl Fn(&Body) -> bool) {
        let heard = |end: &mut Self| {
            while let Ok(Scan::Control { len }) = wire::scan(&end.input, 1 << 16) {
                let message = end.input.split_to(len);
                if control::parse(&message).expect("a message").is_some_and(|body| is_it(&body)) {
                    return Some(());
                }
            }
            None
        };
        self.until(what, heard).await;
    }

    async fn until<T>(&mut self, what: &str, mut found: impl FnMut(&mut Self) -> Option<T>) -> T {
        let wait = async {
            loop {
                self.turn().await;
                if let Some(found) = found(self) {
                    return found;
                }
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("not in time: {what}"))
    }

    /// Sends what is to be sent, and waits for a datagram or for a time that is due.
    async fn turn(&mut self) {
        let now = self.clock.now();
        if self.connection.poll_timeout().is_some_and(|at| at <= now) {
            self.connection.handle_timeout(now);
        }
        let mut datagram = Vec::new();
        while self.connection.poll_transmit(now, &mut datagram) {
            self.socket.send_to(&datagram, self.hub).await.expect("it is sent");
        }
        let wait = self.connection.poll_timeout().map_or(LOOK, |at| at.since(now)).min(LOOK);
        datagram.resize(65_536, 0);
        if let Ok(received) = tokio::time::timeout(wait, self.socket.recv_from(&mut datagram)).await {
            let (length, from) = received.expect("a datagram");
            if from == self.hub {
                // What was for an earlier connection of this address is counted, and nothing else.
                let _ = self.connection.handle_datagram(self.clock.now(), &datagram[..length]);
            }
        }
        self.connection.take_stream(&mut self.input);
        while let Some(event) = self.connection.poll_event() {
            if let Event::Closed(reason) = event {
                self.closed = Some(reason);
            }
        }
    }
}

/// How often it looks whether what it waits for has come by itself.
const LOOK: Duration = Duration::from_millis(50);

/// A number that no other connection of this process has.
fn random() -> u64 {
    use std::hash::{BuildHasher as _, Hasher as _};
    std::hash::RandomState::new().build_hasher().finish()
}
