//! Things of which the same numbers change: they are told as tables, and whatever changes besides, receivers follow.

use bytes::BytesMut;
use nyx_protocol::state::{Document, Encoded, Patch, Value};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::{authority, edited, follow, inside, receiver};

/// How things lie in the document.
#[derive(Debug, Clone, Copy)]
enum Form {
    Maps,
    Lists,
    /// Only the first number of each.
    Numbers,
}

#[derive(Debug, Clone)]
struct Thing {
    count: i64,
    hundredths: i64,
    tenths: i64,
    float: f64,
    name: &'static str,
}

#[derive(Debug, Clone)]
struct Change {
    thing: Index,
    field: u8,
    by: i64,
}

fn change() -> impl Strategy<Value = Change> {
    let by = prop_oneof![8 => -20..20_i64, 1 => -1_000_000..1_000_000_i64, 1 => any::<i64>()];
    // Most change what most change.
    let field = prop_oneof![6 => 0..2_u8, 2 => Just(2_u8), 2 => Just(3_u8), 1 => Just(4_u8)];
    (any::<Index>(), field, by).prop_map(|(thing, field, by)| Change { thing, field, by })
}

impl Thing {
    fn new(n: usize) -> Self {
        Self { count: 5, hundredths: 100 * n as i64, tenths: 7, float: 1.0 / (n + 3) as f64, name: "a" }
    }

    fn change(&mut self, field: u8, by: i64) {
        match field {
            0 => self.count = self.count.wrapping_add(by),
            1 => self.hundredths = (self.hundredths + by % 100_000_000) % (1 << 40),
            2 => self.tenths = (self.tenths + by % 1000) % (1 << 40),
            3 => self.float += by as f64 / 3.0,
            _ => self.name = if self.name == "a" { "b" } else { "a" },
        }
    }

    fn value(&self, form: Form) -> Value {
        let numbers = [
            Value::from(self.count),
            Value::F64(self.hundredths as f64 / 100.0),
            Value::F64(self.tenths as f64 / 10.0),
            Value::F64(self.float),
            self.name.into(),
        ];
        match form {
            Form::Maps => Value::map(["n", "x", "y", "w", "name"].into_iter().zip(numbers)),
            Form::Lists => Value::list(numbers),
            Form::Numbers => self.count.into(),
        }
    }
}

fn whole(things: &[Thing], form: Form, in_list: bool) -> Value {
    let values = things.iter().map(|thing| thing.value(form));
    if in_list {
        return Value::list(values);
    }
    Value::map((0..).zip(values).map(|(n, value): (usize, _)| (format!("thing {n}"), value)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn receivers_follow_whatever_changes_in_things(
        len in 1..100_usize,
        form in prop_oneof![Just(Form::Maps), Just(Form::Lists), Just(Form::Numbers)],
        in_list in any::<bool>(),
        ticks in vec(vec(change(), 1..120), 1..6),
    ) {
        let mut things: Vec<_> = (0..len).map(Thing::new).collect();
        let mut document = authority();
        document.patch(&inside(Patch::Set(whole(&things, form, in_list)))).unwrap();
        let [mut each, mut hops] = [(); 2].map(|()| receiver());
        follow(&mut hops, &document);
        for (tick, changes) in ticks.iter().enumerate() {
            follow(&mut each, &document);
            for Change { thing, field, by } in changes {
                things[thing.index(len)].change(*field, *by);
            }
            let value = whole(&things, form, in_list);
            document.patch(&inside(Patch::Set(value.clone()))).unwrap();
            prop_assert_eq!(edited(&document), value);
            if tick % 3 == 2 {
                follow(&mut hops, &document);
            }
        }
        follow(&mut each, &document);
        follow(&mut hops, &document);
    }
}

/// 200 things, of which every eighth moves in each tick: in two coordinates, by a fifth at the most.
struct World {
    things: Vec<Thing>,
    document: Document,
}

const MOVE_BYTES: usize = 25 * (4 + 12 + 12) / 8 + 30;

impl World {
    fn new() -> Self {
        let things: Vec<_> = (0..200).map(Thing::new).collect();
        let mut document = authority();
        document.patch(&inside(Patch::Set(whole(&things, Form::Maps, false)))).unwrap();
        Self { things, document }
    }

    /// The bytes of the delta to what is there after all moved, and then this was done.
    fn tick(&mut self, also: impl FnOnce(&mut [Thing])) -> usize {
        for (n, thing) in self.things.iter_mut().step_by(8).enumerate() {
            thing.change(1, n as i64 - 12);
            thing.change(2, 12 - n as i64 % 7);
        }
        also(&mut self.things);
        let mut receiver = receiver();
        follow(&mut receiver, &self.document);
        self.document.patch(&inside(Patch::Set(whole(&self.things, Form::Maps, false)))).unwrap();
        let mut delta = BytesMut::new();
        assert_eq!(self.document.delta_since(receiver.version(), &mut delta), Encoded::Delta);
        follow(&mut receiver, &self.document);
        delta.len()
    }
}

#[test]
fn things_that_move_cost_bits() {
    let bytes = World::new().tick(|_| {});
    assert!(bytes <= MOVE_BYTES, "{bytes} bytes");
}

#[test]
fn a_thing_that_is_moved_far_away_does_not_widen_the_steps_of_all() {
    let bytes = World::new().tick(|things| things[80].change(1, 40_000_000));
    assert!(bytes <= MOVE_BYTES + 16, "{bytes} bytes");
}

#[test]
fn things_that_change_in_one_number_more_stand_beside_the_table() {
    let bytes = World::new().tick(|things| things[..40].iter_mut().for_each(|thing| thing.change(0, -3)));
    assert!(bytes <= MOVE_BYTES + 60, "{bytes} bytes");
}

#[test]
fn floats_that_are_no_decimals_cost_the_bits_in_which_they_differ() {
    let mut document = authority();
    let at = |tick: f32| {
        let float = |n: f32| Value::F64((1.0 / (n + 3.0) + tick / 512.0).into());
        Value::list((0_u8..30).map(|n| Value::list([float(n.into()), float(f32::from(n) + 0.5)])))
    };
    document.patch(&inside(Patch::Set(at(0.0)))).unwrap();
    let mut receiver = receiver();
    follow(&mut receiver, &document);
    document.patch(&inside(Patch::Set(at(1.0)))).unwrap();
    let mut delta = BytesMut::new();
    assert_eq!(document.delta_since(receiver.version(), &mut delta), Encoded::Delta);
    // A 32-bit float has 23 bits behind its exponent.
    assert!(delta.len() <= 60 * 26 / 8 + 24, "{} bytes", delta.len());
    follow(&mut receiver, &document);
}
