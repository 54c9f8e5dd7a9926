//! WebSocket of the real program: the native protocol, plain images, and an orderly end.

mod common;

use std::net::SocketAddr;

use bytes::BytesMut;
use common::{Connection, PATIENCE, Server, contains};
use futures_util::{SinkExt as _, StreamExt as _};
use nyx_protocol::control::{self, Body, Hello, Subscribe};
use nyx_protocol::state::{Document, Limits};
use nyx_protocol::wire::{self, Flags, Header, Kind, Messages, Scan};
use serde_json::json;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

const JPEG: &[u8] = b"\xff\xd8 not quite a picture \xff\xd9";

/// A client of the native protocol over WebSocket.
struct Client {
    socket: WebSocketStream<tokio::net::TcpStream>,
    received: BytesMut,
}

async fn connect(server: SocketAddr, path: &str) -> WebSocketStream<tokio::net::TcpStream> {
    let stream = tokio::net::TcpStream::connect(server).await.unwrap();
    let request = format!("ws://{server}{path}").into_client_request().unwrap();
    client_async(request, stream).await.unwrap().0
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("an answer in time")
}

impl Client {
    async fn new(server: SocketAddr) -> Self {
        let mut client = Self { socket: connect(server, "/v1/ws").await, received: BytesMut::new() };
        client
            .say(Hello { version: 1, name: "test".into(), acknowledges: false, ..Default::default() })
            .await;
        assert!(matches!(client.hear().await, Body::Welcome(_)));
        client
    }

    async fn say(&mut self, body: impl Into<Body>) {
        let mut message = BytesMut::new();
        control::put(&mut message, body);
        self.socket.send(Message::Binary(message.freeze())).await.unwrap();
    }

    /// The next whole message.
    async fn next(&mut self) -> bytes::Bytes {
        loop {
            let len = match wire::scan(&self.received, 16 << 20).unwrap() {
                Scan::Incomplete { .. } => None,
                Scan::Control { len } => Some(len),
                Scan::Run(_) => {
                    Messages::new(&self.received).next().map(|message| message.header.message_len())
                }
            };
            if let Some(len) = len {
                return self.received.split_to(len).freeze();
            }
            match within(self.socket.next()).await {
                Some(Ok(Message::Binary(bytes))) => self.received.extend_from_slice(&bytes),
                other => panic!("{other:?}"),
            }
        }
    }

    /// The next control message.
    async fn hear(&mut self) -> Body {
        control::parse(&self.next().await).unwrap().expect("a control message")
    }
}

#[tokio::test]
async fn the_native_protocol_travels_over_websocket() {
    let server = Server::start();
    server.post("/v1/topics/world", "application/json", br#"{"a":1}"#);
    let mut client = Client::new(server.http()).await;
    client.say(Subscribe { id: 1, pattern: "**".into(), ..Default::default() }).await;
    assert!(matches!(client.hear().await, Body::Announce(announce) if announce.topic == "world"));
    assert!(matches!(client.hear().await, Body::Subscribed(_)));
    let message = client.next().await;
    let state = Messages::new(&message).next().unwrap();
    let mut document = Document::new(0, Limits::default());
    document.apply(state.payload, state.header.flags.contains(Flags::SNAPSHOT)).unwrap();
    assert_eq!(serde_json::to_value(document.value()).unwrap(), json!({"a": 1}));

    // A frame that fills several writes arrives whole.
    let picture: Vec<u8> = (0..3_000_000u32).map(|n| n as u8).collect();
    assert_eq!(server.post("/v1/topics/camera", "image/png", &picture).status(), 202);
    assert!(matches!(client.hear().await, Body::Announce(announce) if announce.topic == "camera"));
    let message = client.next().await;
    assert!(Messages::new(&message).next().unwrap().payload == picture);
}

#[tokio::test]
async fn a_message_may_come_in_pieces_of_any_size() {
    let server = Server::start();
    let mut client = Client::new(server.http()).await;
    let mut stream = BytesMut::new();
    control::put(
        &mut stream,
        control::Advertise {
            alias: 1,
            topic: "log".into(),
            kind: control::Kind::Event.into(),
            ..Default::default()
        },
    );
    wire::put_message(&mut stream, Header { topic: 1, codec: 1, ..Header::data(Kind::Event) }, b"in pieces");
    control::put(&mut stream, control::Ping { nonce: 9 });
    for piece in stream.chunks(7) {
        client.socket.send(Message::Binary(piece.to_vec().into())).await.unwrap();
    }
    assert!(matches!(client.hear().await, Body::Advertised(_)));
    assert!(matches!(client.hear().await, Body::Pong(pong) if pong.nonce == 9));
    assert_eq!(server.get("/v1/topics/log").text(), "in pieces");
}

#[tokio::test]
async fn text_on_a_websocket_closes_it_with_a_reason() {
    let server = Server::start();
    server.post("/v1/topics/camera", "image/jpeg", JPEG);
    for path in ["/v1/ws", "/ws/me"] {
        let mut socket = connect(server.http(), path).await;
        socket.send(Message::text("hello")).await.unwrap();
        loop {
            match within(socket.next()).await {
                Some(Ok(Message::Close(Some(frame)))) => {
                    assert_eq!(frame.code, CloseCode::Unsupported);
                    assert!(frame.reason.contains("binary"), "{}", frame.reason);
                    break;
                }
                Some(Ok(Message::Binary(_))) => {}
                other => panic!("{other:?}"),
            }
        }
    }
    assert!(server.get("/metrics").text().contains(r#"nyx_http_refused_total{code="bad_frame"} 2"#));
}

#[tokio::test]
async fn bytes_that_are_no_protocol_get_a_fatal_error_and_the_close() {
    let server = Server::start();
    let mut client = Client::new(server.http()).await;
    client.socket.send(Message::Binary(vec![0xee; 64].into())).await.unwrap();
    assert!(matches!(client.hear().await, Body::Error(error) if error.fatal));
    assert!(matches!(within(client.socket.next()).await, Some(Ok(Message::Close(_)))));
}

#[tokio::test]
async fn plain_images_have_a_number_a_time_and_a_length() {
    let server = Server::start();
    // It waits for a topic with frames to appear.
    let mut socket = connect(server.http(), "/ws/browser-7").await;
    socket.send(Message::Ping("there?".into())).await.unwrap();
    assert!(
        matches!(within(socket.next()).await, Some(Ok(Message::Pong(payload))) if &payload[..] == b"there?")
    );
    let stamped = [("content-type", "image/jpeg"), ("x-nyx-timestamp", "1500000")];
    server.request("POST", "/v1/topics/camera", &stamped, JPEG);
    let Some(Ok(Message::Binary(image))) = within(socket.next()).await else { panic!("no image") };
    assert_eq!(image[..4], 0u32.to_be_bytes());
    assert_eq!(image[4..12], 1.5f64.to_be_bytes());
    assert_eq!(image[12..16], (JPEG.len() as u32).to_be_bytes());
    assert_eq!(&image[16..], JPEG);
    assert!(server.get("/metrics").text().contains(r#"nyx_sessions{transport="ws"} 1"#));
    socket.close(None).await.unwrap();

    // By pattern; several topics' images come as messages of their own.
    server.post("/v1/topics/cam/1", "image/png", b"one");
    server.post("/v1/topics/cam/2", "image/png", b"two");
    let mut chosen = connect(server.http(), "/ws/other?topic=cam/*").await;
    let mut images = Vec::new();
    while images.len() < 2 {
        let Some(Ok(Message::Binary(image))) = within(chosen.next()).await else { panic!("no image") };
        images.push(image.slice(16..));
    }
    images.sort();
    assert_eq!(images, ["one", "two"]);
}

#[tokio::test]
async fn a_pattern_that_is_none_is_refused_before_the_upgrade() {
    let server = Server::start();
    let stream = tokio::net::TcpStream::connect(server.http()).await.unwrap();
    let request = format!("ws://{}/ws/me?topic=cam*", server.http()).into_client_request().unwrap();
    let Err(Error::Http(response)) = client_async(request, stream).await else { panic!("it was taken") };
    assert_eq!(response.status(), 400);
}

#[tokio::test]
async fn a_drain_says_goodbye_to_everybody() {
    let mut server = Server::start();
    server.post("/v1/topics/world", "application/json", br#"{"a":1}"#);
    let mut events = Connection::open(server.http());
    events.send("GET", "/v1/stream/world", &[], b"");
    events.head();
    events.body_until(|body| contains(body, &["event: state"]));
    let mut client = Client::new(server.http()).await;
    let mut images = connect(server.http(), "/ws/me").await;

    server.terminate();
    assert!(matches!(client.hear().await, Body::Goodbye(_)));
    for socket in [&mut client.socket, &mut images] {
        match within(socket.next()).await {
            Some(Ok(Message::Close(Some(frame)))) => assert_eq!(frame.code, CloseCode::Away),
            other => panic!("{other:?}"),
        }
        assert!(matches!(
            within(socket.next()).await,
            None | Some(Err(Error::ConnectionClosed | Error::Protocol(_)))
        ));
    }
    assert!(std::iter::from_fn(|| events.chunk()).all(|chunk| chunk.len() < 100));
    assert!(server.wait().success(), "{}", server.log());
}

#[tokio::test]
async fn many_connections_share_the_limit() {
    let server = Server::configured("[limits]\nsessions = 3\n");
    let kept: Vec<_> = futures_util::future::join_all((0..3).map(|_| Client::new(server.http()))).await;
    assert_eq!(server.get("/healthz").status(), 503);
    drop(kept);
    let again = async {
        while server.get("/healthz").status() == 503 {
            tokio::task::yield_now().await;
        }
    };
    within(again).await;
}
