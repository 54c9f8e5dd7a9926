//! Datagrams.

use std::error::Error;

use nyx_transport::udp::connection::{Ack, Frame, Packet, Piece};
use nyx_transport::udp::fragment::Splitter;

use super::{Seeds, script};

/// Datagrams of the connection that the target has.
pub fn connection() -> Seeds {
    const ID: u64 = 0x0101_0101_0101_0101;
    let data = |number, frames: &[Frame<'_>]| {
        let (mut out, mut datagram) = (Vec::new(), Vec::new());
        frames.iter().for_each(|frame| frame.encode(&mut out));
        Packet::Data { id: ID, number, frames: &out }.encode(&mut datagram);
        datagram
    };
    let piece = Piece { flow: 1, number: 0, in_order: true, after: 4, total: 8, offset: 0, bytes: b"half" };
    let ack = Ack { delay_us: 9, backlog: 0, ranges: Vec::from([0..1]) };
    let talk = [
        data(0, &[Frame::Ack(ack), Frame::Stream { offset: 0, bytes: b"text" }]),
        data(1, &[Frame::Item(piece)]),
        data(3, &[Frame::Item(Piece { number: 1, ..piece }), Frame::Skip { flow: 1, below: 1 }]),
        data(2, &[Frame::Item(Piece { offset: 4, ..piece }), Frame::Ping]),
        data(2, &[Frame::Item(Piece { in_order: false, total: 4, number: 2, ..piece })]),
        data(9, &[Frame::Stream { offset: 2, bytes: b"xt again" }, Frame::Close]),
    ];
    let (mut open, mut cookie, mut gone) = (Vec::new(), Vec::new(), Vec::new());
    Packet::Open { id: ID, cookie: &[7; 40], number: 0, frames: &[1] }.encode(&mut open);
    Packet::Cookie { id: ID, cookie: &[7; 40] }.encode(&mut cookie);
    Packet::Gone { id: ID }.encode(&mut gone);
    let begin = [open, cookie, gone];
    let silence = [(255, &talk[0][..]), (255, &talk[1][..]), (255, &talk[2][..])];
    vec![
        ("talk", script(talk.iter().map(|datagram| (3, &datagram[..])))),
        ("begin", script(begin.iter().map(|datagram| (30, &datagram[..])))),
        ("silence", script(silence)),
    ]
}

/// Fragments of items.
pub fn fragments() -> Result<Seeds, Box<dyn Error>> {
    let mut splitter = Splitter::new(0);
    let items = [vec![7; 600], b"small".to_vec(), Vec::new()];
    let mut datagrams = Vec::new();
    for item in &items {
        datagrams.extend(splitter.split(item)?);
    }
    // A script's steps are short, so that of the large item nothing is whole; the headers are.
    let straight = script(datagrams.iter().map(|datagram| (1, &datagram[..])));
    let halves =
        [[0, 0, 0, 9, 0, 0, 0, 9, 0, 0, 0, 8, 0, 0, 0, 2], [0, 0, 0, 10, 0, 0, 0, 9, 0, 0, 0, 8, 0, 1, 0, 2]];
    let halves = halves.map(|header| [&header[..], b"half"].concat());
    let backwards = script(halves.iter().rev().map(|datagram| (20, &datagram[..])));
    Ok(vec![("straight", straight), ("backwards", backwards)])
}
