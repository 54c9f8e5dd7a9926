//! Arbitrary datagrams to a door and to both ends of a connection: nothing panics, no answer is larger than what asked for it, what is delivered
//! is bounded, what can be read can be written again, and a deadline never stands still.

#![no_main]

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use nyx_core::Instant;
use nyx_fuzz::steps;
use nyx_transport::udp::connection::{Config, Connection, Door, Entrance, Frames, Item, Order, Packet};

const ID: u64 = 0x0101_0101_0101_0101;

fuzz_target!(|input: &[u8]| {
    let (peer, mut now) = ("198.51.100.7:4000".parse().expect("an address"), Instant::ZERO);
    let mut config = Config::default();
    config.item_bytes = 1 << 16;
    config.incoming_bytes = 1 << 17;
    let mut door = Door::new([7; 32]);
    let mut ends = [Connection::client(now, ID, config), Connection::server(now, ID, config)];
    let mut out = Vec::new();
    for end in &mut ends {
        end.write(b"a stream");
        end.send(Item {
            flow: 1,
            bytes: Bytes::from_static(b"an item"),
            order: Order::Latest,
            deadline: None,
        });
    }
    for (step, datagram) in steps(input) {
        now = now + Duration::from_millis(u64::from(step));
        if let Entrance::Answer(answer) = door.handle(now, peer, datagram) {
            assert!(answer.len() < datagram.len());
        }
        check(datagram);
        for end in &mut ends {
            let _ = end.handle_datagram(now, datagram);
            drive(now, end, &mut out);
        }
    }
});

/// What was read is written as it was, but for integers that were longer than need be.
fn check(datagram: &[u8]) {
    let Ok(Packet::Data { frames, .. } | Packet::Open { frames, .. }) = Packet::decode(datagram) else {
        return;
    };
    for frame in Frames::new(frames) {
        let Ok(frame) = frame else { return };
        let mut written = Vec::new();
        frame.encode(&mut written);
        assert_eq!(Frames::new(&written).next(), Some(Ok(frame)));
    }
}

fn drive(now: Instant, end: &mut Connection, out: &mut Vec<u8>) {
    if end.poll_timeout().is_some_and(|at| at <= now) {
        end.handle_timeout(now);
    }
    let mut taken = BytesMut::new();
    end.take_stream(&mut taken);
    assert!(taken.len() <= 1 << 20);
    while let Some(item) = end.take_item() {
        assert!(item.len() <= 1 << 16);
    }
    while end.poll_event().is_some() {}
    for _ in 0..100 {
        if !end.poll_transmit(now, out) {
            break;
        }
        assert!(out.len() <= 1472 + 512, "{}", out.len());
    }
    assert!(!end.poll_transmit(now, out) || end.is_closed(), "it ends");
    assert!(end.poll_timeout().is_none_or(|at| at > now || at + Duration::from_millis(3) > now));
}
