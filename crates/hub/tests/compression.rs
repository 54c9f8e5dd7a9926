//! Blocks: relayed as they come, made for documents where that pays, unpacked for those who take none.

mod sim;

use std::sync::Arc;
use std::task::{Poll, Waker};

use bytes::BytesMut;
use nyx_hub::Config;
use nyx_protocol::choose::{Codec, Pin};
use nyx_protocol::compress::{Level, Method};
use nyx_protocol::control::{Body, ErrorCode, Reason, Resume, Subscribe};
use nyx_protocol::pack::Packer;
use nyx_protocol::state::{Patch, Value};
use nyx_protocol::wire::{self, Flags, Header, Kind, codec};
use sim::{Sim, fast, ms, slow};

/// A link that carries 100 kB/s.
const LINK: u64 = 100_000;

fn config(pin: Pin) -> Config {
    let mut config = Config::default();
    config.compression.pin = pin;
    // Sooner than it would be by default.
    config.compression.training.records_between = 300;
    config
}

/// A world of a hundred walkers, of whom each tick moves ten.
struct World {
    tick: i64,
    walkers: Vec<(i64, i64)>,
}

impl World {
    fn new() -> Self {
        Self { tick: 0, walkers: (0..100).map(|n| (n * 37 % 1000, n * 91 % 1000)).collect() }
    }

    fn step(&mut self) -> Value {
        self.tick += 1;
        for n in 0..10 {
            let walker = &mut self.walkers[((self.tick * 7 + n * 13) % 100) as usize];
            *walker = ((walker.0 + self.tick * 3) % 1000, (walker.1 + n * 5) % 1000);
        }
        self.value()
    }

    fn value(&self) -> Value {
        let walker = |(n, (x, y)): (usize, &(i64, i64))| {
            let state = ["idle", "walking", "running"][*x as usize % 3];
            let fields = [
                ("id", Value::from(n as i64)),
                ("name", format!("walker number {n}").into()),
                ("position", Value::map([("x", *x), ("y", *y)])),
                ("state", format!("{state} towards {}/{}", x / 100, y / 100).into()),
            ];
            Value::map(fields)
        };
        let walkers = self.walkers.iter().enumerate().map(walker).collect::<Vec<_>>();
        Value::map([("tick", Value::from(self.tick)), ("walkers", Value::List(walkers))])
    }
}

/// A publisher of a world on topic `world`.
fn publisher(sim: &mut Sim) -> usize {
    let id = sim.peer(fast(), true);
    sim[id].advertise(1, "world", Kind::State);
    sim.settle();
    id
}

/// Publishes `ticks` changes, one every 33 ms.
fn play(sim: &mut Sim, publisher: usize, world: &mut World, ticks: usize) {
    for _ in 0..ticks {
        let before = world.value();
        let after = world.step();
        sim[publisher].patch(1, &Patch::diff(&before, &after).expect("they walk"));
        sim.run_for(ms(33));
    }
}

fn begin(sim: &mut Sim, publisher: usize, world: &World) {
    sim[publisher].patch(1, &Patch::Set(world.value()));
    sim.settle();
}

fn train(sim: &Sim) -> usize {
    let mut trained = 0;
    while let Poll::Ready(training) = sim.hub.poll_training(Waker::noop()) {
        training.run();
        trained += 1;
    }
    trained
}

fn stats(sim: &Sim, topic: &str) -> nyx_hub::stats::Topic {
    let stats = sim.hub.stats(sim.now);
    stats.topics.into_iter().find(|found| found.name.as_str() == topic).expect("the topic")
}

#[test]
fn a_document_takes_fewer_bytes_as_blocks_and_is_the_same() {
    let mut sim = Sim::new(Config::default());
    let (publisher, mut world) = (publisher(&mut sim), World::new());
    begin(&mut sim, publisher, &world);
    let plain = sim.subscriber(slow(LINK, 32_768), "world");
    let packed = sim.block_taker(slow(LINK, 32_768), "world");
    play(&mut sim, publisher, &mut world, 100);
    sim.run_for(ms(1000));
    assert_eq!(sim[plain].value("world"), world.value());
    assert_eq!(sim[packed].value("world"), world.value());
    assert_eq!(sim[plain].packed, 0);
    let (plain, packed) = (sim[plain].data_bytes, sim[packed].data_bytes);
    println!("{plain} bytes plainly, {packed} as blocks");
    assert!(packed * 10 < plain * 9, "{packed} of {plain}");
    let compression = stats(&sim, "world").compression.expect("someone takes blocks");
    assert_eq!(compression.after_bytes, packed);
    assert!(compression.before_bytes > compression.after_bytes && !compression.cpu.is_zero());
    assert!(!compression.log.is_empty(), "it says why");
}

#[test]
fn subscribers_at_one_version_share_what_was_encoded() {
    let cpu = |subscribers: usize| {
        let mut sim = Sim::new(config(Pin::Codec(Codec::Level(Level::FAST))));
        let (publisher, mut world) = (publisher(&mut sim), World::new());
        begin(&mut sim, publisher, &world);
        let all: Vec<_> = (0..subscribers).map(|_| sim.block_taker(fast(), "world")).collect();
        play(&mut sim, publisher, &mut world, 20);
        assert!(all.iter().all(|id| sim[*id].value("world") == world.value()));
        stats(&sim, "world").compression.unwrap().cpu
    };
    assert_eq!(cpu(1), cpu(50));
}

#[test]
fn a_topic_gets_a_dictionary_of_its_own_and_each_subscriber_gets_it_once() {
    let mut sim = Sim::new(config(Pin::Auto));
    let (publisher, mut world) = (publisher(&mut sim), World::new());
    begin(&mut sim, publisher, &world);
    let early = sim.block_taker(slow(LINK, 32_768), "world");
    play(&mut sim, publisher, &mut world, 320);
    assert_eq!(train(&sim), 1);
    let late = sim.block_taker(slow(LINK, 32_768), "world");
    play(&mut sim, publisher, &mut world, 300);
    sim.run_for(ms(1000));
    let compression = stats(&sim, "world").compression.unwrap();
    let (version, bytes) = compression.dictionary.expect("it pays");
    println!("dictionary version {version} of {bytes} bytes: {:?}", compression.choices);
    for id in [early, late] {
        assert_eq!(sim[id].value("world"), world.value());
        let handed_over = sim[id].control.iter().filter(|body| matches!(body, Body::Dictionary(_))).count();
        assert_eq!((handed_over, sim[id].dictionaries.len()), (1, 1));
    }
    let by_dictionary = compression.choices.iter().find(|(codec, _)| *codec == Codec::Dictionary);
    assert!(by_dictionary.is_some_and(|(_, count)| *count > 100));

    // What is not read any more needs no dictionary.
    sim[late].send(nyx_protocol::control::Unsubscribe { id: 1 });
    sim.run_for(ms(100));
    assert_eq!(sim[late].dictionaries.len(), 0);
}

#[test]
fn a_dictionary_is_retired_behind_what_a_lagging_subscriber_has_still_to_read() {
    let mut sim = Sim::new(config(Pin::Codec(Codec::Dictionary)));
    let (publisher, mut world) = (publisher(&mut sim), World::new());
    begin(&mut sim, publisher, &world);
    // The second subscriber reads nothing while the topic's dictionary is replaced.
    let (reader, lagging) = (sim.block_taker(fast(), "world"), sim.block_taker(slow(20_000, 8_192), "world"));
    play(&mut sim, publisher, &mut world, 320);
    assert_eq!(train(&sim), 1);
    play(&mut sim, publisher, &mut world, 20);
    sim[lagging].reads = false;
    play(&mut sim, publisher, &mut world, 30);
    // From now on other things happen in other words, so that another dictionary pays.
    let goals = |sim: &mut Sim, numbers: std::ops::Range<i64>| {
        for n in numbers {
            let words = |k: i64| {
                format!(
                    "goal by player {} of team {}, assisted by nobody at all",
                    (n * 31 + k * 17) % 977,
                    (n * 7 + k) % 13
                )
            };
            let fields = (0..12).map(|k| (format!("event {k}"), Value::from(words(k))));
            sim[publisher]
                .patch(1, &Patch::Map([("goals".to_owned(), Patch::Set(Value::map(fields)))].into()));
            sim.run_for(ms(10));
        }
    };
    goals(&mut sim, 0..320);
    assert_eq!(train(&sim), 1);
    goals(&mut sim, 320..330);
    sim[lagging].reads = true;
    sim.run_for(ms(20_000));
    assert_eq!(stats(&sim, "world").compression.unwrap().dictionary.map(|(version, _)| version), Some(2));
    let value = sim[reader].value("world");
    assert_eq!(sim[lagging].value("world"), value);
    for id in [reader, lagging] {
        let retired = sim[id].control.iter().filter(|body| matches!(body, Body::Retire(_))).count();
        assert!(retired >= 1 && sim[id].dictionaries.len() <= 1, "{retired}");
    }
}

#[test]
fn who_asks_anew_gets_a_plain_snapshot_and_then_blocks_again() {
    let mut sim = Sim::new(config(Pin::Codec(Codec::Level(Level::FAST))));
    let (publisher, world) = (publisher(&mut sim), World::new());
    begin(&mut sim, publisher, &world);
    let reader = sim.block_taker(fast(), "world");
    let packed = sim[reader].packed;
    let topic_id = sim[reader].topic("world").id;
    sim[reader].send(nyx_protocol::control::Resync { topic_id });
    sim.run_for(ms(50));
    assert_eq!((sim[reader].packed, sim[reader].topic("world").snapshots), (packed, 2));
    let notice = "the gate opens at noon, and closes at night; ".repeat(10);
    sim[publisher].patch(1, &Patch::merge(Value::map([("notice", notice.as_str())])));
    sim.run_for(ms(50));
    assert_eq!(sim[reader].packed, packed + 1);
    assert_eq!(sim[reader].value("world").get("notice").and_then(Value::as_str), Some(notice.as_str()));
}

#[test]
fn pins_and_the_kill_switch_hold() {
    let mut sim = Sim::new(config(Pin::Off));
    let (id, mut world) = (publisher(&mut sim), World::new());
    begin(&mut sim, id, &world);
    let reader = sim.block_taker(slow(LINK, 32_768), "world");
    play(&mut sim, id, &mut world, 20);
    assert_eq!(sim[reader].packed, 0, "off is off");

    let mut sim = Sim::new(config(Pin::Codec(Codec::Level(Level::FAST))));
    let (id, mut world) = (publisher(&mut sim), World::new());
    begin(&mut sim, id, &world);
    let reader = sim.block_taker(slow(LINK, 32_768), "world");
    play(&mut sim, id, &mut world, 5);
    assert!(sim[reader].packed > 0);
    sim.hub.set_compression(false);
    play(&mut sim, id, &mut world, 1);
    let packed = sim[reader].packed;
    play(&mut sim, id, &mut world, 20);
    assert_eq!(sim[reader].packed, packed);
    assert!(sim[reader].control.iter().any(|body| matches!(body, Body::Compression(c) if !c.allowed)));
    sim.hub.set_compression(true);
    play(&mut sim, id, &mut world, 3);
    assert!(sim[reader].packed > packed);
    let reasons: Vec<_> =
        stats(&sim, "world").compression.unwrap().log.iter().map(|entry| entry.reason.name()).collect();
    assert!(reasons.contains(&"killed"), "{reasons:?}");
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
    let gaps: Vec<_> = sim[reader]
        .control
        .iter()
        .filter_map(|body| match body {
            Body::Gap(gap) => Some((gap.first_sequence, gap.drops[0].reason(), gap.drops[0].count)),
            _ => None,
        })
        .collect();
    assert_eq!(gaps, [(5, Reason::Unreadable, 40)]);
}

#[test]
fn a_patch_may_be_a_block() {
    let mut sim = Sim::new(Config::default());
    let (publisher, world) = (publisher(&mut sim), World::new());
    let mut payload = BytesMut::new();
    Patch::Set(world.value()).encode(&mut payload);
    let mut plain = BytesMut::new();
    let header = Header { topic: 1, codec: codec::STATE_PATCH, ..Header::data(Kind::State) };
    wire::put_message(&mut plain, header, &payload);
    let mut packed = BytesMut::new();
    Packer::new().pack_run(&plain, Method::Level(Level::DEFAULT), &mut packed);
    assert!(packed.len() * 2 < plain.len());
    sim[publisher].outgoing.extend_from_slice(&packed);
    let reader = sim.subscriber(fast(), "world");
    sim.run_for(ms(50));
    assert_eq!(sim[reader].value("world"), world.value());

    // One that refers to something is answered, and changes nothing.
    let message = wire::Messages::new(&plain).next().unwrap();
    let mut forged = BytesMut::new();
    let method = Method::Prefix { base: 1, prefix: &payload, level: Level::FAST };
    Packer::new().pack(&message, method, false, &mut forged);
    sim[publisher].outgoing.extend_from_slice(&forged);
    sim.run_for(ms(50));
    assert_eq!(sim[publisher].errors(), [ErrorCode::Malformed]);
    assert_eq!(sim[reader].value("world"), world.value());
}

#[test]
fn a_driver_is_woken_for_a_training() {
    struct Flag(std::sync::atomic::AtomicBool);
    impl std::task::Wake for Flag {
        fn wake(self: Arc<Self>) {
            self.0.store(true, std::sync::atomic::Ordering::Relaxed);
        }
    }
    let mut sim = Sim::new(config(Pin::Auto));
    let (publisher, mut world) = (publisher(&mut sim), World::new());
    begin(&mut sim, publisher, &world);
    sim.block_taker(fast(), "world");
    let flag = Arc::new(Flag(false.into()));
    assert!(sim.hub.poll_training(&Waker::from(flag.clone())).is_pending());
    play(&mut sim, publisher, &mut world, 320);
    assert!(flag.0.load(std::sync::atomic::Ordering::Relaxed));
    // One that is dropped is put off, not lost.
    let Poll::Ready(training) = sim.hub.poll_training(Waker::noop()) else { panic!("a training") };
    drop(training);
    assert_eq!(train(&sim), 0);
    play(&mut sim, publisher, &mut world, 620);
    assert_eq!(train(&sim), 1);
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
    let mut sim = Sim::new(config(Pin::Codec(Codec::Prefix)));
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
