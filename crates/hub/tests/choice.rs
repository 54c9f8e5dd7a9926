//! The choice end to end: what a hub sends its subscribers beside what it would have sent with each encoding pinned, on the same traces.
//!
//! What is compared is the time that the objective names: encoding, and bytes over what the link carries. It is counted twice in each run:
//! from the first message on, with the snapshot, what the choice had to try, and the dictionaries that were handed over; and of messages alone,
//! once the topic has been going on for a while. CPU is the hub's model; training is not in it, as no message
//! waits for one. Epochs are drawn from a seed, so each run is like the other; by
//! another seed the ratios of the game and of football move by up to 3 %, as dictionaries are trained on what holds the epoch, and the others by
//! less than 1 %.

mod sim;
mod traces;

use std::task::{Poll, Waker};
use std::time::Duration;

use bytes::BytesMut;
use nyx_hub::Config;
use nyx_netem::Impairment;
use nyx_protocol::choose::{Codec, Pin};
use nyx_protocol::compress::Level;
use nyx_protocol::control::{self, Body};
use nyx_protocol::state::{Patch, Value};
use nyx_protocol::wire::{self, Flags, Header, Kind, codec};
use sim::{Sim, fast, ms, slow};
use traces::{BURSTS, CHAT, FOOTBALL, IMAGES, NOISE, TELEMETRY, Trace, WORLD};

/// A document that goes through its versions.
struct Play {
    trace: Trace,
    first: Value,
    /// Messages, empty where nothing changes.
    patches: Vec<BytesMut>,
    last: Value,
}

impl Play {
    /// What it takes for `paths` paths.
    fn new(trace: Trace, paths: usize) -> Self {
        let ticks = trace.before + trace.between * (paths - 1) + trace.settled * paths;
        let first = (trace.at)(0);
        let mut last = first.clone();
        let step = |tick| {
            let before = std::mem::replace(&mut last, (trace.at)(tick));
            Patch::diff(&before, &last).map(|patch| message(&patch)).unwrap_or_default()
        };
        let patches = (1..=ticks as u64).map(step).collect();
        Self { trace, first, patches, last }
    }
}

fn message(patch: &Patch) -> BytesMut {
    let (mut payload, mut message) = (BytesMut::new(), BytesMut::new());
    patch.encode(&mut payload);
    let header = Header { topic: 1, codec: codec::STATE_PATCH, ..Header::data(Kind::State) };
    wire::put_message(&mut message, header, &payload);
    message
}

/// Stands for chance.
const EPOCH_SEED: u64 = 1;

const FIXED: [Pin; 4] = [
    Pin::Off,
    Pin::Codec(Codec::Level(Level::FAST)),
    Pin::Codec(Codec::Level(Level::DEFAULT)),
    Pin::Codec(Codec::Dictionary),
];

/// A link and what it carries, in bytes per second.
#[derive(Clone, Copy)]
enum Path {
    /// What a loopback does, about.
    Fast,
    Slow,
    /// Ten times as much: what is saved takes as long as saving it, about.
    Medium,
}

impl Path {
    fn link(self) -> Impairment {
        match self {
            Self::Fast => fast(),
            Self::Slow => slow(500_000, 32_768),
            Self::Medium => slow(5_000_000, 32_768),
        }
    }

    const fn bytes_per_second(self) -> u64 {
        match self {
            Self::Fast => 2_000_000_000,
            Self::Slow => 500_000,
            Self::Medium => 5_000_000,
        }
    }
}

/// The time that a run takes.
#[derive(Clone, Copy, Debug, Default)]
struct Cost {
    /// From the first message on, all included.
    whole: Duration,
    /// Of the messages alone that followed once the topic had been going on for a while.
    settled: Duration,
}

/// What a trace costs whose subscriber comes over each of the paths.
fn cost(play: &Play, pin: Pin, paths: &[Path]) -> Cost {
    let mut config = Config::default();
    config.epoch_seed = Some(EPOCH_SEED);
    config.compression.pin = pin;
    config.compression.training.records_between = 100;
    config.compression.training.dictionary_bytes = 2048;
    let mut sim = Sim::new(config);
    let publisher = sim.peer(fast(), true);
    sim[publisher].advertise(1, "state", Kind::State);
    sim[publisher].patch(1, &Patch::Set(play.first.clone()));
    sim.settle();
    let mut patches = play.patches.iter();
    let mut total = Cost::default();
    for (at, path) in paths.iter().enumerate() {
        let first = spent(&sim);
        let subscriber = sim.block_taker(path.link(), "state");
        let ticks = if at == 0 { play.trace.before } else { play.trace.between };
        publish(&mut sim, publisher, play.trace.every, patches.by_ref().take(ticks));
        let before = spent(&sim);
        publish(&mut sim, publisher, play.trace.every, patches.by_ref().take(play.trace.settled));
        let after = spent(&sim);
        let takes = |bytes: u64| Duration::from_nanos(bytes * 1_000_000_000 / path.bytes_per_second());
        total.settled += after.1 - before.1 + takes(after.0 - before.0);
        let handed_over = dictionary_bytes(&sim[subscriber].control);
        total.whole += after.1 - first.1 + takes(after.0 - first.0 + handed_over);
        if at + 1 == paths.len() {
            assert_eq!(sim[subscriber].value("state"), play.last);
        }
        sim.cut(subscriber);
    }
    total
}

fn publish<'a>(
    sim: &mut Sim,
    publisher: usize,
    every: Duration,
    patches: impl Iterator<Item = &'a BytesMut>,
) {
    for patch in patches {
        sim[publisher].outgoing.extend_from_slice(patch);
        sim.run_for(every);
        if let Poll::Ready(training) = sim.hub.poll_training(Waker::noop()) {
            training.run();
        }
    }
    sim.run_for(ms(500));
}

/// Bytes of messages that were sent, and what encoding took.
fn spent(sim: &Sim) -> (u64, Duration) {
    let stats = sim.hub.stats(sim.now);
    let compression = stats.topics[0].compression.as_ref();
    compression.map_or_else(Default::default, |compression| (compression.after_bytes, compression.cpu))
}

/// Bytes of the dictionaries among what a subscriber was told.
fn dictionary_bytes(told: &[Body]) -> u64 {
    let bytes =
        told.iter().filter(|body| matches!(body, Body::Dictionary(_) | Body::Retire(_))).map(|body| {
            let mut message = BytesMut::new();
            control::put(&mut message, body.clone());
            message.len() as u64
        });
    bytes.sum()
}

/// By how much the choice is behind (over 1) or ahead of the best fixed one.
#[derive(Clone, Copy, Debug)]
struct Ratio {
    whole: f64,
    settled: f64,
}

fn ratio(trace: Trace, paths: &[Path]) -> Ratio {
    let play = Play::new(trace, paths.len());
    let fixed = FIXED.map(|pin| (cost(&play, pin, paths), pin));
    let ours = cost(&play, Pin::Auto, paths);
    let of = |what: &str, part: fn(&Cost) -> Duration| {
        let (best, pin) = fixed.iter().min_by_key(|(cost, _)| part(cost)).expect("some");
        let (best, ours) = (part(best), part(&ours));
        let ratio = ours.as_secs_f64() / best.as_secs_f64();
        println!("{:26} {what:8} {ours:>10.3?}, best fixed {best:>10.3?} ({pin}): {ratio:.3}", trace.name);
        ratio
    };
    Ratio { whole: of("whole", |cost| cost.whole), settled: of("settled", |cost| cost.settled) }
}

/// Of which encoding makes less.
const PACKED: [Trace; 5] = [WORLD, BURSTS, TELEMETRY, CHAT, FOOTBALL];
/// Of which it does not. As a part of a document an image is offered to the choice like anything else.
const INCOMPRESSIBLE: [Trace; 2] = [IMAGES, NOISE];

/// A subscriber that is there from the first message on, then one that comes late, when there is a dictionary: 670 messages in all, 22 s of a game
/// (bursts 450, random bytes 330, telemetry 60, images 50).
///
/// Measured, the whole and once settled: game world 0.97 to 1.00 and 1.00, with bursts 0.86 and 1.00, telemetry 1.02 and 1.00, chat 1.04 and 1.00,
/// football 0.99 to 1.01 and 1.00, images and random bytes 1.00. Shorter stays are dearer: a late subscriber is handed a dictionary only when it would have saved
/// a quarter of its length, so while that quarter is much of all that was sent, who pinned the dictionary is ahead.
#[test]
fn over_a_slow_link_it_is_never_5_percent_worse_than_the_best_fixed_choice() {
    for trace in PACKED.into_iter().chain(INCOMPRESSIBLE) {
        let ratio = ratio(trace, &[Path::Slow, Path::Slow]);
        assert!(ratio.whole <= 1.05 && ratio.settled <= 1.05, "{}: {ratio:?}", trace.name);
    }
}

/// 870 messages (bursts 600, telemetry 81).
///
/// Measured, the whole and once settled: game world 0.94 and 0.88, with bursts 0.98 and 0.90, telemetry 0.92 and 1.01, chat 0.95 and 0.84, football 0.99
/// and 0.90. Telemetry is ahead by its snapshots alone: what follows is packed already, and sending it plainly is best on each of these paths.
/// Football is ahead by less than epochs make a difference.
#[test]
fn over_a_link_that_changes_it_is_better_than_every_fixed_choice() {
    for trace in PACKED {
        let ratio = ratio(trace, &CHANGING);
        let is = |other: Trace| trace.name == other.name;
        let whole_max = if is(FOOTBALL) { 1.05 } else { 1.0 };
        let settled_max = if is(TELEMETRY) { 1.05 } else { 1.0 };
        assert!(ratio.whole < whole_max && ratio.settled < settled_max, "{}: {ratio:?}", trace.name);
    }
}

/// Nothing is better than sending these plainly, on any path: 1.00 was measured of random bytes (460 messages), 1.01 of images (70).
#[test]
fn over_a_link_that_changes_it_leaves_what_is_incompressible_as_it_is() {
    for trace in INCOMPRESSIBLE {
        let ratio = ratio(trace, &CHANGING);
        assert!(ratio.whole <= 1.05 && ratio.settled <= 1.05, "{}: {ratio:?}", trace.name);
    }
}

const CHANGING: [Path; 3] = [Path::Fast, Path::Medium, Path::Fast];

/// As messages of their own images are not offered to the choice: they are told by their codec, and, where that says nothing, by their first bytes.
#[test]
fn an_opaque_stream_of_jpeg_is_never_compressed_again() {
    let run = |pin: Pin, codec: u8| {
        let mut config = Config::default();
        config.epoch_seed = Some(EPOCH_SEED);
        config.compression.pin = pin;
        let mut sim = Sim::new(config);
        let publisher = sim.peer(fast(), true);
        sim[publisher].advertise(1, "camera", Kind::Frame);
        sim.settle();
        let subscriber = sim.block_taker(Path::Slow.link(), "camera");
        for tick in 0..20 {
            let header = Header { topic: 1, codec, flags: Flags::KEYFRAME, ..Header::data(Kind::Frame) };
            wire::put_message(&mut sim[publisher].outgoing, header, &traces::jpeg(tick));
            sim.run_for(IMAGES.every);
        }
        sim.run_for(ms(500));
        assert!(sim[subscriber].items.iter().all(|item| item.payload == traces::jpeg(item.sequence)));
        let cpu = spent(&sim).1;
        (sim[subscriber].items.len(), sim[subscriber].data_bytes, sim[subscriber].packed, cpu)
    };
    for codec in [codec::FRAME_JPEG, codec::FRAME_OTHER] {
        let plain = 20 * (46_000 + wire::HEADER_LEN as u64);
        let plainly = (20, plain, 0, Duration::ZERO);
        assert_eq!([run(Pin::Auto, codec), run(Pin::Off, codec)], [plainly, plainly]);
    }
}
