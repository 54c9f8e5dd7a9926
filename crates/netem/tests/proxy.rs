//! A proxy between real sockets: content and accounting. Times are in the tests of the link.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};

use nyx_core::{Bitrate, ByteSize};
use nyx_netem::proxy::{BindError, Config};
use nyx_netem::{Handle, Impairment, Proxy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Far beyond what anything here takes.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

fn content(length: usize, salt: usize) -> Vec<u8> {
    (0..length).map(|position| ((position * 31 + salt) % 251) as u8).collect()
}

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind(ANY).await.unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

/// A running proxy in front of `upstream`.
fn proxy(upstream: SocketAddr, config: impl Into<Config>) -> Handle {
    let proxy = Proxy::bind(ANY, upstream, config.into()).unwrap();
    let handle = proxy.handle();
    tokio::spawn(proxy.run());
    handle
}

async fn connect(handle: &Handle, listener: &TcpListener) -> (TcpStream, TcpStream) {
    let client = TcpStream::connect(handle.local_addr()).await.unwrap();
    (client, listener.accept().await.unwrap().0)
}

/// Whether a client that comes now is reset.
async fn is_reset(handle: &Handle) -> bool {
    let Ok(mut client) = TcpStream::connect(handle.local_addr()).await else { return true };
    let read = tokio::time::timeout(PATIENCE, client.read(&mut [0; 8])).await;
    read.expect("it stays open").is_err()
}

async fn until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        tokio::task::yield_now().await;
    }
}

fn hurried() -> Impairment {
    let mut impairment = Impairment::default();
    impairment.rate = Some(Bitrate::from_bits_per_second(80_000_000));
    impairment.delay = std::time::Duration::from_millis(2);
    impairment.jitter = std::time::Duration::from_millis(2);
    impairment
}

/// Sends `data` and ends its direction, then takes everything from the other side.
async fn exchange(mut stream: TcpStream, data: Vec<u8>) -> Vec<u8> {
    let (mut reader, mut writer) = stream.split();
    let mut received = Vec::new();
    let send = async {
        writer.write_all(&data).await.unwrap();
        writer.shutdown().await.unwrap();
    };
    let (_, read) = tokio::join!(send, reader.read_to_end(&mut received));
    read.unwrap();
    received
}

#[tokio::test]
async fn both_directions_carry_their_bytes_unchanged_and_counted() {
    for impairment in [Impairment::default(), hurried()] {
        let (listener, upstream) = listener().await;
        let handle = proxy(upstream, impairment);
        let (client, server) = connect(&handle, &listener).await;
        let (up, down) = (content(300_000, 1), content(500_000, 2));
        let (at_client, at_server) =
            tokio::join!(exchange(client, down.clone()), exchange(server, up.clone()));
        assert!(at_client == up && at_server == down);

        until(|| handle.counters().open == 0).await;
        let counters = handle.counters();
        assert_eq!((counters.accepted, counters.reset, counters.cut), (1, 0, 0));
        assert_eq!((counters.to_client.received, counters.to_client.delivered), (300_000, 300_000));
        assert_eq!((counters.to_upstream.received, counters.to_upstream.delivered), (500_000, 500_000));
    }
}

#[tokio::test]
async fn an_end_passes_while_the_other_direction_goes_on() {
    let (listener, upstream) = listener().await;
    let handle = proxy(upstream, Impairment::default());
    let (mut client, mut server) = connect(&handle, &listener).await;
    client.shutdown().await.unwrap();
    assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 0);
    server.write_all(b"still here").await.unwrap();
    drop(server);
    let mut text = String::new();
    client.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "still here");
}

#[tokio::test]
async fn a_reset_passes_as_a_reset() {
    let (listener, upstream) = listener().await;
    let handle = proxy(upstream, Impairment::default());
    let (client, mut server) = connect(&handle, &listener).await;
    client.set_zero_linger().unwrap();
    drop(client);
    assert!(server.read(&mut [0; 8]).await.is_err());
    until(|| handle.counters().open == 0).await;
    assert_eq!(handle.counters().reset, 1);
}

#[tokio::test]
async fn a_reset_passes_also_after_an_end_and_while_the_link_is_full() {
    let (listener, upstream) = listener().await;
    let mut shut = Impairment::default();
    shut.rate = Some(Bitrate::default());
    for (impairment, ends) in [(Impairment::default(), true), (shut, false)] {
        let handle = proxy(upstream, impairment);
        let (mut client, mut server) = connect(&handle, &listener).await;
        if ends {
            client.shutdown().await.unwrap();
            assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 0);
        } else {
            let room = handle.impairment().buffer.bytes();
            client.write_all(&vec![0; room as usize]).await.unwrap();
            until(|| handle.counters().to_upstream.received == room).await;
        }
        client.set_zero_linger().unwrap();
        drop(client);
        tokio::time::timeout(PATIENCE, until(|| handle.counters().open == 0)).await.expect("it is not seen");
        assert_eq!(handle.counters().reset, 1);
        assert!(server.write_all(b"x").await.is_err());
    }
}

#[tokio::test]
async fn a_refusal_upstream_closes_the_client_and_is_counted() {
    let (listener, upstream) = listener().await;
    drop(listener);
    let handle = proxy(upstream, Impairment::default());
    let mut client = TcpStream::connect(handle.local_addr()).await.unwrap();
    assert!(!matches!(client.read(&mut [0; 8]).await, Ok(1..)));
    until(|| handle.counters().open == 0).await;
    assert_eq!(handle.counters().unreachable, 1);
}

#[tokio::test]
async fn a_cut_resets_present_connections_and_spares_new_ones() {
    let (listener, upstream) = listener().await;
    let handle = proxy(upstream, Impairment::default());
    let (mut client, mut server) = connect(&handle, &listener).await;
    handle.cut();
    assert!(client.read(&mut [0; 8]).await.is_err());
    assert!(server.read(&mut [0; 8]).await.is_err());
    until(|| handle.counters().open == 0).await;
    assert_eq!(handle.counters().cut, 1);

    let (client, server) = connect(&handle, &listener).await;
    let (at_client, _) = tokio::join!(exchange(client, vec![]), exchange(server, content(1000, 3)));
    assert_eq!(at_client, content(1000, 3));
}

#[tokio::test]
async fn a_link_that_is_down_resets_what_comes_until_it_is_up_again() {
    let (listener, upstream) = listener().await;
    let handle = proxy(upstream, Impairment::default());
    let (mut client, mut server) = connect(&handle, &listener).await;
    client.write_all(b"before").await.unwrap();
    server.read_exact(&mut [0; 6]).await.unwrap();
    handle.down(true);
    assert!(client.read(&mut [0; 8]).await.is_err());
    assert!(server.read(&mut [0; 8]).await.is_err());
    for _ in 0..3 {
        assert!(is_reset(&handle).await);
    }
    until(|| handle.counters().open == 0).await;
    let counters = handle.counters();
    assert_eq!((counters.accepted, counters.cut), (4, 4));
    assert_eq!((counters.over_limit, counters.unreachable, counters.reset), (0, 0, 0));

    handle.down(false);
    // Nobody who came meanwhile was let through to upstream: the next there is this one.
    let (client, server) = connect(&handle, &listener).await;
    let (at_client, at_server) =
        tokio::join!(exchange(client, content(100_000, 9)), exchange(server, content(100_000, 10)));
    assert!(at_client == content(100_000, 10) && at_server == content(100_000, 9));
    assert_eq!(handle.counters().cut, 4);
}

#[tokio::test]
async fn nothing_moves_while_stalled_and_nothing_is_lost_by_it() {
    let (listener, upstream) = listener().await;
    let handle = proxy(upstream, Impairment::default());
    handle.stall(true);
    let (client, server) = connect(&handle, &listener).await;
    let client = tokio::spawn(exchange(client, content(100_000, 4)));
    let server = tokio::spawn(exchange(server, content(100_000, 5)));
    // The runtime has one thread, so these are turns of the proxy, too.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    let counters = handle.counters();
    assert_eq!((counters.to_client.received, counters.to_upstream.received), (0, 0));
    handle.stall(false);
    assert!(server.await.unwrap() == content(100_000, 4) && client.await.unwrap() == content(100_000, 5));
}

#[tokio::test]
async fn a_link_that_lets_nothing_through_opens_when_told() {
    let (listener, upstream) = listener().await;
    let mut impairment = Impairment::default();
    impairment.rate = Some(Bitrate::default());
    let handle = proxy(upstream, impairment);
    let (client, server) = connect(&handle, &listener).await;
    let both = async { tokio::join!(exchange(client, content(100_000, 6)), exchange(server, vec![])) };
    let open = async {
        until(|| handle.counters().to_upstream.received > 0).await;
        assert_eq!(handle.counters().to_upstream.delivered, 0);
        handle.update(|impairment| impairment.rate = None);
    };
    let ((_, at_server), ()) = tokio::join!(both, open);
    assert!(at_server == content(100_000, 6));
}

#[tokio::test]
async fn a_client_that_reads_nothing_holds_up_nobody_else() {
    let (listener, upstream) = listener().await;
    let handle = proxy(upstream, Impairment::default());
    let (_silent, mut server) = connect(&handle, &listener).await;
    let flood = tokio::spawn(async move { while server.write_all(&[0; 4096]).await.is_ok() {} });
    let (client, server) = connect(&handle, &listener).await;
    let (at_client, _) = tokio::join!(exchange(client, vec![]), exchange(server, content(2_000_000, 7)));
    assert!(at_client == content(2_000_000, 7));

    let counters = handle.counters();
    let held = counters.to_client.received - counters.to_client.delivered;
    assert!(held <= handle.impairment().buffer.bytes(), "{held} bytes in the proxy");
    flood.abort();
}

#[tokio::test]
async fn connections_over_the_limit_are_closed_and_counted() {
    let (listener, upstream) = listener().await;
    let mut config = Config::default();
    config.connections_max = 1;
    let handle = proxy(upstream, config);
    let (_first, _server) = connect(&handle, &listener).await;
    let mut second = TcpStream::connect(handle.local_addr()).await.unwrap();
    assert!(second.read(&mut [0; 8]).await.is_err());
    assert_eq!((handle.counters().over_limit, handle.counters().open), (1, 1));
}

#[tokio::test]
async fn dropping_the_proxy_ends_its_connections() {
    let (listener, upstream) = listener().await;
    let proxy = Proxy::bind(ANY, upstream, Config::default()).unwrap();
    let handle = proxy.handle();
    let running = tokio::spawn(proxy.run());
    let (mut client, _server) = connect(&handle, &listener).await;
    running.abort();
    assert!(!matches!(client.read(&mut [0; 8]).await, Ok(1..)));
    until(|| handle.counters().open == 0).await;
}

#[tokio::test]
async fn a_busy_port_is_named_in_the_error() {
    let (_listener, taken) = listener().await;
    let error = Proxy::bind(taken, taken, Config::default()).unwrap_err();
    assert!(matches!(error, BindError::Listen { listen, .. } if listen == taken));
    assert!(error.to_string().contains(&taken.to_string()), "{error}");
}

#[tokio::test]
async fn tiny_buffers_still_carry_everything() {
    let (listener, upstream) = listener().await;
    let mut config = Config::default();
    config.impairment.buffer = ByteSize::new(0);
    config.socket_buffer = ByteSize::new(0);
    let handle = proxy(upstream, config);
    let (client, server) = connect(&handle, &listener).await;
    let (at_client, _) = tokio::join!(exchange(client, vec![]), exchange(server, content(20_000, 8)));
    assert!(at_client == content(20_000, 8));
}

#[test]
fn handles_and_running_proxies_can_move_between_threads() {
    fn movable(_: impl Future + Send + 'static) {}
    let assert = |proxy: Proxy| movable(proxy.run());
    let _ = assert;
}
