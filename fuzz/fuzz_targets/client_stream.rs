//! Whatever a hub sends, over a stream or over datagrams, a client takes or gives up, and what it has taken is consumed when its subscriptions have
//! read it.

#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use nyx_client::{Hearer, Item};
use nyx_protocol::control::{
    self, Advertised, Announce, AudioFormat, Compression, Dictionary, Drop, Error, Gap, Ping, Pong, Reply,
    Request, Results, Retire, Served, Subscribed,
};
use nyx_protocol::wire::{self, Flags, Header, Kind};

fuzz_target!(|input: &[u8]| {
    let Some((&transport, script)) = input.split_first() else { return };
    let mut hearer = Hearer::new(transport & 1 != 0);
    for (step, bytes) in nyx_fuzz::steps(script) {
        match step % 10 {
            0 => read(&mut hearer),
            1 => hearer.reconnect(),
            2 => hearer.unsubscribe(),
            3 => hearer.subscribe(&String::from_utf8_lossy(bytes)),
            step => {
                hearer.hear(&message(step, bytes));
            }
        }
    }
    read(&mut hearer);
});

/// Reads everything twice: what was handed out counts as consumed when more is asked for.
fn read(hearer: &mut Hearer) {
    for item in hearer.read().into_iter().flatten() {
        if let Item::Gap(gap) = item {
            assert!(!gap.missing.is_empty(), "a gap says what is missing");
        }
    }
    hearer.read();
    assert_eq!(hearer.unconsumed(), 0, "what was read is consumed");
}

/// What the hub sends at a step: mostly well-formed, so that scripts get far.
fn message(step: u8, bytes: &[u8]) -> BytesMut {
    let mut out = BytesMut::new();
    let (first, rest) = bytes.split_first().map_or((0, bytes), |(first, rest)| (*first, rest));
    let number = rest.first_chunk().map_or(u64::from(first), |bytes| u64::from_be_bytes(*bytes));
    let topic_id = u32::from(first % 3);
    match step {
        4 => out.extend_from_slice(bytes),
        5 => {
            let kind = i32::from(first / 3 % 5);
            let audio = (kind == 3).then_some(AudioFormat { sample_rate: 8_000, channels: 1 });
            let topic = ["a/b", "a/c", "d"][usize::from(first / 15 % 3)].to_owned();
            let (epoch, prompt) = (number & 1, first & 0x80 != 0);
            let position = number >> 1;
            let announce =
                Announce { topic_id, topic, kind, audio, prompt, epoch, position, ..Default::default() };
            control::put(&mut out, announce);
        }
        6 => {
            let drops = vec![Drop { reason: i32::from(first / 3), count: number }];
            control::put(&mut out, Gap { topic_id, first_sequence: number as u32, drops });
        }
        7 => other(&mut out, first, number, rest),
        _ => {
            let kind = Kind::ALL[usize::from(first / 3 % 4)];
            let flags =
                [Flags::NONE, Flags::KEYFRAME, Flags::SNAPSHOT, Flags::BLOCK][usize::from(first >> 6)];
            let (sequence, payload) = rest
                .split_first_chunk()
                .map_or((0, rest), |(bytes, payload)| (u32::from_be_bytes(*bytes), payload));
            let header = Header { topic: topic_id, flags, codec: step % 3, sequence, ..Header::data(kind) };
            wire::put_message(&mut out, header, payload);
        }
    }
    out
}

/// What is about no topic.
fn other(out: &mut BytesMut, first: u8, number: u64, rest: &[u8]) {
    let (id, body) = (u32::from(first / 11), bytes::Bytes::copy_from_slice(rest));
    match first % 11 {
        0 => control::put(out, Dictionary { message: body }),
        1 => control::put(out, Retire { id, version: number as u32 }),
        2 => control::put(out, Compression { allowed: id % 2 == 0 }),
        3 => control::put(out, Subscribed { id }),
        4 => control::put(out, Pong { nonce: number }),
        5 => control::put(out, Ping { nonce: number }),
        6 => control::put(out, Served { id, ..Default::default() }),
        7 => control::put(out, Request { id: number, serve_id: id, body, ..Default::default() }),
        8 => control::put(out, Reply { id: number, status: 0, body }),
        9 => control::put(out, Advertised { alias: id, ..Default::default() }),
        _ => {
            control::put(out, Error { code: 7, subscription: Some(id), ..Default::default() });
            control::put(out, Results { alias: id, outcomes: Vec::new() });
        }
    }
}
