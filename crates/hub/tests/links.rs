//! Links that fail: whoever follows a state soon has what there was when the link came back, whatever was missed meanwhile.

mod sim;

use std::time::Duration;

use nyx_core::Instant;
use nyx_hub::Config;
use nyx_netem::Impairment;
use nyx_protocol::control::{ErrorCode, Resume, Subscribe};
use nyx_protocol::state::{Patch, Value};
use nyx_protocol::wire::Kind;
use proptest::prelude::*;
use sim::{Sim, fast, ms, slow};

const ROUND_TRIP: Duration = ms(40);

/// 500 kB/s; all of the round trip is on the way down.
fn link() -> Impairment {
    let mut link = slow(500_000, 64 * 1024);
    link.delay = ROUND_TRIP;
    link
}

/// A publisher of a document of 8 KB, of which a part changes 30 times a second.
struct World {
    sim: Sim,
    publisher: usize,
    tick: i64,
    next: Instant,
}

impl World {
    fn new() -> Self {
        let mut sim = Sim::new(Config::default());
        let publisher = sim.peer(fast(), true);
        sim[publisher].advertise(1, "world", Kind::State);
        sim.settle();
        let next = sim.now;
        let mut world = Self { sim, publisher, tick: 0, next };
        let entity = |id: i64| {
            let fields = [("name", Value::from(format!("entity {id}"))), ("x", id.into()), ("y", 0.into())];
            (format!("e{id}"), Value::map(fields))
        };
        world.publish(&Patch::merge(Value::map((0..200).map(entity))));
        world
    }

    fn publish(&mut self, patch: &Patch) {
        self.sim[self.publisher].patch(1, patch);
        self.sim.settle();
        self.tick += 1;
    }

    fn run_until(&mut self, end: Instant) {
        while self.next <= end {
            self.sim.run_until(self.next);
            let moved = |id: i64| (format!("e{id}"), Value::map([("x", self.tick), ("y", -self.tick)]));
            let patch = Patch::merge(Value::map((0..6).map(|n| moved((self.tick * 7 + n * 31) % 200))));
            self.publish(&patch);
            self.next = self.next + Duration::from_micros(33_333);
        }
        self.sim.run_until(end);
    }

    /// How long it is until the reader has what is now the latest version.
    fn convergence(&mut self, reader: usize) -> Duration {
        let (since, wanted) = (self.sim.now, self.tick as u64);
        while self.sim[reader].topics.get("world").is_none_or(|known| known.document.version() < wanted) {
            assert!(self.sim.now - since < ms(10_000), "the reader never gets there");
            let next = self.sim.now + Duration::from_micros(500);
            self.run_until(next);
        }
        self.sim.now - since
    }

    /// A new connection that goes on with what the lost one held.
    fn reconnect(&mut self, lost: usize) -> usize {
        let topics = std::mem::take(&mut self.sim[lost].topics);
        let document = &topics["world"].document;
        let (epoch, position) = (document.epoch(), document.version());
        let id = self.sim.peer(link(), true);
        let resume = vec![Resume { topic: "world".to_owned(), epoch, position }];
        self.sim[id].topics = topics;
        self.sim[id].send(Subscribe { id: 1, pattern: "world".to_owned(), resume, ..Default::default() });
        self.sim.settle();
        id
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_subscriber_whose_connection_was_lost_converges_within_a_round_trip(
        outages in prop::collection::vec((100..900_u64, 1..400_u64), 1..4),
    ) {
        let mut world = World::new();
        let mut reader = world.sim.subscriber(link(), "world");
        for (up, down) in outages {
            let fails = world.sim.now + ms(up);
            world.run_until(fails);
            world.sim.cut(reader);
            world.run_until(fails + ms(down));
            reader = world.reconnect(reader);
            // What is on the wire by then: who is there, what the topic is, and one delta. Less than 2 KB, 4 ms.
            prop_assert!(world.convergence(reader) <= ROUND_TRIP + ms(5));
            prop_assert_eq!(world.sim[reader].topic("world").snapshots, 0, "it goes on by delta");
        }
    }

    #[test]
    fn a_subscriber_whose_link_was_dead_converges_within_a_round_trip(
        outages in prop::collection::vec((100..900_u64, 1..400_u64), 1..4),
    ) {
        let mut world = World::new();
        let reader = world.sim.subscriber(link(), "world");
        for (up, down) in outages {
            let fails = world.sim.now + ms(up);
            world.run_until(fails);
            let now = world.sim.now;
            world.sim.node(reader).stall(now, true);
            world.run_until(fails + ms(down));
            let now = world.sim.now;
            world.sim.node(reader).stall(now, false);
            world.sim.settle();
            // What it became meanwhile is on its way: a dozen small deltas, some 2 KB, 4 ms.
            let longest = ROUND_TRIP + ms(5);
            let took = world.convergence(reader);
            prop_assert!(took <= longest, "{took:?}");
        }
        let end = world.sim.now + ms(200);
        world.sim.run_until(end);
        prop_assert_eq!(world.sim[reader].topic("world").snapshots, 1, "the first");
    }
}

#[test]
fn a_clock_that_steps_costs_no_session_and_no_event() {
    let mut sim = Sim::new(Config::default());
    let publisher = sim.peer(fast(), true);
    sim[publisher].advertise(1, "log", Kind::Event);
    let reader = sim.subscriber(slow(500_000, 32_768), "log");
    let mut sent = 0;
    // Monotonic clocks don't, but what takes an instant withstands it: ahead within what a silent peer is given, and back to before it came.
    for now in [ms(20_000), ms(1_000), ms(0), ms(25_000)] {
        sim.now = Instant::ZERO + now;
        for _ in 0..20 {
            (0..5).for_each(|_| sim[publisher].publish_numbered(1, Kind::Event, 100));
            sent += 5;
            sim.run_for(ms(10));
        }
    }
    sim.run_for(ms(5_000));
    assert_eq!(sim[reader].numbers(), (0..sent).collect::<Vec<u64>>());
    assert_eq!(sim.hub.stats(sim.now).sessions.len(), 2);
}

#[test]
fn an_item_may_take_longer_than_a_peer_may_say_nothing() {
    let mut sim = Sim::new(Config::default());
    let publisher = sim.peer(fast(), true);
    sim[publisher].advertise(1, "large", Kind::Event);
    sim.settle();
    let subscriber = sim.subscriber(slow(100_000, 64 * 1024), "large");
    sim[publisher].publish_numbered(1, Kind::Event, 9_000_000);
    // The hub's ping stands behind 90 s of it, and the subscriber has nothing to say before it is whole.
    sim.run_for(Duration::from_secs(100));
    assert_eq!(sim[subscriber].numbers(), [0]);
    assert!(!sim.node(subscriber).is_closed());

    sim[publisher].publish_numbered(1, Kind::Event, 9_000_000);
    sim.run_for(Duration::from_secs(10));
    let now = sim.now;
    sim.node(subscriber).stall(now, true);
    sim.run_for(Duration::from_secs(60));
    assert_eq!(sim.refused(ErrorCode::Timeout), 1, "who takes nothing any more is gone");
}
