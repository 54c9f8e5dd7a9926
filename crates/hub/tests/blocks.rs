//! Blocks on their way through the hub: batches relayed as they come, unpacked for who takes none; forged ones refused; opaque payloads
//! told by what a subscriber has.

mod sim;

use bytes::BytesMut;
use nyx_core::limit::Quota;
use nyx_hub::Config;
use nyx_protocol::choose::{Codec, Pin};
use nyx_protocol::compress::linear::Shape;
use nyx_protocol::compress::{Encoding, Level, Method};
use nyx_protocol::control::{Body, ErrorCode, Reason, Resume, Subscribe};
use nyx_protocol::pack::Packer;
use nyx_protocol::wire::{self, Flags, Header, Kind, codec};
use sim::{Sim, fast, ms, slow};

/// A link that carries 100 kB/s.
const LINK: u64 = 100_000;

fn stats(sim: &Sim, topic: &str) -> nyx_hub::stats::Topic {
    let stats = sim.hub.stats(sim.now);
    stats.topics.into_iter().find(|found| found.name.as_str() == topic).expect("the topic")
}

/// Events as JSON lines that start with a number, as [`sim::client::Item::number`] reads it.
fn events(numbers: std::ops::Range<u64>) -> BytesMut {
    let mut run = BytesMut::new();
    for n in numbers {
        let mut payload = n.to_be_bytes().to_vec();
        payload.extend_from_slice(br#"{"event":"pass","team":"north","player":7}"#);
        wire::put_message(&mut run, Header { topic: 1, ..Header::data(Kind::Event) }, &payload);
    }
    run
}

fn batch(numbers: std::ops::Range<u64>) -> BytesMut {
    let mut out = BytesMut::new();
    Packer::new().pack_run(&events(numbers), Method::Level(Level::FAST), &mut out);
    out
}

/// A chunk of 10 ms of stereo, which starts with a number as events do.
fn chunk(number: u64) -> BytesMut {
    let mut payload = number.to_be_bytes().to_vec();
    payload.extend((4..960_i16).flat_map(|at| (at / 2 * 30).to_le_bytes()));
    let header = Header { topic: 1, codec: codec::AUDIO_S16LE, ..Header::data(Kind::Audio) };
    let shape = Shape::new(header.codec, 2).unwrap();
    let (mut plain, mut out) = (BytesMut::new(), BytesMut::new());
    wire::put_stamped(&mut plain, header, number, &payload);
    let message = wire::Messages::new(&plain).next().unwrap();
    assert_eq!(Packer::new().pack(&message, Method::Linear(shape), false, &mut out), Encoding::Linear);
    out
}

/// The gaps among what a client was told: the first sequence, the reason, and how many.
fn gaps(told: &[Body]) -> Vec<(u32, Reason, u64)> {
    let gap = |body: &Body| match body {
        Body::Gap(gap) => Some((gap.first_sequence, gap.drops[0].reason(), gap.drops[0].count)),
        _ => None,
    };
    told.iter().filter_map(gap).collect()
}

fn event_publisher(sim: &mut Sim) -> usize {
    let id = sim.peer(fast(), true);
    sim[id].advertise(1, "log", Kind::Event);
    sim.settle();
    id
}

#[test]
fn a_batch_is_relayed_as_it_came_and_unpacked_for_who_takes_none() {
    let mut sim = Sim::new(Config::default());
    let publisher = event_publisher(&mut sim);
    let (packed, plain) = (sim.block_taker(fast(), "log"), sim.subscriber(fast(), "log"));
    for first in (0..1000).step_by(100) {
        sim[publisher].outgoing.extend_from_slice(&batch(first..first + 100));
        sim[publisher].outgoing.extend_from_slice(&events(first + 100..first + 100));
        sim.run_for(ms(5));
    }
    let all: Vec<u64> = (0..1000).collect();
    assert_eq!(sim[packed].numbers(), all);
    assert_eq!(sim[plain].numbers(), all);
    assert_eq!((sim[packed].packed, sim[plain].packed), (10, 0));
    assert!(sim[packed].data_bytes * 5 < sim[plain].data_bytes);
    let topic = stats(&sim, "log");
    assert_eq!((topic.messages, topic.blocks.messages), (1000, 10));
    assert_eq!(topic.blocks.after_bytes, sim[packed].data_bytes);
    // What an adapter asks for is the last item, plain.
    let Some(nyx_hub::Latest::Message(latest)) = sim.hub.latest(&"log".parse().unwrap()) else {
        panic!("an item")
    };
    let message = wire::Messages::new(&latest).next().unwrap();
    assert_eq!((message.header.sequence, &message.payload[..8]), (999, &999u64.to_be_bytes()[..]));
}

#[test]
fn batches_and_single_events_keep_their_order_and_numbers() {
    let mut sim = Sim::new(Config::default());
    let publisher = event_publisher(&mut sim);
    let readers = [sim.block_taker(slow(50_000, 8_192), "log"), sim.subscriber(slow(50_000, 8_192), "log")];
    let mut n = 0;
    for round in 0..60 {
        let (few, many) = (round % 5, 20 + round);
        let outgoing = &mut sim[publisher].outgoing;
        outgoing.extend_from_slice(&events(n..n + few));
        outgoing.extend_from_slice(&batch(n + few..n + few + many));
        n += few + many;
        sim.run_for(ms(3));
    }
    sim.run_for(ms(20_000));
    for reader in readers {
        assert_eq!(sim[reader].numbers(), (0..n).collect::<Vec<_>>());
    }
}

#[test]
fn a_subscriber_goes_on_in_the_middle_of_a_batch() {
    for takes_blocks in [true, false] {
        let mut sim = Sim::new(Config::default());
        let publisher = event_publisher(&mut sim);
        let first = sim.subscriber(fast(), "log");
        sim[publisher].outgoing.extend_from_slice(&batch(0..50));
        sim[publisher].outgoing.extend_from_slice(&batch(50..100));
        sim.run_for(ms(10));
        let epoch = sim[first].topic("log").announce.epoch;
        let id = sim.connect(fast());
        if takes_blocks {
            sim[id].blocks = Some(nyx_protocol::control::Blocks::default());
        }
        sim[id].hello(true);
        let resume = Resume { topic: "log".to_owned(), epoch, position: 30 };
        sim[id].send(Subscribe {
            id: 1,
            pattern: "log".to_owned(),
            resume: vec![resume],
            ..Default::default()
        });
        sim.run_for(ms(10));
        assert_eq!(sim[id].numbers(), (30..100).collect::<Vec<_>>());
        assert_eq!(sim[id].packed, u64::from(takes_blocks), "the rest of one, and the other as it came");
    }
}

#[test]
fn items_of_overrun_and_expired_batches_are_counted_one_by_one() {
    let mut config = Config::default();
    (config.topic_bytes, config.topic_entries, config.lag_bytes) = (1 << 20, 8, 1);
    config.patience = ms(1);
    let mut sim = Sim::new(config);
    let publisher = event_publisher(&mut sim);
    let readers = [sim.block_taker(fast(), "log"), sim.subscriber(fast(), "log")];
    readers.iter().for_each(|id| sim[*id].reads = false);
    // What does not get smaller still saves its headers as a batch. 3 MB are more than what may be under way.
    let mut state = 1u64;
    let mut noise = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()
    };
    for first in (0..20_000u64).step_by(100) {
        let mut run = BytesMut::new();
        for n in first..first + 100 {
            let payload = [n.to_be_bytes(); 1].into_iter().chain(std::iter::repeat_with(&mut noise).take(18));
            let payload: Vec<u8> = payload.flatten().collect();
            wire::put_message(&mut run, Header { topic: 1, ..Header::data(Kind::Event) }, &payload);
        }
        Packer::new().pack_run(&run, Method::Level(Level::FAST), &mut sim[publisher].outgoing);
        sim.run_for(ms(5));
    }
    assert_eq!(stats(&sim, "log").blocks.messages, 200);
    readers.iter().for_each(|id| sim[*id].reads = true);
    sim.run_for(ms(2000));
    for id in readers {
        let known = sim[id].topic("log");
        assert_eq!((known.next, known.delivered + known.dropped), (20_000, 20_000));
        assert!(known.dropped > 0);
    }
}

#[test]
fn forged_blocks_are_refused_and_nobody_else_notices() {
    let mut sim = Sim::new(Config::default());
    let publisher = event_publisher(&mut sim);
    let reader = sim.subscriber(fast(), "log");
    let put = |sim: &mut Sim, payload: &[u8]| {
        let header = Header { topic: 1, flags: Flags::BLOCK, ..Header::data(Kind::Event) };
        wire::put_message(&mut sim[publisher].outgoing, header, payload);
        sim.run_for(ms(5));
    };
    // Nothing; an unknown encoding; a dictionary; a prefix; one to keep; no items; more items than there can be; a number that is cut off.
    let frame = [0x20, 1, 9, 0, 0, b'x'];
    let with = |head: &[u8]| [head, &frame[..]].concat();
    let forged: [Vec<u8>; 8] = [
        vec![],
        vec![0x07],
        with(&[0x02, 1, 1]),
        with(&[0x03, 1, 0, 0, 0, 0]),
        with(&[0x81]),
        with(&[0x41, 0]),
        with(&[0x41, 2]),
        vec![0x41, 0xff],
    ];
    for payload in &forged {
        put(&mut sim, payload);
    }
    // A bomb: 32 MiB by its own account, in one block of zeros.
    let mut bomb = vec![0x01, 0xa0];
    bomb.extend_from_slice(&(32u32 << 20).to_le_bytes());
    bomb.extend((0..256).flat_map(|n| [if n == 255 { 3 } else { 2 }, 0, 0x10, 0]));
    put(&mut sim, &bomb);
    let errors = sim[publisher].errors();
    assert_eq!(errors.len(), 9, "{errors:?}");
    assert!(errors[..8].iter().all(|code| *code == ErrorCode::Malformed));
    assert_eq!(errors[8], ErrorCode::TooLarge);
    sim[publisher].outgoing.extend_from_slice(&batch(0..10));
    sim.run_for(ms(5));
    assert_eq!(sim[reader].numbers(), (0..10).collect::<Vec<_>>());
}

#[test]
fn what_does_not_decode_is_a_gap_that_says_so() {
    let mut sim = Sim::new(Config::default());
    let publisher = event_publisher(&mut sim);
    let reader = sim.subscriber(fast(), "log");
    sim[publisher].outgoing.extend_from_slice(&batch(0..5));
    // Its frame is whole, but what its compressed block holds is nonsense.
    let mut spoilt = batch(5..45);
    let end = spoilt.len();
    spoilt[end - 12..].fill(0xff);
    sim[publisher].outgoing.extend_from_slice(&spoilt);
    sim[publisher].outgoing.extend_from_slice(&batch(45..50));
    sim.run_for(ms(20));
    assert_eq!(sim[reader].numbers(), [0, 1, 2, 3, 4, 45, 46, 47, 48, 49]);
    assert_eq!(gaps(&sim[reader].control), [(5, Reason::Unreadable, 40)]);
    assert_eq!(stats(&sim, "log").drops.get(nyx_stream::Reason::Unreadable), 40);
}

/// Frames of `len` bytes: random ones, of which each differs from the one before in a few places.
struct Blobs {
    state: u64,
    blob: Vec<u8>,
}

impl Blobs {
    fn new(len: usize) -> Self {
        let mut blobs = Self { state: 1, blob: vec![0; len] };
        (0..len).for_each(|at| blobs.blob[at] = (blobs.next() >> 56) as u8);
        blobs
    }

    fn next(&mut self) -> u64 {
        self.state =
            self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.state
    }

    fn change(&mut self) -> &[u8] {
        for _ in 0..20 {
            let (at, to) = (self.next() >> 33, self.next() >> 56);
            let len = self.blob.len();
            self.blob[at as usize % len] = to as u8;
        }
        &self.blob
    }
}

fn prefixes_only() -> Config {
    let mut config = Config::default();
    config.compression.pin = Pin::Codec(Codec::Prefix);
    config
}

fn frame_publisher(sim: &mut Sim) -> usize {
    let id = sim.peer(fast(), true);
    sim[id].advertise(1, "camera", Kind::Frame);
    sim.settle();
    id
}

fn shoot(sim: &mut Sim, publisher: usize, codec: u8, payload: &[u8]) {
    let header = Header { topic: 1, codec, flags: Flags::KEYFRAME, ..Header::data(Kind::Frame) };
    wire::put_message(&mut sim[publisher].outgoing, header, payload);
    sim.run_for(ms(100));
}

#[test]
fn an_opaque_payload_is_told_by_the_last_one_that_a_slow_subscriber_has() {
    let mut sim = Sim::new(Config::default());
    let publisher = frame_publisher(&mut sim);
    let (packed, plain) =
        (sim.block_taker(slow(LINK, 32_768), "camera"), sim.subscriber(slow(LINK, 32_768), "camera"));
    let quick = sim.block_taker(fast(), "camera");
    let mut blobs = Blobs::new(20_000);
    let mut sent = Vec::new();
    for _ in 0..60 {
        sent.push(blobs.change().to_vec());
        let frame = sent.last().unwrap().clone();
        shoot(&mut sim, publisher, 0, &frame);
    }
    sim.run_for(ms(2000));
    for id in [packed, plain, quick] {
        assert!(sim[id].items.iter().all(|item| item.payload == sent[item.sequence as usize]));
        assert_eq!(sim[id].topic("camera").next, 60);
    }
    println!(
        "{} frames as {} bytes plainly, {} as {} by prefix",
        sim[plain].items.len(),
        sim[plain].data_bytes,
        sim[packed].items.len(),
        sim[packed].data_bytes
    );
    // Of 20,000 bytes five a second fit plainly.
    assert!(sim[packed].items.len() > sim[plain].items.len());
    assert!(sim[packed].data_bytes * 2 < sim[plain].data_bytes && sim[packed].by_prefix > 30);
    assert_eq!(sim[quick].packed, 0, "on a fast path nothing is encoded for one subscriber alone");
}

#[test]
fn images_are_not_compressed_again_and_noise_grows_by_one_byte_at_most() {
    let mut sim = Sim::new(Config::default());
    let publisher = frame_publisher(&mut sim);
    let reader = sim.block_taker(slow(LINK, 32_768), "camera");
    let mut blobs = Blobs::new(5_000);
    // By its codec, and, where that says nothing, by its first bytes.
    for codec in [codec::FRAME_JPEG, codec::FRAME_OTHER] {
        for _ in 0..10 {
            let jpeg = [&[0xFF, 0xD8, 0xFF, 0xE0][..], blobs.change()].concat();
            shoot(&mut sim, publisher, codec, &jpeg);
        }
    }
    assert_eq!((sim[reader].packed, sim[reader].items.len()), (0, 20));
    let before = sim[reader].data_bytes;
    for n in 0..20 {
        let noise = Blobs { state: n, blob: vec![] };
        let mut noise = noise;
        let payload: Vec<u8> = std::iter::repeat_with(|| (noise.next() >> 56) as u8).take(5_000).collect();
        shoot(&mut sim, publisher, codec::FRAME_OTHER, &payload);
    }
    let grown = sim[reader].data_bytes - before - 20 * (5_000 + wire::HEADER_LEN as u64);
    assert!(grown <= 20, "{grown} bytes");
}

#[test]
fn who_lost_its_prefixes_is_sent_none_until_it_has_some_again() {
    let mut sim = Sim::new(prefixes_only());
    let publisher = frame_publisher(&mut sim);
    let reader = sim.block_taker(slow(LINK, 32_768), "camera");
    let mut blobs = Blobs::new(20_000);
    let mut play = |sim: &mut Sim, frames| (0..frames).for_each(|_| shoot(sim, publisher, 0, blobs.change()));
    play(&mut sim, 40);
    let by_prefix = sim[reader].by_prefix;
    assert!(by_prefix > 5, "{by_prefix} of {} frames", sim[reader].items.len());
    let topic_id = sim[reader].topic("camera").id;
    sim[reader].forget_prefixes();
    sim[reader].send(nyx_protocol::control::Resync { topic_id });
    sim.run_for(ms(400));
    // A block that needs what is gone would fail the test.
    play(&mut sim, 40);
    assert!(sim[reader].by_prefix > by_prefix + 5, "{} after {by_prefix}", sim[reader].by_prefix);
}

#[test]
fn sound_is_relayed_as_it_was_packed_and_unpacked_for_who_takes_no_blocks() {
    let mut sim = Sim::new(Config::default());
    let publisher = sim.peer(fast(), true);
    sim[publisher].advertise(1, "mic", Kind::Audio);
    sim.settle();
    let (packed, plain) = (sim.block_taker(fast(), "mic"), sim.subscriber(fast(), "mic"));
    for number in 0..50 {
        sim[publisher].outgoing.extend_from_slice(&chunk(number));
        sim.run_for(ms(10));
    }
    let all: Vec<u64> = (0..50).collect();
    assert_eq!((sim[packed].numbers(), sim[plain].numbers()), (all.clone(), all));
    assert_eq!((sim[packed].packed, sim[plain].packed), (50, 0));
    assert_eq!(sim[plain].data_bytes, 50 * (16 + 8 + 1_920));
    assert!(sim[packed].data_bytes * 4 < sim[plain].data_bytes);
    let topic = stats(&sim, "mic");
    assert_eq!((topic.messages, topic.blocks.messages), (50, 50));
}

#[test]
fn sound_that_is_corrupt_is_a_gap_to_who_takes_no_blocks() {
    let mut sim = Sim::new(Config::default());
    let publisher = sim.peer(fast(), true);
    sim[publisher].advertise(1, "mic", Kind::Audio);
    sim.settle();
    let plain = sim.subscriber(fast(), "mic");
    let mut spoilt = chunk(1);
    let middle = spoilt.len() / 2;
    spoilt[middle..].fill(0);
    for message in [chunk(0), spoilt, chunk(2)] {
        sim[publisher].outgoing.extend_from_slice(&message);
        sim.run_for(ms(10));
    }
    assert_eq!(sim[plain].numbers(), [0, 2]);
    assert_eq!(gaps(&sim[plain].control), [(1, Reason::Unreadable, 1)]);
}

#[test]
fn a_publisher_is_told_where_the_operator_has_ruled_out_blocks() {
    let mut config = Config::default();
    config.compression.topics.push(("secret/**".parse().unwrap(), Pin::Off));
    let mut sim = Sim::new(config);
    let publisher = sim.peer(fast(), true);
    sim[publisher].advertise(1, "secret/a", Kind::Event);
    sim[publisher].advertise(2, "open", Kind::Event);
    sim.settle();
    let told: Vec<_> = sim[publisher]
        .control
        .iter()
        .filter_map(|body| match body {
            Body::Advertised(advertised) => Some((advertised.alias, advertised.plain)),
            _ => None,
        })
        .collect();
    assert_eq!(told, [(1, true), (2, false)]);
}

#[test]
fn a_quota_counts_the_items_of_a_batch_and_its_bytes_as_they_came() {
    let published = |config: Config| {
        let mut sim = Sim::new(config);
        let publisher = event_publisher(&mut sim);
        for first in [0, 100] {
            sim[publisher].outgoing.extend_from_slice(&batch(first..first + 100));
        }
        sim.run_for(ms(100));
        stats(&sim, "log").messages
    };
    let burst = |burst: u64| Quota::per_second(1).unwrap().with_burst(burst).unwrap();
    let mut config = Config::default();
    config.publish_messages = Some(burst(100));
    assert_eq!(published(config), 100, "the second has to wait, though it is one message");
    let mut config = Config::default();
    config.publish_bytes = Some(burst(events(0..100).len() as u64));
    assert_eq!(published(config), 200, "two batches are shorter than what one of them holds");
}
