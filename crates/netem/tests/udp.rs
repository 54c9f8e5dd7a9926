//! A UDP proxy between real sockets: content and accounting. Times and shares are in the tests of the path.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use nyx_netem::Conditions;
use nyx_netem::udp::{Config, Handle, Proxy};
use tokio::net::UdpSocket;

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

fn proxy(upstream: SocketAddr, config: impl Into<Config>) -> Handle {
    let proxy = Proxy::bind(ANY, upstream, config.into()).unwrap();
    let handle = proxy.handle();
    tokio::spawn(proxy.run());
    handle
}

async fn patiently<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), what).await.expect("it does not happen")
}

async fn until(mut condition: impl FnMut() -> bool) {
    patiently(async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn datagrams_cross_in_both_directions_and_clients_are_told_apart() {
    let server = UdpSocket::bind(ANY).await.unwrap();
    let handle = proxy(server.local_addr().unwrap(), Conditions::default());
    let mut buffer = [0; 100];
    for text in ["one", "two"] {
        let client = UdpSocket::bind(ANY).await.unwrap();
        client.connect(handle.local_addr()).await.unwrap();
        client.send(text.as_bytes()).await.unwrap();
        let (length, from) = patiently(server.recv_from(&mut buffer)).await.unwrap();
        assert_eq!(&buffer[..length], text.as_bytes());
        server.send_to(b"answer", from).await.unwrap();
        let length = patiently(client.recv(&mut buffer)).await.unwrap();
        assert_eq!(&buffer[..length], b"answer");
    }
    until(|| handle.totals().to_client.delivered == 2).await;
    assert_eq!((handle.totals().clients, handle.totals().to_upstream.delivered), (2, 2));
}

#[tokio::test]
async fn what_is_lost_doubled_or_cut_is_counted() {
    let server = UdpSocket::bind(ANY).await.unwrap();
    let mut conditions = Conditions::default();
    conditions.loss = "100%".parse().unwrap();
    let handle = proxy(server.local_addr().unwrap(), conditions);
    let client = UdpSocket::bind(ANY).await.unwrap();
    client.connect(handle.local_addr()).await.unwrap();
    client.send(b"lost").await.unwrap();
    until(|| handle.totals().to_upstream.lost == 1).await;
    handle.cut(true);
    client.send(b"cut").await.unwrap();
    until(|| handle.totals().to_upstream.cut == 1).await;
    handle.update(|conditions| {
        conditions.loss = "0%".parse().unwrap();
        conditions.duplicate = "100%".parse().unwrap();
    });
    handle.cut(false);
    client.send(b"twice").await.unwrap();
    let mut buffer = [0; 100];
    for _ in 0..2 {
        let length = patiently(server.recv(&mut buffer)).await.unwrap();
        assert_eq!(&buffer[..length], b"twice");
    }
}

#[tokio::test]
async fn what_the_system_would_not_send_is_counted_and_was_not_delivered() {
    // To all: a socket has to ask for that, and this one does not.
    let handle = proxy("255.255.255.255:9".parse().unwrap(), Conditions::default());
    let client = UdpSocket::bind(ANY).await.unwrap();
    client.send_to(b"to nobody", handle.local_addr()).await.unwrap();
    until(|| handle.totals().unsendable == 1).await;
    assert_eq!((handle.totals().to_upstream.received, handle.totals().to_upstream.delivered), (1, 0));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_burst_that_nobody_reads_in_time_is_accounted_for() {
    let server = UdpSocket::bind(ANY).await.unwrap();
    let handle = proxy(server.local_addr().unwrap(), Conditions::default());
    let client = std::net::UdpSocket::bind(ANY).unwrap();
    // The runtime has one thread, which is here: so nobody reads meanwhile, and no buffer holds as many.
    const SENT: u64 = 20_000;
    for _ in 0..SENT {
        client.send_to(&[7; 1400], handle.local_addr()).unwrap();
    }
    assert!(handle.totals().unread > 0);
    until(|| {
        let totals = handle.totals();
        totals.to_upstream.received + totals.refused + totals.unread == SENT
    })
    .await;
    assert!(handle.totals().to_upstream.received > 0);
}

#[tokio::test]
async fn clients_over_the_limit_are_refused_and_silent_ones_are_forgotten() {
    let server = UdpSocket::bind(ANY).await.unwrap();
    let mut config = Config::default();
    config.clients_max = 1;
    config.idle = Duration::from_millis(1);
    let handle = proxy(server.local_addr().unwrap(), config);
    let mut clients = Vec::new();
    // Each may come as soon as the one before is forgotten; until then it is refused.
    while handle.totals().clients < 3 {
        let client = UdpSocket::bind(ANY).await.unwrap();
        client.send_to(b"hello", handle.local_addr()).await.unwrap();
        clients.push(client);
        tokio::task::yield_now().await;
    }
    assert!(clients.len() >= 3);
}
