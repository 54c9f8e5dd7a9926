//! A sink that takes what it is sent and says nothing.

use std::io::Read as _;
use std::net::TcpListener;
use std::sync::mpsc::channel;

use crate::{PATIENCE, Service, event, forwarding, metric, until};

/// Takes a request, leaves it without an answer until the forwarder gives it up, and returns it.
fn ignore(listener: &TcpListener) -> Vec<u8> {
    let (mut stream, _) = listener.accept().expect("it connects");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    let mut request = Vec::new();
    stream.read_to_end(&mut request).expect("it is given up");
    request
}

#[test]
fn what_a_service_leaves_without_an_answer_is_sent_again_until_it_has_all() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let to = format!("http://{}/", listener.local_addr().expect("it is bound"));
    let (told, ignored) = channel();
    std::thread::spawn(move || told.send(([ignore(&listener), ignore(&listener)], listener)));
    let server = forwarding("log", &to, "timeout = \"300ms\"\nretry_max = \"100ms\"");
    for text in ["one", "two", "three"] {
        event(&server, text);
    }
    let (requests, listener) = ignored.recv_timeout(PATIENCE).expect("it is tried again");
    for request in requests {
        assert!(request.ends_with(b"\r\n\r\none"), "{}", String::from_utf8_lossy(&request));
    }
    until(&server, &format!("nyx_forward_retries_total{{to=\"{to}\"}}"), 2.0);
    let taken = format!("nyx_forwarded_items_total{{to=\"{to}\"}}");
    assert_eq!(metric(&server, &taken), 0.0);

    let service = Service::on(listener, &[]);
    until(&server, &taken, 3.0);
    let answered = service.requests.try_iter().filter(|request| !request.head.is_empty());
    let mut bodies: Vec<_> = answered.map(|request| request.body).collect();
    // Whoever answers too late, as on a busy machine, gets it once more.
    bodies.dedup();
    assert_eq!(bodies, [&b"one"[..], b"two", b"three"]);
    assert_eq!(metric(&server, &taken), 3.0);
    let page = server.get("/metrics");
    let drops: Vec<_> = page
        .text()
        .lines()
        .filter(|line| line.starts_with("nyx_forward_drops_total{"))
        .map(str::to_owned)
        .collect();
    assert!(!drops.is_empty() && drops.iter().all(|line| line.ends_with(" 0")), "{drops:?}");
}
