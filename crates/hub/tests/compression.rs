//! Documents as blocks: made where that pays, with dictionaries that come and go, pinned and turned off.

mod sim;

use std::sync::Arc;
use std::task::{Poll, Waker};

use bytes::BytesMut;
use nyx_hub::Config;
use nyx_protocol::choose::{Codec, Pin};
use nyx_protocol::compress::{Level, Method};
use nyx_protocol::control::{Body, ErrorCode};
use nyx_protocol::pack::Packer;
use nyx_protocol::state::{Patch, Value};
use nyx_protocol::wire::{self, Header, Kind, codec};
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
