//! The HTTP surface, as clients of all sorts meet it: a real daemon, real sockets.

mod common;

use std::net::SocketAddr;

use bytes::BytesMut;
use common::{Connection, PATIENCE, Server};
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

#[test]
fn state_is_published_merged_and_read() {
    let server = Server::start();
    let posted =
        server.post("/v1/topics/game/world", "application/json", br#"{"tick":1,"who":{"a":1,"b":2}}"#);
    assert_eq!(posted.status(), 202);
    assert_eq!(posted.json(), json!({"topic": "game/world", "kind": "state", "bytes": 30, "changed": true}));

    let merge = [("content-type", "application/merge-patch+json")];
    let merged = server.request("PATCH", "/v1/topics/game/world", &merge, br#"{"tick":2,"who":{"b":null}}"#);
    assert_eq!((merged.status(), &merged.json()["changed"]), (202, &json!(true)));
    assert_eq!(server.get("/v1/topics/game/world").json(), json!({"tick": 2, "who": {"a": 1}}));

    let put =
        server.request("PUT", "/v1/topics/game/world", &[("content-type", "application/json")], b"[1.5]");
    assert_eq!(put.status(), 202);
    let latest = server.get("/v1/topics/game/world");
    assert_eq!((latest.json(), latest.header("content-type")), (json!([1.5]), "application/json"));
}

#[test]
fn frames_and_events_are_read_as_they_were_published() {
    let server = Server::start();
    let stamped = [("content-type", "image/jpeg"), ("x-nyx-timestamp", "1700000000000001")];
    assert_eq!(server.request("POST", "/v1/topics/camera", &stamped, JPEG).status(), 202);
    let frame = server.get("/v1/topics/camera");
    assert_eq!((&frame.body[..], frame.header("content-type")), (JPEG, "image/jpeg"));
    assert_eq!((frame.header("x-nyx-sequence"), frame.header("x-nyx-timestamp")), ("0", "1700000000000001"));
    let known = server.request("GET", "/v1/topics/camera", &[("if-none-match", frame.header("etag"))], b"");
    assert_eq!((known.status(), known.body.len()), (304, 0));

    for (content_type, body) in [("text/plain", "hello"), ("application/octet-stream", "\0\u{1}")] {
        assert_eq!(server.post("/v1/topics/log", content_type, body.as_bytes()).status(), 202);
        let event = server.get("/v1/topics/log");
        assert!(event.header("content-type").starts_with(content_type), "{event:?}");
        assert_eq!(event.text(), body);
    }
    // JSON on a topic of events is an event.
    assert_eq!(server.post("/v1/topics/log", "application/json", b"[1]").json()["kind"], "event");
    let list = server.get("/v1/topics").json();
    let topic = |place: usize, key: &str| list["topics"][place][key].clone();
    assert_eq!(
        (topic(0, "name"), topic(0, "kind"), topic(0, "content_type")),
        (json!("camera"), json!("frame"), json!("image/jpeg"))
    );
    assert_eq!(
        (topic(1, "name"), topic(1, "messages"), topic(1, "subscribers")),
        (json!("log"), json!(3), json!(0))
    );
}

#[test]
fn what_a_publisher_sends_is_no_page_of_the_console() {
    let server = Server::start();
    server.request("POST", "/v1/topics/x", &[("content-type", "image/svg+xml")], b"<svg onload='alert(1)'/>");
    let frame = server.get("/v1/topics/x");
    assert_eq!(frame.header("x-content-type-options"), "nosniff");
    assert!(frame.header("content-security-policy").contains("sandbox"));
}

#[test]
fn bad_requests_get_typed_errors_and_change_nothing() {
    let server = Server::start();
    let error = |method: &str, path: &str, content_type: &str, body: &[u8]| {
        let (status, code) = server.request(method, path, &[("content-type", content_type)], body).error();
        (status, code)
    };
    server.post("/v1/topics/state", "application/json", b"{}");
    let json = "application/json";
    let deep = format!("{}{}", "[".repeat(60), "]".repeat(60));
    let deeper = format!("{}{}", "[".repeat(600), "]".repeat(600));
    for (expected, found) in [
        ((400, "bad_topic"), error("POST", "/v1/topics/a//b", json, b"{}")),
        ((400, "bad_topic"), error("POST", "/v1/topics/a/*", json, b"{}")),
        ((400, "bad_topic"), error("POST", "/v1/topics/a%ff", json, b"{}")),
        ((400, "bad_topic"), error("POST", "/v1/topics/$nyx/x", json, b"{}")),
        ((400, "bad_json"), error("POST", "/v1/topics/new", json, b"{\"a\":")),
        ((400, "bad_json"), error("POST", "/v1/topics/new?kind=event", json, b"nonsense")),
        ((400, "bad_request"), error("POST", "/v1/topics/new?kind=video", json, b"{}")),
        ((400, "bad_request"), error("POST", "/v1/topics/new?knid=event", json, b"{}")),
        ((400, "bad_request"), error("POST", "/v1/topics/new", "text/plain", b"\xff")),
        ((400, "bad_request"), error("POST", "/v1/topics/new", "image/png", b"")),
        ((409, "kind_mismatch"), error("POST", "/v1/topics/state", "text/plain", b"x")),
        ((409, "kind_mismatch"), error("POST", "/v1/topics/state", "image/png", b"x")),
        ((415, "unsupported_media"), error("POST", "/v1/topics/new", "audio/wav", b"RIFF")),
        (
            (415, "unsupported_media"),
            error("POST", "/v1/topics/new", "application/x-www-form-urlencoded", b"{}"),
        ),
        ((415, "unsupported_media"), error("PUT", "/v1/topics/new", "text/plain", b"{}")),
        ((415, "unsupported_media"), error("PATCH", "/v1/topics/new", "image/png", b"{}")),
        ((422, "bad_document"), error("POST", "/v1/topics/new", json, deep.as_bytes())),
        ((422, "bad_document"), error("POST", "/v1/topics/new", json, deeper.as_bytes())),
        ((404, "not_found"), error("GET", "/v1/topics/new", "", b"")),
        ((404, "not_found"), error("GET", "/v1/stream/new", "", b"")),
        ((404, "not_found"), error("GET", "/v2", "", b"")),
        ((405, "method_not_allowed"), error("DELETE", "/v1/topics/state", "", b"")),
        ((405, "method_not_allowed"), error("POST", "/metrics", "", b"")),
        ((400, "bad_request"), error("GET", "/v1/stream/state?max_age=soon", "", b"")),
        ((426, "upgrade_required"), error("GET", "/v1/ws", "", b"")),
        ((426, "upgrade_required"), error("GET", "/ws/me", "", b"")),
    ] {
        assert_eq!((expected.0, expected.1.to_owned()), found);
    }
    let missing = server.get("/v1/topics/new");
    assert!(missing.text().contains("there are `state`"), "{}", missing.text());
    assert_eq!(
        server.request("DELETE", "/v1/topics/state", &[], b"").header("allow"),
        "GET,HEAD,POST,PUT,PATCH"
    );
    assert_eq!(server.get("/v1/topics").json()["topics"].as_array().map(Vec::len), Some(1));
    assert!(server.get("/metrics").text().contains(r#"nyx_http_refused_total{code="bad_document"} 2"#));
}

#[test]
fn bodies_over_the_limit_are_refused_while_they_come() {
    let server = Server::start();
    let mut said = Connection::open(server.http());
    said.send(
        "POST",
        "/v1/topics/big",
        &[("content-type", "image/png"), ("content-length", "99999999999")],
        b"",
    );
    assert_eq!(said.response().error(), (413, "too_large".into()));

    let mut chunked = Connection::open(server.http());
    let head = format!(
        "POST /v1/topics/big HTTP/1.1\r\nhost: {}\r\ncontent-type: image/png\r\ntransfer-encoding: chunked\r\n\r\n",
        server.http()
    );
    chunked.write(head.as_bytes());
    let chunk = [b"100000\r\n", &vec![0; 1 << 20][..], b"\r\n"].concat();
    (0..17).for_each(|_| chunked.write(&chunk));
    assert_eq!(chunked.response().error(), (413, "too_large".into()));
    assert_eq!(server.get("/v1/topics").json(), json!({"topics": []}));
}

#[test]
fn pages_from_elsewhere_and_rebound_names_are_refused() {
    let server = Server::start();
    let post = |head: &[(&str, &str)]| {
        let head = [head, &[("content-type", "application/json")]].concat();
        let response = server.request("POST", "/v1/topics/a", &head, b"{}");
        if response.status() == 202 { (202, String::new()) } else { response.error() }
    };
    let own = format!("http://{}", server.http());
    assert_eq!(post(&[("origin", "https://evil.example")]), (403, "forbidden_origin".into()));
    assert_eq!(
        post(&[("host", "evil.example"), ("origin", "http://evil.example")]),
        (403, "forbidden_host".into())
    );
    assert_eq!(post(&[("origin", &own)]).0, 202);
    assert_eq!(server.request("GET", "/", &[("host", "evil.example")], b"").error().1, "forbidden_host");
    let upgrade = [("origin", "https://evil.example"), ("connection", "upgrade"), ("upgrade", "websocket")];
    assert_eq!(server.request("GET", "/v1/ws", &upgrade, b"").error(), (403, "forbidden_origin".into()));
}

#[test]
fn listed_origins_may_publish_and_read() {
    let server = Server::configured("[http]\nallowed_origins = [\"https://dash.example\"]\n");
    let origin = ("origin", "https://dash.example");
    let asked = [origin, ("access-control-request-method", "POST")];
    let preflight = server.request("OPTIONS", "/v1/topics/a", &asked, b"");
    assert_eq!(
        (preflight.status(), preflight.header("access-control-allow-origin")),
        (204, "https://dash.example")
    );
    let posted =
        server.request("POST", "/v1/topics/a", &[origin, ("content-type", "application/json")], b"{}");
    assert_eq!(
        (posted.status(), posted.header("access-control-allow-origin")),
        (202, "https://dash.example")
    );
}

#[test]
fn the_console_is_served_under_a_strict_policy() {
    let server = Server::start();
    let page = server.get("/");
    assert!(page.header("content-type").starts_with("text/html"));
    assert!(page.header("content-security-policy").starts_with("default-src 'none'; script-src 'self'"));
    assert!(page.text().contains("console/app.js"));
    let script = server.get("/console/app.js");
    assert!(script.header("content-type").starts_with("text/javascript"));
    let again = server.request("GET", "/console/app.js", &[("if-none-match", script.header("etag"))], b"");
    assert_eq!(again.status(), 304);
    assert_eq!(server.get("/console/wire.test.mjs").status(), 404);
}

#[test]
fn health_and_metrics_tell_how_it_is() {
    let server = Server::start();
    assert_eq!((server.get("/healthz").text(), server.get("/readyz").text()), ("alive\n", "ready\n"));
    server.post("/v1/topics/log", "text/plain", b"one");
    let metrics = server.get("/metrics");
    assert!(metrics.header("content-type").starts_with("application/openmetrics-text"));
    for line in [
        r#"nyx_topic_messages_total{topic="log"} 1"#,
        r#"nyx_topic_subscribers{topic="log"} 0"#,
        r#"nyx_sessions{transport="ws"} 0"#,
        "nyx_resident_bytes ",
        "nyx_uptime_seconds ",
    ] {
        assert!(metrics.text().contains(line), "{line} in {}", metrics.text());
    }
}

#[test]
fn an_image_tag_follows_frames() {
    let server = Server::start();
    server.post("/v1/topics/camera", "image/jpeg", b"first");
    let mut stream = Connection::open(server.http());
    stream.send("GET", "/v1/stream/camera?max_age=30s", &[], b"");
    let head = stream.head();
    let boundary =
        head.header("content-type").unwrap().split_once("multipart/x-mixed-replace; boundary=").unwrap().1;
    let part = |body: &str| format!("content-length: {}\r\n", body.len());
    let ends = |body: &str| format!("\r\n\r\n{body}\r\n--{boundary}\r\n");
    // A part ends at once: a browser shows it then.
    stream.body_until(|body| contains(body, &[&part("first"), &ends("first")]));
    server.post("/v1/topics/camera", "image/jpeg", b"the second");
    stream.body_until(|body| {
        contains(
            body,
            &["content-type: image/jpeg", &part("the second"), "x-nyx-sequence: 1", &ends("the second")],
        )
    });
}

fn contains(body: &[u8], parts: &[&str]) -> Option<String> {
    let text = String::from_utf8_lossy(body).into_owned();
    parts.iter().all(|part| text.contains(part)).then_some(text)
}

#[test]
fn an_event_source_follows_state() {
    let server = Server::start();
    server.post("/v1/topics/world", "application/json", br#"{"a":1}"#);
    let mut stream = Connection::open(server.http());
    stream.send("GET", "/v1/stream/world", &[], b"");
    assert_eq!(stream.head().header("content-type"), Some("text/event-stream"));
    stream.body_until(|body| contains(body, &["event: state\nid: 1\ndata: {\"a\":1}\n\n"]));
    server.request("PATCH", "/v1/topics/world", &[("content-type", "application/json")], br#"{"b":[2]}"#);
    stream.body_until(|body| contains(body, &["event: state\nid: 2\ndata: {\"a\":1,\"b\":[2]}\n\n"]));
}

#[test]
fn an_event_source_goes_on_where_it_was() {
    let server = Server::start();
    server.post("/v1/topics/log", "text/plain", b"one");
    let mut stream = Connection::open(server.http());
    stream.send("GET", "/v1/stream/log", &[], b"");
    stream.head();
    stream.body_until(|body| contains(body, &["retry: "]));
    server.post("/v1/topics/log", "text/plain", b"two\nlines");
    let seen = stream.body_until(|body| contains(body, &["event: message\n", "data: two\ndata: lines\n\n"]));
    let id = seen.split_once("id: ").unwrap().1.split_once('\n').unwrap().0.to_owned();
    drop(stream);
    server.post("/v1/topics/log", "application/json", b"3");
    server.post("/v1/topics/log", "application/octet-stream", b"\xff");
    let mut again = Connection::open(server.http());
    again.send("GET", "/v1/stream/log", &[("last-event-id", &id)], b"");
    again.head();
    let seen = again.body_until(|body| contains(body, &["data: 3\n\n", "event: binary\n", "data: /w==\n\n"]));
    assert!(!seen.contains("two"), "{seen}");
}

#[test]
fn a_head_that_drips_is_cut_off_and_nobody_else_notices() {
    let server = Server::configured("[limits]\nhandshake = \"200ms\"\n");
    let mut heads: Vec<_> = (0..20).map(|_| Connection::open(server.http())).collect();
    heads.iter_mut().for_each(|slow| slow.write(b"GET / HTTP/1.1\r\nx-slow: "));
    let mut body = Connection::open(server.http());
    body.send(
        "POST",
        "/v1/topics/a",
        &[("content-type", "text/plain"), ("content-length", "100")],
        b"ten bytes.",
    );
    assert_eq!(server.get("/healthz").status(), 200);
    assert_eq!(body.response().error(), (408, "timeout".into()));
    heads.iter_mut().for_each(|slow| drop(slow.rest()));
}

#[test]
fn garbage_is_answered_with_400() {
    let server = Server::start();
    let mut garbage = Connection::open(server.http());
    garbage.write(b"\x00\x01\x02 not http at all\r\n\r\n");
    garbage.finish();
    assert!(garbage.rest().starts_with(b"HTTP/1.1 400"));
    assert_eq!(server.get("/healthz").status(), 200);
}

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
        client.say(Hello { version: 1, name: "test".into(), acknowledges: false }).await;
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
