//! Documents as topics carry them, each a function of its tick: the same in every run.

use std::time::Duration;

use nyx_protocol::state::Value;

/// What a document is at a tick.
pub(crate) type Versions = fn(u64) -> Value;

/// A document, how often it changes, and for how long.
#[derive(Clone, Copy)]
pub(crate) struct Trace {
    pub(crate) name: &'static str,
    pub(crate) at: Versions,
    pub(crate) every: Duration,
    /// Ticks until a topic has been going on for a while: on the first path until a dictionary is handed over, if one pays.
    pub(crate) before: usize,
    /// The same on the other paths, until the new subscriber has it.
    pub(crate) between: usize,
    /// Ticks on each path after that.
    pub(crate) settled: usize,
}

const fn trace(name: &'static str, at: Versions, every_ms: u64) -> Trace {
    Trace { name, at, every: Duration::from_millis(every_ms), before: 320, between: 50, settled: 150 }
}

pub(crate) const WORLD: Trace = trace("game world", world, 33);
pub(crate) const BURSTS: Trace =
    Trace { before: 200, settled: 100, ..trace("game world with bursts", bursts, 33) };
/// Shorter, because a thousand changes are slow to apply in a debug build. No dictionary pays, however long it goes on, so none is to be waited for.
pub(crate) const TELEMETRY: Trace =
    Trace { before: 24, between: 6, settled: 15, ..trace("telemetry of 1,000 gauges", telemetry, 33) };
pub(crate) const CHAT: Trace = trace("chat room", chat, 33);
pub(crate) const FOOTBALL: Trace = trace("football match", football, 33);
/// Five images a second, so that a slow link carries them. They are too large to train a dictionary on.
pub(crate) const IMAGES: Trace =
    Trace { before: 15, between: 5, settled: 15, ..trace("46 KB JPEG in a document", images, 200) };
pub(crate) const NOISE: Trace = Trace { before: 120, settled: 80, ..trace("random bytes", noise, 33) };

/// A number below `bound` that is the same in every run.
fn draw(seed: u64, bound: u64) -> i64 {
    (mix(seed) % bound) as i64
}

const fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Sixty entities, of whom a tick changes one in twenty; in bursts, all in every tenth.
fn world_with(tick: u64, bursts: bool) -> Value {
    let entity = |id: u64| {
        let changed = if bursts && tick % 10 == 9 { tick * 20 } else { tick + id };
        let at = |axis: u64, span: u64| draw(id * 31 + changed / 20 * 7 + axis, span);
        let team = ["north", "south", "wanderers"][at(1, 3) as usize];
        let text =
            format!("{team} {} with {} arrows", ["walks", "runs", "rests"][at(2, 3) as usize], at(3, 40));
        Value::map([("x", Value::from(at(4, 10_000))), ("y", at(5, 10_000).into()), ("doing", text.into())])
    };
    let entities = (0..60).map(|id| (format!("entity-{id:04}"), entity(id)));
    Value::map([("tick", Value::from(tick as i64)), ("entities", Value::map(entities))])
}

fn world(tick: u64) -> Value {
    world_with(tick, false)
}

fn bursts(tick: u64) -> Value {
    world_with(tick, true)
}

/// Gauges that all move a little.
fn telemetry(tick: u64) -> Value {
    let gauge =
        |n: u64| (0..=tick % 16).map(|step| draw(n * 1000 + tick / 16 * 16 + step, 21) - 10).sum::<i64>();
    Value::map((0..1_000).map(|n| (format!("sensor {n}"), Value::from(50_000 + gauge(n)))))
}

/// A chat room: the last twenty lines.
fn chat(tick: u64) -> Value {
    let words =
        ["the gate is open", "who has gold", "wait for me at the tower", "dragon behind you", "thanks"];
    let line = |n: u64| {
        format!(
            "player-{:03}: {}, {}",
            draw(n, 40),
            words[draw(n + 1, 5) as usize],
            words[draw(n + 2, 5) as usize]
        )
    };
    Value::map([("lines", Value::List((tick..tick + 20).map(|n| line(n).into()).collect()))])
}

/// A match, of which a tick stands for a second: 22 players sorted by the distance that they have run, a clock, possession, and a ticker that grows.
fn football(tick: u64) -> Value {
    let run = |id: u64| tick as i64 * 20 + draw(id, 400) + draw(id * 7_919 + tick, 60);
    let player = |id: u64| {
        Value::map([
            ("id", Value::from(id as i64)),
            ("name", format!("Player number {id}").into()),
            ("team", if id <= 11 { "home" } else { "away" }.into()),
            ("distance", Value::try_from(run(id) as f64 / 10.0).expect("finite")),
            ("passes", Value::from((tick as i64 + draw(id, 22)) / 22)),
            ("pulse", Value::from(120 + draw(id * 101 + (tick + id) / 4, 30))),
        ])
    };
    let mut players: Vec<u64> = (1..=22).collect();
    players.sort_by_key(|id| std::cmp::Reverse(run(*id)));
    let news = |minute: u64| match draw(minute, 15) {
        0 => format!("{minute}' Goal! {} : {}", draw(minute + 1, 4), draw(minute + 2, 4)),
        _ => format!("{minute}' Corner from the left"),
    };
    Value::map([
        ("clock", Value::from(format!("{:02}:{:02}", tick / 60, tick % 60))),
        ("possession", (400 + draw(tick, 200)).into()),
        ("players", Value::List(players.into_iter().map(player).collect())),
        ("ticker", Value::List((1..=tick / 60).map(|minute| news(minute).into()).collect())),
    ])
}

/// Bytes without any order.
fn noise(tick: u64) -> Value {
    Value::map([("blob", Value::Bytes(random_bytes(tick, 2_000).into()))])
}

/// An image, as its publisher compressed it.
fn images(tick: u64) -> Value {
    Value::map([("image", Value::Bytes(jpeg(tick).into()))])
}

/// 46 KB that begin as JPEG does, of what entropy coding leaves.
pub(crate) fn jpeg(seed: u64) -> Vec<u8> {
    let head = [0xFF, 0xD8, 0xFF, 0xE0, 0x00, 0x10, b'J', b'F', b'I', b'F', 0x00];
    [&head[..], &random_bytes(seed, 46_000 - head.len())].concat()
}

fn random_bytes(seed: u64, len: usize) -> Vec<u8> {
    let words = (0..len as u64).step_by(8).map(|n| mix(seed * 10_000 + n + 1));
    let mut bytes: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
    bytes.truncate(len);
    bytes
}
