//! Datagrams that no client of ours sends, to a hub's end of a connection.

use bytes::{Bytes, BytesMut};
use nyx_core::Instant;
use nyx_transport::udp::connection::{Config, Connection, Event, Frame, Packet, PacketError, Piece, Reason};

/// A datagram of a client with this number.
fn datagram_of(number: u64, frames: &[Frame<'_>]) -> Vec<u8> {
    let mut datagram = Vec::new();
    Packet::Data { id: 7, number, frames: &[] }.encode(&mut datagram);
    frames.iter().for_each(|frame| frame.encode(&mut datagram));
    datagram
}

fn piece(flow: u32, number: u64, after: u64, total: u64) -> Piece<'static> {
    Piece { flow, number, in_order: true, after, total, offset: 0, bytes: b"x" }
}

#[test]
fn items_of_a_byte_or_two_take_no_more_memory_than_large_ones() {
    let mut config = Config::default();
    (config.item_bytes, config.incoming_bytes) = (1000, 1 << 20);
    // Of two bytes the second never comes; those of one byte are whole, and wait for a stream that never comes; of the others each is alone.
    for of in [
        |n: u64| piece((n / 1000) as u32, n % 1000 + 1, 0, 2),
        |n| piece(1, n, 1 << 40, 1),
        |n| piece(n as u32, 1, 0, 1),
    ] {
        let mut server = Connection::server(Instant::ZERO, 7, config);
        for n in 0..10_000 {
            server.handle_datagram(Instant::ZERO, &datagram_of(n, &[Frame::Item(of(n))])).unwrap();
        }
        let stats = server.stats();
        assert_eq!(stats.received + stats.refused, 10_000);
        // As many as there were if each took 400 bytes, which is more than it does.
        assert!((1..=(1 << 20) / 400).contains(&stats.received), "{stats:?}");
    }
}

#[test]
fn what_one_datagram_begins_has_room_together_or_comes_again() {
    let mut config = Config::default();
    (config.item_bytes, config.incoming_bytes) = (100_000, 1 << 20);
    let mut server = Connection::server(Instant::ZERO, 7, config);
    let of = |count| (0..count).map(|n| Frame::Item(piece(1, n, 0, 100_000))).collect::<Vec<_>>();
    server.handle_datagram(Instant::ZERO, &datagram_of(0, &of(60))).unwrap();
    assert_eq!((server.stats().received, server.stats().refused), (0, 1));
    server.handle_datagram(Instant::ZERO, &datagram_of(0, &of(8))).unwrap();
    assert_eq!((server.stats().received, server.stats().refused), (1, 1));
}

#[test]
fn whom_nobody_knows_gets_little_room_and_few_flows() {
    let mut server = Connection::server(Instant::ZERO, 7, Config::default());
    server.limit_incoming(Some(10_000));
    let refused = |server: &mut Connection, number, flow, total| {
        let before = server.stats().refused;
        let frames = [Frame::Item(piece(flow, 0, 0, total))];
        server.handle_datagram(Instant::ZERO, &datagram_of(number, &frames)).unwrap();
        server.stats().refused > before
    };
    assert!(!refused(&mut server, 0, 1, 9_000));
    assert!(refused(&mut server, 1, 2, 2_000), "memory");
    for number in 1..100 {
        let skip = [Frame::Skip { flow: number as u32 + 10, below: 1 }];
        server.handle_datagram(Instant::ZERO, &datagram_of(number, &skip)).unwrap();
    }
    assert!(refused(&mut server, 100, 5000, 2), "flows");
    server.limit_incoming(None);
    assert!(!refused(&mut server, 100, 2, 2_000));
    assert!(!refused(&mut server, 101, 5000, 2));
}

#[test]
fn who_speaks_and_acknowledges_nothing_is_given_up() {
    let config = Config::default();
    let mut server = Connection::server(Instant::ZERO, 7, config);
    server.write(b"to be acknowledged");
    let (mut now, mut out) = (Instant::ZERO, Vec::new());
    for number in 0..600 {
        now = now + config.silence / 300;
        // It is heard all the time.
        server.handle_datagram(now, &datagram_of(number, &[Frame::Ping])).unwrap();
        if server.poll_timeout().is_some_and(|at| at <= now) {
            server.handle_timeout(now);
        }
        while server.poll_transmit(now, &mut out) {}
        // What it is sent again and again would be kept without end.
        assert!(server.is_closed() || number < 400, "after {now:?}");
        assert!(!server.is_closed() || number > 200, "after {now:?}");
    }
    assert_eq!(server.poll_event(), Some(Event::Closed(Reason::Silent)));
}

#[test]
fn a_datagram_that_contradicts_what_came_before_changes_nothing() {
    let mut server = Connection::server(Instant::ZERO, 7, Config::default());
    let mut take = |number, frames: &[Frame<'_>]| {
        let result = server.handle_datagram(Instant::ZERO, &datagram_of(number, frames));
        let mut stream = BytesMut::new();
        server.take_stream(&mut stream);
        (result, stream.freeze(), server.stats().received)
    };
    take(0, &[Frame::Item(piece(1, 0, 0, 2))]).0.unwrap();
    let stream = Frame::Stream { offset: 0, bytes: b"said" };
    let contradicts = [stream.clone(), Frame::Item(piece(1, 0, 0, 3))];
    assert_eq!(take(1, &contradicts), (Err(PacketError::Piece), Bytes::new(), 1));
    // Its number is still free.
    assert_eq!(take(1, &[stream]), (Ok(()), Bytes::from("said"), 2));
    // What contradicts itself counts as far as it doesn't.
    let rest = Piece { offset: 1, ..piece(1, 0, 0, 2) };
    let twice = [Frame::Item(piece(1, 1, 0, 2)), Frame::Item(piece(1, 1, 0, 1)), Frame::Item(rest)];
    take(2, &twice).0.unwrap();
    assert_eq!((server.take_item().as_deref(), server.take_item()), (Some(&b"xx"[..]), None));
}
