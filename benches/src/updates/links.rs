//! A state topic over links that fail, in virtual time: what it takes, and how soon a subscriber has what there is when the
//! link is back.

use std::time::Duration;

use nyx_core::Instant;
use nyx_hub::Config;
use nyx_netem::Impairment;
use nyx_protocol::control::{Resume, Subscribe};
use nyx_protocol::state::{Patch, Value};
use nyx_protocol::wire::{self, Flags, Header, Kind};

use super::report::{Line, Report};
use super::ways::Zstd;
use crate::traces::Trace as _;
use crate::traces::world::World;
use sim::{Sim, fast, slow};

// Sessions and links as the hub's own tests drive them.
#[path = "../../../crates/hub/tests/sim/mod.rs"]
mod sim;

/// Each share of loss by each sort of failure; contenders are what is sent for each change.
pub(super) fn measure(seed: u64, brief: bool, report: &mut Report) {
    let seconds = if brief { 2 } else { 20 };
    for failure in [Failure::Cut, Failure::Stall] {
        for percent in [1, 5, 20] {
            let row = format!("500 kB/s, round trip 40 ms, {} {percent} % of the time", failure.words());
            let line = |contender: &str, outcome: &Outcome| Line {
                row: row.clone(),
                contender: contender.to_owned(),
                bytes: Some(outcome.bytes),
                converges_ms: Some(outcome.mean_ms()),
                converges_ms_max: Some(outcome.longest_ms()),
                ..Line::default()
            };
            let run = |sends| run(seed, seconds, sends, failure, percent);
            let mut yardstick = line("one round trip", &Outcome { bytes: 0.0, converged: vec![ROUND_TRIP] });
            (yardstick.bytes, yardstick.converges_ms) = (None, None);
            report.push(yardstick);
            report.push(line("the whole as JSON", &run(Sends::Json)));
            report.push(line("the whole as JSON + zstd", &run(Sends::JsonZstd)));
            report.push(line("nyx", &run(Sends::Changes)));
        }
    }
}

/// What happens to the link once a second.
#[derive(Clone, Copy)]
enum Failure {
    /// The connection is lost, and there is a new one when the link is back.
    Cut,
    /// Nothing crosses it for a while. So loss of packets looks to those who use TCP.
    Stall,
}

impl Failure {
    const fn words(self) -> &'static str {
        match self {
            Self::Cut => "connection lost",
            Self::Stall => "link dead",
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Sends {
    /// A state topic.
    Changes,
    /// The document as a frame, which the hub delivers newest first: what is best for snapshots.
    Json,
    JsonZstd,
}

struct Outcome {
    /// Per update that was published, to one subscriber, with all that the protocol adds.
    bytes: f64,
    /// After each recovery.
    converged: Vec<Duration>,
}

impl Outcome {
    fn mean_ms(&self) -> f64 {
        self.converged.iter().sum::<Duration>().as_secs_f64() * 1e3 / self.converged.len().max(1) as f64
    }

    fn longest_ms(&self) -> f64 {
        self.converged.iter().max().map_or(0.0, |longest| longest.as_secs_f64() * 1e3)
    }
}

fn run(seed: u64, seconds: u32, sends: Sends, failure: Failure, percent: u32) -> Outcome {
    let mut world = Published::new(seed, sends);
    let mut reader = Reader::new(&mut world);
    let mut rng = fastrand::Rng::with_seed(seed);
    let outage = Duration::from_secs(1) * percent / 100;
    let start = world.sim.now;
    let mut outcome = Outcome { bytes: 0.0, converged: Vec::new() };
    for second in 0..seconds {
        let began = start + Duration::from_secs(1) * second;
        // Not in step with the ticks, and back in time to converge within the second.
        let fails = began + Duration::from_micros(rng.u64(0..500_000));
        world.run_until(fails);
        reader.fail(&mut world, failure);
        world.run_until(fails + outage);
        let (back, wanted) = (world.sim.now, world.latest);
        reader.recover(&mut world, failure);
        let ends = began + Duration::from_secs(1);
        while reader.has(&world) < Some(wanted) && world.sim.now < ends {
            let next = world.sim.now + STEP;
            world.run_until(next);
        }
        outcome.converged.push(world.sim.now - back);
        world.run_until(ends);
    }
    outcome.bytes = reader.received(&world) as f64 / world.latest as f64;
    outcome
}

/// The hub and a publisher of the game world at 30 Hz.
struct Published {
    sim: Sim,
    world: World,
    value: Value,
    sends: Sends,
    zstd: Zstd,
    publisher: usize,
    /// How many updates there were.
    latest: u64,
    next_tick: Instant,
}

impl Published {
    fn new(seed: u64, sends: Sends) -> Self {
        let mut sim = Sim::new(Config::default());
        let publisher = sim.peer(fast(), true);
        let kind = if sends == Sends::Changes { Kind::State } else { Kind::Frame };
        sim[publisher].advertise(1, TOPIC, kind);
        sim.settle();
        let next_tick = sim.now;
        let world = World::new(seed);
        let value = Value::Map([].into());
        Self { sim, world, value, sends, zstd: Zstd::new(), publisher, latest: 0, next_tick }
    }

    fn run_until(&mut self, end: Instant) {
        while self.next_tick <= end {
            self.sim.run_until(self.next_tick);
            self.publish();
            self.next_tick = self.next_tick + TICK;
        }
        self.sim.run_until(end);
    }

    fn publish(&mut self) {
        self.world.tick();
        let value = self.world.value();
        let client = &mut self.sim[self.publisher];
        if self.sends == Sends::Changes {
            if let Some(patch) = Patch::diff(&self.value, &value) {
                client.patch(1, &patch);
            }
        } else {
            let mut payload = serde_json::to_vec(&value).unwrap_or_default();
            if self.sends == Sends::JsonZstd {
                let plain = std::mem::take(&mut payload);
                assert!(self.zstd.compress(&plain, &mut payload).is_ok(), "memory takes all");
            }
            let header = Header { topic: 1, flags: Flags::KEYFRAME, ..Header::data(Kind::Frame) };
            wire::put_message(&mut client.outgoing, header, &payload);
        }
        self.value = value;
        self.latest += 1;
        self.sim.settle();
    }
}

/// A subscriber behind the bad link.
struct Reader {
    id: usize,
    /// Over connections that are gone.
    received: usize,
}

impl Reader {
    fn new(world: &mut Published) -> Self {
        world.publish();
        let id = world.sim.subscriber(link(), TOPIC);
        world.sim[id].keeps_transcript = true;
        Self { id, received: 0 }
    }

    fn fail(&mut self, world: &mut Published, failure: Failure) {
        match failure {
            Failure::Cut => world.sim.cut(self.id),
            Failure::Stall => {
                let now = world.sim.now;
                world.sim.node(self.id).stall(now, true);
            }
        }
    }

    fn recover(&mut self, world: &mut Published, failure: Failure) {
        match failure {
            Failure::Cut => self.reconnect(world),
            Failure::Stall => {
                let now = world.sim.now;
                world.sim.node(self.id).stall(now, false);
                world.sim.settle();
            }
        }
    }

    /// Goes on with what it holds.
    fn reconnect(&mut self, world: &mut Published) {
        let old = &mut world.sim[self.id];
        self.received += old.transcript.len();
        let topics = std::mem::take(&mut old.topics);
        let resume = topics.values().filter(|_| world.sends == Sends::Changes).map(|known| Resume {
            topic: known.announce.topic.clone(),
            epoch: known.document.epoch(),
            position: known.document.version(),
        });
        let resume = resume.collect();
        self.id = world.sim.peer(link(), true);
        let client = &mut world.sim[self.id];
        (client.topics, client.keeps_transcript) = (topics, true);
        client.send(Subscribe { id: 1, pattern: TOPIC.to_owned(), resume, ..Default::default() });
        world.sim.settle();
    }

    /// The number of the update that it has; `None` if it has none on this connection.
    fn has(&self, world: &Published) -> Option<u64> {
        let client = &world.sim[self.id];
        match world.sends {
            Sends::Changes => client.topics.get(TOPIC).map(|known| known.document.version()),
            // Numbered from 0.
            Sends::Json | Sends::JsonZstd => client.items.last().map(|item| item.sequence + 1),
        }
    }

    fn received(&self, world: &Published) -> usize {
        self.received + world.sim[self.id].transcript.len()
    }
}

fn link() -> Impairment {
    let mut link = slow(500_000, 64 * 1024);
    // All of it on the way down; only the sum counts.
    link.delay = ROUND_TRIP;
    link
}

const TOPIC: &str = "world";
const ROUND_TRIP: Duration = Duration::from_millis(40);

/// 30 Hz.
const TICK: Duration = Duration::from_micros(33_333);

/// How finely convergence is told.
const STEP: Duration = Duration::from_micros(500);
