//! Peers that come too often: refused by name, counted, and told when to come back.

mod common;

use std::io::Read as _;
use std::net::TcpStream;

use common::Server;

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
