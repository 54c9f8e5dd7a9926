//! Encrypted connections that are used again: tickets are no answer, and what the server closed is not handed out.
#![cfg(feature = "tls")]

mod authority;

use std::sync::Arc;

use authority::{Authority, Validity};
use nyx_transport::pool::{AcquireError, Config, Pool, Reason, Secure, SecureError, Tcp};
use nyx_transport::tls::client::{self, Connector};
use nyx_transport::tls::server::Acceptor;
use nyx_transport::{Address, tcp};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Notify;

/// A server that answers each byte with itself, and after a zero closes the connection.
async fn echo(ours: &Authority) -> (Address, Arc<Notify>) {
    let acceptor = Acceptor::load(ours.server("hub.example", Validity::Now), b"echo/1").unwrap();
    let listener = tcp::listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = Address::from(listener.local_addr().unwrap()).with_tls();
    let closed = Arc::new(Notify::new());
    let told = closed.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            while let Ok(byte) = stream.read_u8().await {
                stream.write_u8(byte).await.unwrap();
                stream.flush().await.unwrap();
                if byte == 0 {
                    break;
                }
            }
            // What the peer was sent has arrived there when this is known to be over.
            let _ = stream.shutdown().await;
            drop(stream);
            told.notify_one();
        }
    });
    (address, closed)
}

fn trusting(roots: &Authority) -> Secure {
    let mut config = client::Config::default();
    config.roots = Some(roots.root());
    Secure::new(Tcp::default(), Some(Connector::new(&config, b"echo/1").unwrap()))
}

#[tokio::test]
async fn a_connection_is_used_again_though_the_server_sent_tickets() {
    let ours = Authority::new("ours");
    let (address, _) = echo(&ours).await;
    let pool = Pool::new(trusting(&ours), Config::default());
    let target = pool.target(&address).unwrap();
    for byte in 1..20 {
        let mut lease = target.acquire().await.unwrap();
        lease.write_u8(byte).await.unwrap();
        lease.flush().await.unwrap();
        assert_eq!(lease.read_u8().await.unwrap(), byte);
        lease.release();
    }
    assert_eq!((target.stats().created, target.stats().reused), (1, 18));
}

#[tokio::test]
async fn one_that_the_server_closed_is_not_handed_out() {
    let ours = Authority::new("ours");
    let (address, closed) = echo(&ours).await;
    let mut config = Config::default();
    config.verify_after = std::time::Duration::ZERO;
    let pool = Pool::new(trusting(&ours), config);
    let target = pool.target(&address).unwrap();
    for round in 1..=3 {
        let mut lease = target.acquire().await.unwrap();
        lease.write_u8(0).await.unwrap();
        lease.flush().await.unwrap();
        assert_eq!(lease.read_u8().await.unwrap(), 0);
        lease.release();
        closed.notified().await;
        assert_eq!(target.stats().created, round);
    }
    let mut lease = target.acquire().await.unwrap();
    lease.write_u8(7).await.unwrap();
    lease.flush().await.unwrap();
    assert_eq!(lease.read_u8().await.unwrap(), 7);
    let stats = target.stats();
    assert_eq!((stats.created, stats.closed(Reason::Peer) + stats.closed(Reason::Unread)), (4, 3));
}

#[tokio::test]
async fn an_address_that_is_to_be_encrypted_is_never_called_without() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let (address, _) = echo(&ours).await;
    let pool = Pool::new(Secure::default(), Config::default());
    let error = pool.acquire(&address).await.unwrap_err();
    assert!(matches!(error, AcquireError::Connect { source: SecureError::NotSetUp(_), .. }), "{error}");
    let pool = Pool::new(trusting(&theirs), Config::default());
    let error = pool.acquire(&address).await.unwrap_err();
    assert!(matches!(error, AcquireError::Connect { source: SecureError::Tls { .. }, .. }), "{error}");
}
