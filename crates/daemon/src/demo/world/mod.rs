//! A small game world: what a state topic is for.

mod entity;
mod lore;

use std::collections::{BTreeMap, VecDeque};

use fastrand::Rng;
use nyx_protocol::state::Value;

use entity::{Doing, Entity};

/// A seeded world of about 200 heroes and creatures that walk, rest, fight, loot, chat, die and are replaced.
///
/// As a document it is about 20 KB of JSON, of which some 3 % change in a tick. Two worlds of one seed are equal tick
/// by tick.
pub(crate) struct World {
    rng: Rng,
    tick: u64,
    entities: BTreeMap<u32, Entity>,
    next_id: u32,
    chat: VecDeque<Line>,
}

struct Line {
    from: String,
    text: String,
}

impl World {
    /// A world that has been going on for a while.
    pub(crate) fn new(seed: u64) -> Self {
        let mut world = Self {
            rng: Rng::with_seed(seed),
            tick: 0,
            entities: BTreeMap::new(),
            next_id: FIRST_ID,
            chat: VecDeque::with_capacity(CHAT_LINES),
        };
        for _ in 0..POPULATION {
            world.spawn();
        }
        while world.chat.len() < CHAT_LINES {
            world.chatter();
        }
        world
    }

    /// A thirtieth of a second passes.
    pub(crate) fn tick(&mut self) {
        self.tick += 1;
        let ids: Vec<u32> = self.entities.keys().copied().collect();
        for id in ids {
            // Out of the map while it acts, so that it can't be its own foe.
            if let Some(mut entity) = self.entities.remove(&id) {
                self.act(id, &mut entity);
                self.entities.insert(id, entity);
            }
        }
        self.bury();
        let missing = POPULATION - self.entities.len().min(POPULATION);
        if self.rng.usize(..JOIN_TICKS) < missing {
            let name = self.spawn();
            self.say(WORLD_VOICE, format!("{name} has entered Ashfen"));
        }
        if self.rng.u32(..CHATTER_TICKS) == 0 {
            self.chatter();
        }
    }

    /// The world as a document: a map of `tick`, `clock`, `zone`, `entities` by id and `chat`, oldest line first.
    pub(crate) fn value(&self) -> Value {
        let entities = self.entities.iter().map(|(id, entity)| (id.to_string(), entity.value()));
        let chat = self.chat.iter().map(|line| {
            Value::map([("from", Value::from(line.from.as_str())), ("text", Value::from(line.text.as_str()))])
        });
        Value::map([
            ("tick", Value::from(self.tick)),
            ("clock", Value::from(clock(self.tick))),
            (
                "zone",
                Value::map([("name", Value::from("Ashfen")), ("size", Value::from(entity::ZONE as u32))]),
            ),
            ("entities", Value::map(entities)),
            ("chat", Value::list(chat)),
        ])
    }

    fn act(&mut self, id: u32, entity: &mut Entity) {
        match entity.doing {
            Doing::Rest { ticks: 0 } => self.decide(id, entity),
            Doing::Rest { ticks } => {
                entity.doing = Doing::Rest { ticks: ticks - 1 };
                if (self.tick + u64::from(id)).is_multiple_of(HEAL_TICKS) {
                    entity.heal(1);
                }
            }
            Doing::Walk { .. } => {
                if entity.advance() {
                    entity.rest(&mut self.rng);
                    entity.forage(&mut self.rng);
                }
            }
            Doing::Fight { foe, ticks: 0 } => self.strike(id, entity, foe),
            Doing::Fight { foe, ticks } => entity.doing = Doing::Fight { foe, ticks: ticks - 1 },
        }
    }

    /// What next, now that it has rested: a fight if there is somebody to fight, else elsewhere.
    fn decide(&mut self, id: u32, entity: &mut Entity) {
        let foe =
            self.entities.iter().find(|(_, other)| entity.is_hostile_to(other) && entity.reaches(other));
        match foe {
            Some((&foe, _)) if self.rng.u32(..4) > 0 => self.engage(id, entity, foe),
            _ => entity.wander(&mut self.rng),
        }
    }

    fn engage(&mut self, id: u32, entity: &mut Entity, foe: u32) {
        entity.doing = Doing::Fight { foe, ticks: self.rng.u32(..BLOW_TICKS) };
        if let Some(other) = self.entities.get_mut(&foe)
            && matches!(other.doing, Doing::Rest { .. })
        {
            other.doing = Doing::Fight { foe: id, ticks: self.rng.u32(..BLOW_TICKS) };
        }
    }

    fn strike(&mut self, id: u32, entity: &mut Entity, foe: u32) {
        let Some(other) = self.entities.get_mut(&foe).filter(|other| entity.reaches(other)) else {
            entity.rest(&mut self.rng);
            return;
        };
        entity.doing = Doing::Fight { foe, ticks: BLOW_TICKS };
        other.hp -= self.rng.i32(3..=12);
        if other.hp <= 0 {
            let loot = other.items.pop();
            let news = format!("{} was slain by {}", other.name, entity.name);
            entity.rest(&mut self.rng);
            entity.carry(loot);
            self.say(WORLD_VOICE, news);
        } else if other.is_weak() && !other.drink() && self.rng.u32(..3) == 0 {
            other.wander(&mut self.rng);
        } else if !matches!(other.doing, Doing::Fight { .. }) {
            other.doing = Doing::Fight { foe: id, ticks: BLOW_TICKS / 2 };
        }
    }

    fn bury(&mut self) {
        self.entities.retain(|_, entity| entity.hp > 0);
    }

    fn spawn(&mut self) -> String {
        let entity = Entity::born(&mut self.rng);
        let name = entity.name.clone();
        self.entities.insert(self.next_id, entity);
        self.next_id += 1;
        name
    }

    /// Somebody says something.
    fn chatter(&mut self) {
        let heroes: Vec<&Entity> = self.entities.values().filter(|entity| entity.is_hero()).collect();
        let Some(speaker) = self.rng.choice(heroes) else { return };
        let from = speaker.name.clone();
        let text = lore::PHRASES[self.rng.usize(..lore::PHRASES.len())];
        self.say(&from, text.to_owned());
    }

    fn say(&mut self, from: &str, text: String) {
        if self.chat.len() == CHAT_LINES {
            self.chat.pop_front();
        }
        self.chat.push_back(Line { from: from.to_owned(), text });
    }
}

/// The time of day in the world, where a minute takes two seconds.
fn clock(tick: u64) -> String {
    let minutes = 9 * 60 + tick / 60;
    format!("{:02}:{:02}", minutes / 60 % 24, minutes % 60)
}

/// How many there are when nobody has died lately.
const POPULATION: usize = 200;

const FIRST_ID: u32 = 1_000;

/// How many lines of chat are kept.
const CHAT_LINES: usize = 6;

/// Who says what nobody in the world says.
const WORLD_VOICE: &str = "*";

/// A line of chat every so many ticks, on average.
const CHATTER_TICKS: u32 = 75;

/// A place that has become free stays so for this many ticks, on average.
const JOIN_TICKS: usize = 90;

/// Ticks from one blow to the next.
const BLOW_TICKS: u32 = 24;

/// Ticks in which rest heals one point.
const HEAL_TICKS: u64 = 150;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worlds_of_one_seed_are_equal_and_of_two_are_not() {
        let (mut one, mut same, mut other) = (World::new(7), World::new(7), World::new(8));
        for _ in 0..200 {
            one.tick();
            same.tick();
            other.tick();
        }
        assert_eq!(one.value(), same.value());
        assert_ne!(one.value(), other.value());
    }

    #[test]
    fn a_few_percent_change_in_each_tick() {
        for seed in 0..3 {
            let mut world = World::new(seed);
            let mut before = leaves(&world.value());
            let mut shares = Vec::new();
            for _ in 0..900 {
                world.tick();
                let after = leaves(&world.value());
                let gone = before.keys().filter(|path| !after.contains_key(*path)).count();
                let changed = after.iter().filter(|(path, leaf)| before.get(*path) != Some(leaf)).count();
                shares.push((gone + changed) as f64 / after.len() as f64);
                before = after;
            }
            let mean = shares.iter().sum::<f64>() / shares.len() as f64;
            assert!((0.02..0.05).contains(&mean), "seed {seed}: {mean}");
            let (least, most) = shares.iter().fold((1.0_f64, 0.0_f64), |(a, b), s| (a.min(*s), b.max(*s)));
            assert!(least > 0.01 && most < 0.06, "seed {seed}: {least} to {most}");
        }
    }

    #[test]
    fn it_stays_as_large_as_it_was_while_some_die_and_others_join() {
        let mut world = World::new(1);
        let first = world.value();
        for tick in 0..2_700 {
            world.tick();
            if tick % 100 == 0 {
                let value = world.value();
                let size = json_len(&value);
                assert!((16_000..25_000).contains(&size), "tick {tick}: {size} B");
                assert!((185..=200).contains(&value.get("entities").unwrap().as_map().unwrap().len()));
            }
        }
        let value = world.value();
        let ids = |value: &Value| {
            value.get("entities").unwrap().as_map().unwrap().keys().cloned().collect::<Vec<_>>()
        };
        let survivors = ids(&first).iter().filter(|id| ids(&value).contains(id)).count();
        assert!((20..190).contains(&survivors), "{survivors}");
    }

    #[test]
    fn nobody_leaves_the_zone_or_jumps() {
        let mut world = World::new(2);
        let mut before: BTreeMap<u32, (f64, f64)> = BTreeMap::new();
        for _ in 0..600 {
            world.tick();
            for (id, entity) in &world.entities {
                assert!((0.0..=entity::ZONE).contains(&entity.x) && (0.0..=entity::ZONE).contains(&entity.y));
                if let Some((x, y)) = before.insert(*id, (entity.x, entity.y)) {
                    assert!((entity.x - x).hypot(entity.y - y) < 0.5);
                }
            }
        }
    }

    fn leaves(value: &Value) -> BTreeMap<String, Value> {
        fn walk(path: String, value: &Value, leaves: &mut BTreeMap<String, Value>) {
            match value {
                Value::Map(entries) => {
                    entries.iter().for_each(|(key, v)| walk(format!("{path}/{key}"), v, leaves))
                }
                Value::List(items) => {
                    items.iter().enumerate().for_each(|(n, v)| walk(format!("{path}/{n}"), v, leaves))
                }
                leaf => drop(leaves.insert(path, leaf.clone())),
            }
        }
        let mut leaves = BTreeMap::new();
        walk(String::new(), value, &mut leaves);
        leaves
    }

    fn json_len(value: &Value) -> usize {
        match value {
            Value::Map(entries) => {
                1 + entries.iter().map(|(key, v)| key.len() + 4 + json_len(v)).sum::<usize>()
            }
            Value::List(items) => 1 + items.iter().map(|v| 1 + json_len(v)).sum::<usize>(),
            Value::Str(text) => text.len() + 2,
            Value::I64(number) => number.to_string().len(),
            Value::F64(number) => number.to_string().len(),
            _ => 4,
        }
    }
}
