//! A subscriber that speaks the native protocol over WebSocket, as the console does.
#![allow(dead_code, reason = "each suite uses a part")]

use std::net::SocketAddr;

use bytes::BytesMut;
use nyx_protocol::control::{self, Body, Hello};
use nyx_protocol::wire::{self, Scan};

use super::daemon::PATIENCE;
use super::wait::within;
use super::websocket::WebSocket;

/// A session with one subscription.
pub(crate) struct NativeWebSocket {
    socket: WebSocket,
    read: BytesMut,
    /// Bytes of data that were consumed.
    consumed: u64,
}

/// What the hub sends.
pub(crate) enum Heard {
    /// A control message.
    Control(Body),
    /// A data message: its sequence, when it was captured, and how long its payload is.
    Data {
        /// Low 32 bits of its number.
        sequence: u32,
        /// Microseconds since the Unix epoch.
        unix_micros: Option<u64>,
        /// Bytes.
        length: usize,
    },
}

impl NativeWebSocket {
    /// Connects to the hub, or to a proxy before it, and subscribes.
    pub(crate) async fn subscribe(address: SocketAddr, name: &str, pattern: &str) -> Self {
        let mut socket = WebSocket::connect(address, "/v1/ws").await;
        let mut out = BytesMut::new();
        control::put(
            &mut out,
            Hello {
                version: control::VERSION,
                name: name.to_owned(),
                acknowledges: true,
                ..Default::default()
            },
        );
        control::put(
            &mut out,
            control::Subscribe { id: 1, pattern: pattern.to_owned(), ..Default::default() },
        );
        socket.send(out.freeze()).await;
        Self { socket, read: BytesMut::new(), consumed: 0 }
    }

    /// The next message. Pings are answered and data is acknowledged, since it is consumed here.
    pub(crate) async fn hear(&mut self) -> Heard {
        loop {
            match wire::scan(&self.read, 16 << 20).expect("the hub sends messages") {
                Scan::Control { len } => {
                    match control::parse(&self.read.split_to(len)).expect("a control message") {
                        Some(Body::Ping(ping)) => self.say(control::Pong { nonce: ping.nonce }).await,
                        Some(body) => return Heard::Control(body),
                        None => {}
                    }
                }
                Scan::Run(_) => {
                    let message = wire::Messages::new(&self.read).next().expect("a run has messages");
                    let heard = Heard::Data {
                        sequence: message.header.sequence,
                        unix_micros: message.unix_micros,
                        length: message.payload.len(),
                    };
                    let len = message.header.message_len();
                    drop(self.read.split_to(len));
                    self.consumed += len as u64;
                    self.say(control::Ack { bytes: self.consumed }).await;
                    return heard;
                }
                Scan::Incomplete { .. } => {
                    let bytes = within(PATIENCE, "the hub says something", self.socket.receive()).await;
                    self.read.extend_from_slice(&bytes.expect("the hub stays"));
                }
            }
        }
    }

    async fn say(&mut self, body: impl Into<Body>) {
        let mut out = BytesMut::new();
        control::put(&mut out, body);
        self.socket.send(out.freeze()).await;
    }
}
