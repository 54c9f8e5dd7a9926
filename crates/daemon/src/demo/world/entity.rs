//! One inhabitant of the world, and what it does by itself.

use fastrand::Rng;
use nyx_protocol::state::Value;

use super::lore;

/// A hero or a creature.
pub(super) struct Entity {
    pub(super) name: String,
    pub(super) class: &'static str,
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) hp: i32,
    pub(super) items: Vec<&'static str>,
    pub(super) doing: Doing,
}

/// What it is at.
#[derive(Clone, Copy)]
pub(super) enum Doing {
    /// For so many ticks more.
    Rest { ticks: u32 },
    /// To a place, by so much per tick.
    Walk { to: (f64, f64), speed: f64 },
    /// With another, the next blow in so many ticks.
    Fight { foe: u32, ticks: u32 },
}

impl Entity {
    /// Somebody new, somewhere.
    pub(super) fn born(rng: &mut Rng) -> Self {
        let hero = rng.u32(..10) < 6;
        let (classes, firsts) =
            if hero { (lore::HEROES, lore::ONSETS) } else { (lore::CREATURES, lore::EPITHETS) };
        let class = classes[rng.usize(..classes.len())];
        let first = firsts[rng.usize(..firsts.len())];
        let last = lore::ENDINGS[rng.usize(..lore::ENDINGS.len())];
        let kit = rng.usize(..3);
        let mut entity = Self {
            name: if hero { format!("{first}{last}") } else { format!("{first} {class}") },
            class,
            x: rng.f64() * ZONE,
            y: rng.f64() * ZONE,
            hp: rng.i32(60..=HP_MAX),
            items: (0..kit).map(|_| lore::ITEMS[rng.usize(..lore::ITEMS.len())]).collect(),
            doing: Doing::Rest { ticks: rng.u32(..REST_TICKS) },
        };
        if rng.f64() < WALKING_AT_BIRTH {
            entity.wander(rng);
        }
        entity
    }

    pub(super) fn is_hero(&self) -> bool {
        lore::HEROES.contains(&self.class)
    }

    pub(super) fn is_hostile_to(&self, other: &Self) -> bool {
        self.is_hero() != other.is_hero()
    }

    /// Whether the other is near enough to be hit.
    pub(super) fn reaches(&self, other: &Self) -> bool {
        (self.x - other.x).hypot(self.y - other.y) < REACH
    }

    pub(super) fn is_weak(&self) -> bool {
        self.hp < HP_MAX / 4
    }

    pub(super) fn heal(&mut self, points: i32) {
        self.hp = (self.hp + points).min(HP_MAX);
    }

    /// Drinks a potion if it has one.
    pub(super) fn drink(&mut self) -> bool {
        let Some(at) = self.items.iter().position(|item| *item == lore::POTION) else { return false };
        self.items.remove(at);
        self.heal(40);
        true
    }

    /// Takes an item up, and puts the oldest down where that is one too many.
    pub(super) fn carry(&mut self, item: Option<&'static str>) {
        self.items.extend(item);
        if self.items.len() > ITEMS_MAX {
            self.items.remove(0);
        }
    }

    /// Finds something at times.
    pub(super) fn forage(&mut self, rng: &mut Rng) {
        if rng.u32(..4) == 0 {
            self.carry(Some(lore::ITEMS[rng.usize(..lore::ITEMS.len())]));
        }
    }

    pub(super) fn rest(&mut self, rng: &mut Rng) {
        self.doing = Doing::Rest { ticks: rng.u32(REST_TICKS / 8..REST_TICKS) };
    }

    /// Sets out for a place not far away.
    pub(super) fn wander(&mut self, rng: &mut Rng) {
        let mut near = |from: f64| (from + (rng.f64() - 0.5) * 2.0 * WALK).clamp(0.0, ZONE);
        let to = (near(self.x), near(self.y));
        self.doing = Doing::Walk { to, speed: 0.12 + 0.16 * rng.f64() };
    }

    /// One step of a walk; true when it has arrived.
    pub(super) fn advance(&mut self) -> bool {
        let Doing::Walk { to: (to_x, to_y), speed } = self.doing else { return false };
        let (dx, dy) = (to_x - self.x, to_y - self.y);
        let left = dx.hypot(dy);
        let part = if left > speed { speed / left } else { 1.0 };
        self.x += dx * part;
        self.y += dy * part;
        part >= 1.0
    }

    pub(super) fn value(&self) -> Value {
        let doing = match self.doing {
            Doing::Rest { .. } => "rest",
            Doing::Walk { .. } => "walk",
            Doing::Fight { .. } => "fight",
        };
        Value::map([
            ("name", Value::from(self.name.as_str())),
            ("class", Value::from(self.class)),
            ("x", hundredths(self.x)),
            ("y", hundredths(self.y)),
            ("hp", Value::from(self.hp)),
            ("items", Value::list(self.items.iter().copied())),
            ("doing", Value::from(doing)),
        ])
    }
}

fn hundredths(length: f64) -> Value {
    Value::F64((length * 100.0).round() / 100.0)
}

/// The zone is a square with this side, in metres.
pub(super) const ZONE: f64 = 400.0;

const HP_MAX: i32 = 100;

const ITEMS_MAX: usize = 3;

/// Metres within which one can be hit.
const REACH: f64 = 12.0;

/// Metres that a walk goes at most along each side.
const WALK: f64 = 24.0;

/// The longest rest, 37 s. It sets how many walk at a time, and by that how much of the document changes in a tick.
const REST_TICKS: u32 = 1_110;

/// The share that walks at any time once the world has settled.
const WALKING_AT_BIRTH: f64 = 0.11;
