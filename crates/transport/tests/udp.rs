//! Datagrams over real sockets.

use std::net::SocketAddr;
use std::time::Duration;

use nyx_transport::udp::{Batch, Ecn, Inbox, Options, Socket};

fn bind(addr: &str) -> Socket {
    Socket::bind(addr.parse().unwrap(), &Options::default()).unwrap()
}

/// Receives until so many have come; the payloads.
async fn receive(socket: &Socket, inbox: &mut Inbox, count: usize) -> Vec<Vec<u8>> {
    let all = async {
        let mut payloads = Vec::new();
        while payloads.len() < count {
            let received = socket.recv(inbox).await.unwrap();
            assert_eq!(received, inbox.iter().count());
            payloads.extend(inbox.iter().map(|datagram| datagram.payload.to_vec()));
        }
        payloads
    };
    tokio::time::timeout(Duration::from_secs(30), all).await.expect("loopback loses nothing that fits")
}

async fn carries_batches(here: &str, [from, to]: [bool; 2]) {
    let [from, to] = [from, to].map(|batched| {
        let mut options = Options::default();
        options.batched = batched;
        Socket::bind(here.parse().unwrap(), &options).unwrap()
    });
    let addr = to.local_addr().unwrap();
    let (mut batch, mut inbox) = (Batch::default(), Inbox::new());
    let sizes = [64, 64, 64, 10, 0, 1200, 1200, 7, 8000];
    let payloads: Vec<_> = sizes.iter().enumerate().map(|(salt, &size)| vec![salt as u8; size]).collect();
    for payload in &payloads {
        batch.push(addr, payload).unwrap();
    }
    let sent = from.send(&mut batch).await.unwrap();
    assert_eq!((sent.datagrams, sent.too_large, sent.failed), (sizes.len(), 0, 0));
    assert!(batch.is_empty() && sent.calls <= sizes.len());
    if from.segments_max() == 1 {
        assert_eq!(sent.calls, sizes.len());
    }
    assert_eq!(receive(&to, &mut inbox, sizes.len()).await, payloads);
}

#[tokio::test]
async fn batches_arrive_whole_and_in_order_over_ipv4() {
    carries_batches("127.0.0.1:0", [true, true]).await;
}

#[tokio::test]
async fn batches_arrive_whole_and_in_order_one_by_one() {
    for batched in [[false, true], [true, false], [false, false]] {
        carries_batches("127.0.0.1:0", batched).await;
    }
}

#[tokio::test]
async fn batches_arrive_whole_and_in_order_over_ipv6() {
    // Where the machine has none, there is nothing to say.
    if std::net::UdpSocket::bind("[::1]:0").is_ok() {
        carries_batches("[::1]:0", [true, true]).await;
    }
}

#[tokio::test]
async fn a_small_inbox_loses_nothing() {
    let (from, to) = (bind("127.0.0.1:0"), bind("127.0.0.1:0"));
    let addr = to.local_addr().unwrap();
    let mut batch = Batch::default();
    for number in 0..50u8 {
        // Of different sizes, so that none travels with another.
        batch.push(addr, &vec![number; 1 + usize::from(number) * 3 % 50]).unwrap();
    }
    from.send(&mut batch).await.unwrap();
    let payloads = receive(&to, &mut Inbox::with_buffers(1), 50).await;
    assert!(payloads.iter().zip(0u8..).all(|(payload, number)| payload[0] == number));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn marks_and_addresses_are_told() {
    let (from, to) = (bind("127.0.0.1:0"), bind("0.0.0.0:0"));
    let port = to.local_addr().unwrap().port();
    let addr = SocketAddr::from(([127, 0, 0, 1], port));
    let mut batch = Batch::default();
    batch.push_marked(addr, None, Some(Ecn::Ce), b"marked").unwrap();
    from.send(&mut batch).await.unwrap();
    let mut inbox = Inbox::new();
    to.recv(&mut inbox).await.unwrap();
    let datagram = inbox.iter().next().unwrap();
    assert_eq!(datagram.ecn, Some(Ecn::Ce));
    assert_eq!(datagram.local, Some(addr.ip()));
    assert_eq!(datagram.source, from.local_addr().unwrap());
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn what_can_not_be_sent_is_dropped_and_counted_and_the_rest_goes_out() {
    let (from, to) = (bind("127.0.0.1:0"), bind("127.0.0.1:0"));
    let addr = to.local_addr().unwrap();
    let mut batch = Batch::default();
    // Nobody can be sent anything at port 0.
    batch.push(SocketAddr::from(([127, 0, 0, 1], 0)), b"to nobody").unwrap();
    batch.push(addr, b"to somebody").unwrap();
    let sent = from.send(&mut batch).await.unwrap();
    assert_eq!((sent.datagrams, sent.failed), (1, 1));
    assert_eq!(receive(&to, &mut Inbox::new(), 1).await, [b"to somebody"]);
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let first = bind("127.0.0.1:0");
    let error = Socket::bind(first.local_addr().unwrap(), &Options::default()).unwrap_err();
    assert!(error.to_string().contains(&first.local_addr().unwrap().to_string()), "{error}");
}

#[tokio::test]
async fn what_is_kept_holds_what_it_needs_and_outlives_the_next_call() {
    let (from, to) = (bind("127.0.0.1:0"), bind("127.0.0.1:0"));
    let addr = to.local_addr().unwrap();
    let (mut batch, mut inbox) = (Batch::default(), Inbox::new());
    let mut kept = Vec::new();
    let sizes = [0, 10, 200, 300, 1200, 9_000, 16_384, 40_000];
    for round in 0..3u8 {
        for size in sizes {
            batch.push(addr, &vec![round; size]).unwrap();
            from.send(&mut batch).await.unwrap();
            to.recv(&mut inbox).await.unwrap();
            kept.extend(inbox.drain());
        }
    }
    assert_eq!(inbox.iter().count(), 0);
    assert_eq!(kept.len(), 3 * sizes.len());
    for (round, kept) in (0u8..).zip(kept.chunks(sizes.len())) {
        for (size, received) in sizes.into_iter().zip(kept) {
            assert_eq!(received.payload, vec![round; size]);
            let most = if size < 16_384 { 2 * size + 64 } else { 4 * size };
            assert!((size..=most).contains(&received.held), "{size}: {}", received.held);
        }
    }
    assert_eq!(inbox.lent(), 6);
    drop(kept);
    assert_eq!(inbox.lent(), 0);
}

#[tokio::test]
async fn a_train_is_taken_apart_into_what_can_be_kept() {
    let (from, to) = (bind("127.0.0.1:0"), bind("127.0.0.1:0"));
    let addr = to.local_addr().unwrap();
    let (mut batch, mut inbox) = (Batch::default(), Inbox::new());
    for number in 0..20u8 {
        batch.push(addr, &[number; 1200]).unwrap();
    }
    for number in 20..22u8 {
        batch.push(addr, &[number; 20_000]).unwrap();
    }
    batch.push(addr, &[22; 100]).unwrap();
    from.send(&mut batch).await.unwrap();
    let mut kept = Vec::new();
    let all = async {
        while kept.len() < 23 {
            to.recv(&mut inbox).await.unwrap();
            kept.extend(inbox.drain());
        }
    };
    tokio::time::timeout(Duration::from_secs(30), all).await.expect("loopback loses nothing that fits");
    for (number, received) in (0u8..).zip(&kept) {
        assert!(received.payload.iter().all(|byte| *byte == number) && !received.payload.is_empty());
        assert_eq!(received.source, from.local_addr().unwrap());
    }
    assert!(
        kept.iter().filter(|received| received.payload.len() < 16_384).all(|received| received.held < 3000)
    );
}
