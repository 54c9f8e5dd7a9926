//! A WebSocket client.
#![allow(dead_code, reason = "each suite uses a part")]

use std::net::SocketAddr;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::daemon::PATIENCE;
use super::wait::within;

/// A connection.
pub(crate) struct WebSocket(WebSocketStream<TcpStream>);

impl WebSocket {
    /// Opens `path` of the hub, or of a proxy before it, at `address`.
    pub(crate) async fn connect(address: SocketAddr, path: &str) -> Self {
        let stream =
            within(PATIENCE, "a connection", TcpStream::connect(address)).await.expect("the hub accepts");
        let url = format!("ws://{address}{path}");
        let opened = within(PATIENCE, "an answer", client_async(url, stream)).await;
        Self(opened.expect("the hub speaks WebSocket").0)
    }

    /// The content of the next binary message; `None` at the end.
    pub(crate) async fn receive(&mut self) -> Option<Bytes> {
        loop {
            match self.0.next().await?.ok()? {
                Message::Binary(bytes) => return Some(bytes),
                Message::Close(_) => return None,
                _ => {}
            }
        }
    }

    /// Sends a binary message.
    pub(crate) async fn send(&mut self, bytes: Bytes) {
        self.0.send(Message::Binary(bytes)).await.expect("the hub reads");
    }

    /// Sends a text message.
    pub(crate) async fn send_text(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.expect("the hub reads");
    }

    /// Reads until the hub closes; the code that it gives.
    pub(crate) async fn close_code(&mut self) -> Option<u16> {
        loop {
            match within(PATIENCE, "the hub closes", self.0.next()).await? {
                Ok(Message::Close(frame)) => return frame.map(|frame| frame.code.into()),
                Ok(_) => {}
                Err(Error::ConnectionClosed | Error::Io(_)) => return None,
                Err(error) => panic!("{error}"),
            }
        }
    }
}
