//! Connecting, against a scripted hub.

mod peer;

use nyx_client::{Client, Config, ConnectError, ErrorCode};
use nyx_protocol::control::{self, Welcome};
use peer::{Peer, quick};

async fn connect_to(answer: &[u8]) -> ConnectError {
    let peer = Peer::new().await;
    let (connected, ()) = tokio::join!(Client::connect(peer.address(), quick()), async {
        let mut link = peer.accept_raw().await;
        link.control().await;
        link.raw(answer).await;
    });
    connected.unwrap_err()
}

#[tokio::test]
async fn nobody_there_is_an_error_that_says_what_to_do() {
    let address = Peer::new().await.address();
    let error = Client::connect(address, Config::default()).await.unwrap_err();
    assert!(error.to_string().contains("nyx serve"), "{error}");
}

#[tokio::test]
async fn what_is_no_hub_is_told_so() {
    let error = connect_to(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    assert!(matches!(error, ConnectError::NotAHub { .. }), "{error}");
    let error = connect_to(b"").await;
    assert!(matches!(error, ConnectError::Io { .. }), "{error}");
}

#[tokio::test]
async fn a_refused_version_is_told_in_the_hubs_words() {
    let mut answer = bytes::BytesMut::new();
    let code = ErrorCode::UnsupportedVersion as i32;
    control::put(
        &mut answer,
        control::Error { code, message: "speak 2".to_owned(), fatal: true, ..Default::default() },
    );
    let error = connect_to(&answer).await;
    assert!(matches!(&error, ConnectError::Refused(refusal) if refusal.message == "speak 2"), "{error}");
}

#[tokio::test]
async fn a_silent_peer_times_out() {
    let peer = Peer::new().await;
    let mut config = quick();
    config.connect_timeout = std::time::Duration::from_millis(50);
    let error = Client::connect(peer.address(), config).await.unwrap_err();
    assert!(matches!(error, ConnectError::Silent(_)), "{error}");
}

#[tokio::test]
async fn who_waits_for_the_server_gets_it() {
    let peer = Peer::new().await;
    let mut config = quick();
    config.wait_for_server = true;
    let (client, _link) = tokio::join!(Client::connect(peer.address(), config), async {
        for _ in 0..3 {
            drop(peer.accept_raw().await);
        }
        let mut link = peer.accept_raw().await;
        link.control().await;
        link.send(Welcome { version: 1, ..Welcome::default() }).await;
        link
    });
    assert!(client.unwrap().stats().last_error.is_some());
}
