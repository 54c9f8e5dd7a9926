//! What topics carry, generated from a seed.

use std::fmt::Write as _;

/// One update: the whole of it, and what changed since the one before.
#[derive(Clone, Debug)]
pub(crate) struct Update {
    pub(crate) full: Vec<u8>,
    pub(crate) delta: Option<Vec<u8>>,
}

impl From<Vec<u8>> for Update {
    fn from(full: Vec<u8>) -> Self {
        Self { full, delta: None }
    }
}

/// splitmix64.
#[derive(Clone, Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(len + 8);
        while bytes.len() < len {
            bytes.extend_from_slice(&self.next().to_le_bytes());
        }
        bytes.truncate(len);
        bytes
    }

    fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len() as u64) as usize]
    }
}

/// One entity of a game as JSON, about 208 bytes.
pub(crate) fn entity(random: &mut Random, id: u64) -> String {
    let (x, y) = (random.below(100_000) as f64 / 100.0, random.below(100_000) as f64 / 100.0);
    let (health, gold) = (random.below(101), random.below(5000));
    let (team, state) = (random.pick(&TEAMS), random.pick(&STATES));
    format!(
        r#"{{"id":{id},"name":"entity-{id:04}","position":{{"x":{x:.2},"y":{y:.2},"z":0}},"velocity":{{"x":0.5,"y":-0.25}},"health":{health},"alive":true,"visible":true,"team":"{team}","state":"{state}","inventory":{{"gold":{gold},"arrows":{}}}}}"#,
        random.below(40)
    )
}

/// A world of which `percent` of the entities change with each tick, or ten times as many in every tenth.
pub(crate) fn game_world(seed: u64, ticks: usize, entities: u64, percent: u64, bursts: bool) -> Vec<Update> {
    let mut random = Random(seed);
    let mut world: Vec<String> = (0..entities).map(|id| entity(&mut random, id)).collect();
    let tick = |n: usize| {
        let percent = if bursts && n % 10 == 9 { percent * 10 } else { percent };
        let mut delta = String::from("{");
        for id in 0..entities {
            if random.below(100) < percent {
                world[id as usize] = entity(&mut random, id);
                let _ = write!(delta, r#""{id}":{},"#, world[id as usize]);
            }
        }
        delta.push('}');
        Update { full: format!("[{}]", world.join(",")).into_bytes(), delta: Some(delta.into_bytes()) }
    };
    (0..ticks).map(tick).collect()
}

/// A document of gauges, all of which move a little.
pub(crate) fn telemetry(seed: u64, ticks: usize, gauges: u64) -> Vec<Update> {
    let mut random = Random(seed);
    let mut values: Vec<i64> = (0..gauges).map(|_| random.below(100_000) as i64).collect();
    let tick = |_| {
        let mut text = String::from("{");
        for (i, value) in values.iter_mut().enumerate() {
            *value += random.below(21) as i64 - 10;
            let _ = write!(text, r#""sensor/{i}/temperature":{}.{:02},"#, *value / 100, (*value % 100).abs());
        }
        text.push('}');
        Update::from(text.into_bytes())
    };
    (0..ticks).map(tick).collect()
}

/// Lines of a chat.
pub(crate) fn chat(seed: u64, lines: usize) -> Vec<Update> {
    let mut random = Random(seed);
    let line = |n| {
        let words = 3 + random.below(20);
        let text: Vec<&str> = (0..words).map(|_| random.pick(&WORDS)).collect();
        let user = random.below(40);
        format!(r#"{{"seq":{n},"room":"lobby","user":"player-{user:03}","text":"{}"}}"#, text.join(" "))
            .into_bytes()
            .into()
    };
    (0..lines).map(line).collect()
}

/// What happens in a football match.
pub(crate) fn football(seed: u64, events: usize) -> Vec<Update> {
    let mut random = Random(seed);
    let event = |n: usize| {
        let (kind, team) = (random.pick(&EVENTS), random.pick(&TEAMS));
        let (a, b) = (random.below(11) + 1, random.below(11) + 1);
        let (x, y) = (random.below(1050), random.below(680));
        format!(
            r#"{{"match":"cup-final","minute":{},"second":{},"event":"{kind}","team":"{team}","player":{a},"to":{b},"at":[{}.{},{}.{}],"score":{{"home":{},"away":1}}}}"#,
            n / 60, n % 60, x / 10, x % 10, y / 10, y % 10, n / 400
        )
        .into_bytes()
        .into()
    };
    (0..events).map(event).collect()
}

/// Images of 46 KB.
pub(crate) fn jpeg(seed: u64, frames: usize) -> Vec<Update> {
    let mut random = Random(seed);
    let frame = |_| [&[0xFF, 0xD8, 0xFF, 0xE0][..], &random.bytes(46_000)].concat().into();
    (0..frames).map(frame).collect()
}

/// Bytes without any order.
pub(crate) fn noise(seed: u64, updates: usize, len: usize) -> Vec<Update> {
    let mut random = Random(seed);
    (0..updates).map(|_| random.bytes(len).into()).collect()
}

/// Text that Huffman coding makes a quarter smaller, and nothing else does.
pub(crate) fn base64(seed: u64, updates: usize, len: usize) -> Vec<Update> {
    let mut random = Random(seed);
    let text = |_| random.bytes(len).iter().map(|byte| b'0' + byte % 64).collect::<Vec<u8>>().into();
    (0..updates).map(text).collect()
}

const TEAMS: [&str; 3] = ["north", "south", "wanderers"];
const STATES: [&str; 5] = ["idle", "walking", "running", "fighting", "asleep"];
const EVENTS: [&str; 6] = ["pass", "tackle", "throw-in", "shot", "foul", "corner"];
const WORDS: [&str; 24] = [
    "the", "gate", "is", "open", "who", "has", "gold", "wait", "for", "me", "north", "tower", "dragon",
    "run", "heal", "please", "thanks", "brb", "lol", "left", "right", "behind", "you", "again",
];
