//! What is published goes on to services that don't subscribe: a real daemon, and small services on real sockets.

#[path = "../../transport/tests/authority/mod.rs"]
mod authority;
mod common;
#[path = "sink/encrypted.rs"]
mod encrypted;
#[path = "sink/silent.rs"]
mod silent;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use common::Server;
use serde_json::{Value, json};

/// Between two looks at a page of the server, which holds its peers to a number of connections.
const TICK: Duration = Duration::from_millis(20);

const PATIENCE: Duration = Duration::from_secs(30);

/// A request as the service got it.
struct Request {
    /// Which connection it came on, from 0.
    connection: usize,
    head: Vec<String>,
    body: Vec<u8>,
}

impl Request {
    fn header(&self, name: &str) -> Option<&str> {
        let line = self.head.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.map(str::trim)
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

/// An HTTP service that answers with what it is told, in order, and with 200 after that.
struct Service {
    addr: SocketAddr,
    requests: Receiver<Request>,
}

impl Service {
    fn start(answers: &[&'static str]) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").expect("loopback"), answers)
    }

    fn on(listener: TcpListener, answers: &[&'static str]) -> Self {
        let addr = listener.local_addr().expect("it is bound");
        let (told, requests) = channel();
        let mut answers: Vec<_> = answers.iter().rev().copied().collect();
        std::thread::spawn(move || {
            // One connection at a time is all that a forwarder needs.
            for (connection, stream) in listener.incoming().enumerate() {
                let Ok(stream) = stream else { return };
                if serve(stream, connection, &mut answers, &told).is_none() && told.send(end()).is_err() {
                    return;
                }
            }
        });
        Self { addr, requests }
    }

    fn next(&self) -> Request {
        loop {
            let request = self.requests.recv_timeout(PATIENCE).expect("a request comes");
            if !request.head.is_empty() {
                return request;
            }
        }
    }
}

/// Tells that a connection ended.
fn end() -> Request {
    Request { connection: 0, head: Vec::new(), body: Vec::new() }
}

/// Serves a connection until its end.
fn serve(
    stream: TcpStream,
    connection: usize,
    answers: &mut Vec<&'static str>,
    told: &Sender<Request>,
) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    loop {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            match line.trim_end() {
                "" => break,
                line => head.push(line.to_owned()),
            }
        }
        let mut request = Request { connection, head, body: Vec::new() };
        request.body.resize(request.header("content-length")?.parse().ok()?, 0);
        reader.read_exact(&mut request.body).ok()?;
        // The status, and perhaps header lines.
        let status = answers.pop().unwrap_or("200 OK");
        told.send(request).ok()?;
        write!(&stream, "HTTP/1.1 {status}\r\ncontent-length: 2\r\n\r\nok").ok()?;
    }
}

fn forwarding(topics: &str, to: &str, more: &str) -> Server {
    Server::configured(&format!("[[forward]]\ntopics = \"{topics}\"\nto = \"{to}\"\n{more}\n"))
}

fn event(server: &Server, text: &str) {
    assert_eq!(server.post("/v1/topics/log", "text/plain", text.as_bytes()).status(), 202);
}

/// The value of a metric whose line begins so.
fn metric(server: &Server, begin: &str) -> f64 {
    let page = server.get("/metrics");
    let line = page.text().lines().find_map(|line| line.strip_prefix(begin)).unwrap_or_default().to_owned();
    line.trim().parse().unwrap_or(0.0)
}

/// Waits until the metric is at least that.
fn until(server: &Server, begin: &str, value: f64) {
    wait(server, begin, || metric(server, begin) >= value);
}

/// Looks again and again until it is so.
fn wait(server: &Server, what: &str, so: impl Fn() -> bool) {
    let looks = PATIENCE.as_millis() / TICK.as_millis();
    let is_so = (0..looks).any(|_| {
        let is_so = so();
        if !is_so {
            std::thread::park_timeout(TICK);
        }
        is_so
    });
    assert!(is_so, "{what}: not in time; the daemon said:\n{}", server.log());
}

#[test]
fn a_document_is_posted_whole_to_a_service_that_knows_nothing_of_nyx() {
    let service = Service::start(&[]);
    let server = forwarding("game/**", &format!("http://{}/update", service.addr), "");
    server.post("/v1/topics/game/world", "application/json", br#"{"tick":1,"who":{"a":1}}"#);
    let request = service.next();
    assert_eq!(request.head[0], "POST /update HTTP/1.1");
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.header("x-nyx-topic"), Some("game/world"));
    assert_eq!(request.json(), json!({"tick": 1, "who": {"a": 1}}));
    let merge = [("content-type", "application/merge-patch+json")];
    server.request("PATCH", "/v1/topics/game/world", &merge, br#"{"tick":2}"#);
    assert_eq!(service.next().json(), json!({"tick": 2, "who": {"a": 1}}));
    event(&server, "not of these topics");
    let page = server.get("/metrics");
    assert!(page.text().contains("nyx_forwarded_items_total{to="), "{}", page.text());
}

#[test]
fn one_connection_carries_all_requests() {
    let service = Service::start(&[]);
    let server = forwarding("log", &format!("http://{}/", service.addr), "");
    for number in 0..20 {
        event(&server, &number.to_string());
        let request = service.next();
        assert_eq!((request.connection, &request.body[..]), (0, number.to_string().as_bytes()));
        assert_eq!(request.header("x-nyx-sequence"), Some(number.to_string().as_str()));
    }
}

#[test]
fn what_a_service_can_not_take_now_is_sent_again_and_what_it_refuses_is_dropped_and_counted() {
    let service = Service::start(&["503 Busy", "429 Slow down", "200 OK", "422 Never", "200 OK"]);
    let to = format!("http://{}/", service.addr);
    let server = forwarding("log", &to, "retry_max = \"100ms\"");
    event(&server, "one");
    for _ in 0..3 {
        assert_eq!(service.next().body, b"one");
    }
    event(&server, "two");
    assert_eq!(service.next().body, b"two");
    event(&server, "three");
    assert_eq!(service.next().body, b"three");
    until(&server, &format!("nyx_forwarded_items_total{{to=\"{to}\"}}"), 2.0);
    assert_eq!(metric(&server, &format!("nyx_forward_retries_total{{to=\"{to}\"}}")), 2.0);
    let rejected = format!("nyx_forward_drops_total{{reason=\"rejected\",to=\"{to}\"}}");
    assert_eq!(metric(&server, &rejected), 1.0);
}

#[test]
fn what_was_published_while_the_service_was_away_arrives_when_it_is_back() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let addr = listener.local_addr().expect("it is bound");
    drop(listener);
    let to = format!("http://{addr}/");
    let server = forwarding("log", &to, "retry_max = \"100ms\"\nbatch = 10");
    event(&server, "one");
    until(&server, &format!("nyx_forward_retries_total{{to=\"{to}\"}}"), 1.0);
    event(&server, "two");
    event(&server, "three");
    let service = Service::on(TcpListener::bind(addr).expect("the port is still free"), &[]);
    let mut texts = Vec::new();
    while texts.len() < 3 {
        let items = service.next().json();
        texts.extend(items.as_array().expect("an array").iter().map(|item| item["text"].clone()));
    }
    assert_eq!(texts, ["one", "two", "three"]);
}

#[test]
fn a_full_spool_drops_the_oldest_and_counts_them() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let to = format!("http://{}/", listener.local_addr().expect("it is bound"));
    // Nobody answers there.
    let server = forwarding("log", &to, "spool = \"10KB\"");
    for _ in 0..20 {
        event(&server, &"x".repeat(1000));
    }
    until(&server, &format!("nyx_forward_drops_total{{reason=\"overrun\",to=\"{to}\"}}"), 10.0);
    assert!(metric(&server, &format!("nyx_forward_spooled_bytes{{to=\"{to}\"}}")) <= 10_000.0);
}

#[test]
fn lines_of_json_arrive_over_tcp_and_again_after_the_service_closed_its_connections() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let to = format!("tcp://{}", listener.local_addr().expect("it is bound"));
    let server = forwarding("**", &to, "");
    for round in 0..3 {
        event(&server, &round.to_string());
        let (stream, _) = listener.accept().expect("it connects");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line).expect("a line");
        let line: Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!((&line["topic"], &line["text"]), (&json!("log"), &json!(round.to_string())));
        until(&server, &format!("nyx_forwarded_items_total{{to=\"{to}\"}}"), f64::from(round) + 1.0);
    }
}

#[test]
fn another_hub_gets_every_kind() {
    let other = Server::start();
    let server = forwarding("**", &format!("nyx://{}", other.native()), "batch = 16");
    server.post("/v1/topics/world", "application/json", br#"{"tick":1}"#);
    server.post("/v1/topics/camera", "image/jpeg", b"\xff\xd8 picture");
    event(&server, "hello");
    let arrived = || ["world", "camera", "log"].map(|topic| other.get(&format!("/v1/topics/{topic}")));
    wait(&server, "every kind is there", || arrived().iter().all(|answer| answer.status() == 200));
    let [world, camera, log] = arrived();
    assert_eq!(
        (world.json(), &camera.body[..], log.text()),
        (json!({"tick": 1}), &b"\xff\xd8 picture"[..], "hello")
    );
    assert_eq!(camera.header("content-type"), "image/jpeg");
}

#[test]
fn what_another_hub_refuses_is_dropped_and_holds_up_nothing_beside_it() {
    let other = Server::configured("[limits]\ndocument_bytes = \"1KiB\"\nmessage_bytes = \"4KiB\"\n");
    // There it is a document.
    other.post("/v1/topics/log", "application/json", b"{}");
    let to = format!("nyx://{}", other.native());
    let server = forwarding("**", &to, "batch = 5\nlinger = \"1h\"");
    let say = |text: &str| {
        assert_eq!(server.post("/v1/topics/chat", "text/plain", text.as_bytes()).status(), 202);
    };
    let long = "x".repeat(2000);
    for round in 1..3 {
        say(&format!("one of {round}"));
        event(&server, "no event there");
        say(&long.repeat(3));
        let large = format!("{{\"round\":{round},\"filler\":\"{long}\"}}");
        server.post("/v1/topics/world", "application/json", large.as_bytes());
        let last = format!("two of {round}");
        say(&last);
        let counted = format!("nyx_forwarded_items_total{{to=\"{to}\"}}");
        until(&server, &counted, f64::from(round) * 2.0);
        assert_eq!(metric(&server, &counted), f64::from(round) * 2.0);
        assert_eq!(other.get("/v1/topics/chat").text(), last);
        let rejected = format!("nyx_forward_drops_total{{reason=\"rejected\",to=\"{to}\"}}");
        until(&server, &rejected, f64::from(round) * 3.0);
        assert_eq!(metric(&server, &rejected), f64::from(round) * 3.0);
        assert_eq!(metric(&server, &format!("nyx_forward_retries_total{{to=\"{to}\"}}")), 0.0);
    }
}

#[test]
fn a_document_that_others_have_changed_on_another_hub_is_sent_whole_again() {
    let other = Server::start();
    let to = format!("nyx://{}", other.native());
    let server = forwarding("world", &to, "retry_max = \"100ms\"");
    let there = || other.get("/v1/topics/world");
    server.post("/v1/topics/world", "application/json", br#"{"list":[1,2,3]}"#);
    wait(&server, "it is there", || there().status() == 200 && there().json()["list"] == json!([1, 2, 3]));
    other.post("/v1/topics/world", "application/json", br#"{"list":7}"#);
    server.post("/v1/topics/world", "application/json", br#"{"list":[1,2,4]}"#);
    wait(&server, "it is there again", || there().json()["list"] == json!([1, 2, 4]));
    assert_eq!(metric(&server, &format!("nyx_forward_retries_total{{to=\"{to}\"}}")), 1.0);
}

#[test]
fn what_is_on_its_way_when_the_server_ends_is_told_as_dropped() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let to = format!("http://{}/", listener.local_addr().expect("it is bound"));
    let mut server = forwarding("log", &to, "");
    event(&server, "one");
    let _unanswered = listener.accept().expect("it connects");
    event(&server, "two");
    server.terminate();
    assert!(server.wait().success());
    let log = server.log();
    let told = log.lines().find(|line| line.contains("dropped at the end")).expect("it is told");
    assert!(told.contains("items") && told.trim_end().ends_with('2'), "{told}");
}

#[test]
fn what_waits_is_delivered_when_the_server_stops() {
    let service = Service::start(&[]);
    let server = forwarding("log", &format!("http://{}/", service.addr), "batch = 100\nlinger = \"1h\"");
    event(&server, "the last");
    until(&server, &format!("nyx_forward_spooled_bytes{{to=\"http://{}/\"}}", service.addr), 1.0);
    assert!(server.stop().success());
    assert_eq!(service.next().json()[0]["text"], "the last");
}

#[test]
fn a_service_that_says_when_to_come_back_is_left_alone_until_then() {
    let service = Service::start(&["503 Busy\r\nretry-after: 3600"]);
    let to = format!("http://{}/", service.addr);
    let server = forwarding("log", &to, "retry_max = \"50ms\"\nretry_after_max = \"1h\"");
    event(&server, "one");
    assert_eq!(service.next().body, b"one");
    until(&server, &format!("nyx_forward_retries_total{{to=\"{to}\"}}"), 1.0);
    // At the end everything that may be sent is, and this may not.
    assert!(server.stop().success());
    assert!(service.requests.try_iter().all(|request| request.head.is_empty()), "it was asked again");
}

#[test]
fn a_service_that_wants_to_be_left_alone_for_years_is_not() {
    let service = Service::start(&["429 Slow down\r\nretry-after: Fri, 06 Nov 2054 08:49:37 GMT"]);
    let to = format!("http://{}/", service.addr);
    let server = forwarding("log", &to, "retry_after_max = \"10ms\"");
    event(&server, "one");
    assert_eq!((service.next().body, service.next().body), (b"one".to_vec(), b"one".to_vec()));
    until(&server, &format!("nyx_forwarded_items_total{{to=\"{to}\"}}"), 1.0);
}
