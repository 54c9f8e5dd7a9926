//! Peers that come too often: refused by name, counted, and told when to come back.

mod common;

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use common::Server;

/// Waits for a line of the log that a refusal is told in.
fn logged(server: &Server, what: &str) {
    let is_told = || server.log().lines().any(|line| line.contains("refused=") && line.contains(what));
    server.until(what, || is_told().then_some(()));
}

const JSON: (&str, &str) = ("content-type", "application/json");

#[test]
fn too_many_requests_are_answered_with_429_and_the_time_to_wait() {
    let server = Server::configured("[limits]\nrequests_per_peer = \"1/min burst 3\"");
    for _ in 0..3 {
        assert_eq!(server.get("/healthz").status(), 200);
    }
    let refused = server.get("/healthz");
    assert_eq!(refused.error(), (429, "rate_limited".to_owned()));
    let seconds: u64 = refused.header("retry-after").parse().unwrap();
    assert!((50..=60).contains(&seconds), "{seconds}");
    logged(&server, "limits.requests_per_peer");
}

#[test]
fn an_address_publishes_as_many_messages_by_http_as_a_session_may() {
    let server = Server::configured("[limits]\npublish_messages = \"1/min burst 2\"");
    assert_eq!(server.post("/v1/topics/a", "text/plain", b"one").status(), 202);
    assert_eq!(server.request("PUT", "/v1/topics/b", &[JSON], b"{}").status(), 202);
    for (method, topic) in [("POST", "a"), ("PUT", "b"), ("PATCH", "b")] {
        let refused = server.request(method, &format!("/v1/topics/{topic}"), &[JSON], b"{}");
        assert_eq!(refused.error(), (429, "rate_limited".to_owned()), "{method}");
        let seconds: u64 = refused.header("retry-after").parse().unwrap();
        assert!((1..=60).contains(&seconds), "{seconds}");
        assert!(refused.text().contains("limits.publish_messages"), "{}", refused.text());
    }
    logged(&server, "limits.publish_messages");
    assert_eq!(server.get("/v1/topics").status(), 200);
    let metrics = server.get("/metrics");
    for line in ["nyx_topic_messages_total{topic=\"a\"} 1\n", "nyx_http_published_total{topic=\"b\"} 1\n"] {
        assert!(metrics.text().contains(line), "{line} in {}", metrics.text());
    }
}

#[test]
fn an_address_publishes_as_many_bytes_by_http_as_a_session_may() {
    let server = Server::configured("[limits]\npublish_bytes = \"10/min burst 100\"");
    let publish = |bytes| server.post("/v1/topics/a", "text/plain", &vec![b'.'; bytes]);
    let never = publish(101);
    assert_eq!(never.error(), (413, "too_large".to_owned()));
    assert!(never.text().contains("limits.publish_bytes"), "{}", never.text());
    assert_eq!(publish(60).status(), 202);
    let refused = publish(60);
    assert_eq!(refused.error(), (429, "rate_limited".to_owned()));
    let seconds: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=120).contains(&seconds), "{seconds}");
    assert_eq!(publish(40).status(), 202);
}

#[test]
fn who_connects_too_often_is_closed_at_once_and_the_log_says_so() {
    let mut server = Server::configured("[limits]\nconnections_per_peer = \"1/min burst 2\"");
    let kept: Vec<_> = (0..2).map(|_| TcpStream::connect(server.native()).unwrap()).collect();
    for _ in 0..5 {
        let mut refused = TcpStream::connect(server.native()).unwrap();
        // Closed, or reset: either is the end.
        assert_eq!(refused.read(&mut [0; 1]).unwrap_or(0), 0);
    }
    drop(kept);
    server.terminate();
    server.wait();
    assert!(server.log().contains("connects too often"), "{}", server.log());
}

/// Answers each request on each connection so, and closes.
fn refusing() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            // A head and a body of a few bytes come at once.
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 422 Never\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        }
    });
    addr
}

#[test]
fn who_publishes_what_a_service_refuses_does_not_fill_the_log() {
    const ITEMS: usize = 200;
    let to = format!("http://{}/", refusing());
    let server = Server::configured(&format!("[[forward]]\ntopics = \"log\"\nto = \"{to}\""));
    let batch = "{}\n".repeat(ITEMS);
    let lines = [("content-type", "application/x-ndjson")];
    assert_eq!(server.request("POST", "/v1/topics/log", &lines, batch.as_bytes()).status(), 202);
    let dropped = format!("nyx_forward_drops_total{{reason=\"rejected\",to=\"{to}\"}} {ITEMS}\n");
    server.until("all are dropped", || server.get("/metrics").text().contains(&dropped).then_some(()));
    let told = server.log().lines().filter(|line| line.contains("refused for good")).count();
    assert!((1..ITEMS / 2).contains(&told), "{told}: {}", server.log());
}
