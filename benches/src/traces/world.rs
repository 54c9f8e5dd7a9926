//! A game world.

use std::collections::VecDeque;

use fastrand::Rng;
use nyx_protocol::state::Value;

use super::{Trace, decimals};

/// 200 entities on a plain: some walk, some fight, some pick things up; a line of chat now and then.
#[derive(Debug)]
pub struct World {
    rng: Rng,
    tick: u64,
    entities: Vec<Entity>,
    next_id: u32,
    chat: VecDeque<(String, &'static str)>,
    is_bursty: bool,
}

#[derive(Debug)]
struct Entity {
    id: u32,
    name: String,
    class: &'static str,
    at: (f64, f64),
    /// Metres a tick, while it walks.
    speed: Option<(f64, f64)>,
    hp: i64,
    items: Vec<&'static str>,
}

impl World {
    /// One that goes on evenly.
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let entities = (FIRST_ID..FIRST_ID + POPULATION).map(|id| Entity::born(id, &mut rng)).collect();
        let next_id = FIRST_ID + POPULATION;
        Self { rng, tick: 0, entities, next_id, chat: VecDeque::new(), is_bursty: false }
    }

    /// One in which a spell hits a fifth of all every two seconds.
    pub fn bursty(seed: u64) -> Self {
        Self { is_bursty: true, ..Self::new(seed) }
    }

    fn burst(&mut self) {
        for entity in &mut self.entities {
            if self.rng.u32(..5) == 0 {
                entity.hp = (entity.hp - self.rng.i64(1..40)).max(1);
                entity.at = (self.rng.f64() * SIDE, self.rng.f64() * SIDE);
                entity.speed = None;
            }
        }
    }
}

impl Trace for World {
    fn name(&self) -> &'static str {
        if self.is_bursty { "game world, bursts" } else { "game world" }
    }

    fn value(&self) -> Value {
        let entities = self.entities.iter().map(|entity| (entity.id.to_string(), entity.value()));
        let line = |(from, text): &(String, &str)| {
            Value::map([("from", Value::from(from.as_str())), ("text", Value::from(*text))])
        };
        Value::map([
            ("tick", Value::from(self.tick)),
            ("zone", Value::map([("name", Value::from("Ashfen")), ("side", Value::F64(SIDE))])),
            ("entities", Value::map(entities)),
            ("chat", Value::list(self.chat.iter().map(line))),
        ])
    }

    fn tick(&mut self) {
        self.tick += 1;
        for entity in &mut self.entities {
            entity.act(&mut self.rng);
        }
        if self.is_bursty && self.tick.is_multiple_of(BURST_TICKS) {
            self.burst();
        }
        if let Some(dead) = self.entities.iter().position(|entity| entity.hp <= 0) {
            self.entities.remove(dead);
            self.entities.push(Entity::born(self.next_id, &mut self.rng));
            self.next_id += 1;
        }
        if self.rng.u32(..CHATTER_TICKS) == 0 {
            if self.chat.len() == CHAT_LINES {
                self.chat.pop_front();
            }
            let speaker = self.rng.usize(..self.entities.len());
            let text = PHRASES[self.rng.usize(..PHRASES.len())];
            self.chat.push_back((self.entities[speaker].name.clone(), text));
        }
    }
}

impl Entity {
    fn born(id: u32, rng: &mut Rng) -> Self {
        let class = CLASSES[rng.usize(..CLASSES.len())];
        let items = (0..rng.usize(..3)).map(|_| ITEMS[rng.usize(..ITEMS.len())]).collect();
        let at = (rng.f64() * SIDE, rng.f64() * SIDE);
        let name = format!("{}{}", ONSETS[rng.usize(..ONSETS.len())], ENDINGS[rng.usize(..ENDINGS.len())]);
        let speed = (rng.u32(..100) < 12).then(|| velocity(rng));
        Self { id, name, class, at, speed, hp: rng.i64(60..=100), items }
    }

    fn act(&mut self, rng: &mut Rng) {
        match self.speed {
            Some((x, y)) => {
                self.at = ((self.at.0 + x).clamp(0.0, SIDE), (self.at.1 + y).clamp(0.0, SIDE));
                if rng.u32(..WALK_TICKS) == 0 {
                    self.speed = None;
                }
            }
            None if rng.u32(..REST_TICKS) == 0 => self.speed = Some(velocity(rng)),
            None if rng.u32(..60) == 0 => self.hp = (self.hp + rng.i64(-9..=7)).min(100),
            None if rng.u32(..400) == 0 => {
                self.items.push(ITEMS[rng.usize(..ITEMS.len())]);
                if self.items.len() > 3 {
                    self.items.remove(0);
                }
            }
            None => {}
        }
    }

    fn value(&self) -> Value {
        Value::map([
            ("name", Value::from(self.name.as_str())),
            ("class", Value::from(self.class)),
            ("x", decimals(self.at.0, 2)),
            ("y", decimals(self.at.1, 2)),
            ("hp", Value::from(self.hp)),
            ("items", Value::list(self.items.iter().copied())),
            ("doing", Value::from(if self.speed.is_some() { "walk" } else { "rest" })),
        ])
    }
}

fn velocity(rng: &mut Rng) -> (f64, f64) {
    let (direction, speed) = (rng.f64() * std::f64::consts::TAU, 0.12 + 0.16 * rng.f64());
    (direction.cos() * speed, direction.sin() * speed)
}

const POPULATION: u32 = 200;
const FIRST_ID: u32 = 1_000;

/// Metres.
const SIDE: f64 = 400.0;

/// On average; together they set how many walk at a time.
const WALK_TICKS: u32 = 90;
const REST_TICKS: u32 = 700;

/// Two seconds.
const BURST_TICKS: u64 = 60;

const CHAT_LINES: usize = 6;
const CHATTER_TICKS: u32 = 75;

const CLASSES: [&str; 8] = ["mage", "ranger", "knight", "rogue", "wolf", "boar", "golem", "wraith"];
const ITEMS: [&str; 10] =
    ["potion", "rope", "torch", "dagger", "bow", "shield", "map", "lute", "herbs", "lantern"];
const ONSETS: [&str; 12] =
    ["Bran", "Cas", "Dag", "El", "Fen", "Gar", "Hol", "Isa", "Jor", "Kes", "Lin", "Mer"];
const ENDINGS: [&str; 10] = ["dle", "win", "ric", "wen", "wick", "mund", "ara", "den", "mar", "lyn"];
const PHRASES: [&str; 8] = [
    "anyone seen the ferryman?",
    "wolves at the north gate again",
    "selling two potions, cheap",
    "need one more for the mire",
    "thanks for the heal!",
    "the bridge is out, go round",
    "found a rune, what does it do?",
    "meet at the well",
];
