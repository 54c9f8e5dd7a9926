//! State documents that change as real ones do, the same in every run of a seed.
//!
//! - [`world`]: 200 entities at 30 Hz that walk, fight, carry things and talk; about 20 KB of JSON, 2 to 5 % of its fields change
//!   in a tick.
//! - [`telemetry`]: 1,000 gauges, of which about a third change a little.
//! - [`chat`]: the last 100 lines of a room: one comes, one goes, now and then one is edited.
//! - [`football`]: a match: a table of players that is sorted anew, a clock, a ticker.

pub mod chat;
pub mod football;
pub mod telemetry;
pub mod world;

use nyx_protocol::state::Value;

/// A document that changes.
pub trait Trace {
    /// Its name in tables.
    fn name(&self) -> &'static str;

    /// The document as it is.
    fn value(&self) -> Value;

    /// Changes it once.
    fn tick(&mut self);
}

/// All of them.
pub fn all(seed: u64) -> Vec<Box<dyn Trace>> {
    vec![
        Box::new(world::World::new(seed)),
        Box::new(world::World::bursty(seed)),
        Box::new(telemetry::Telemetry::new(seed)),
        Box::new(chat::Chat::new(seed)),
        Box::new(football::Football::new(seed)),
    ]
}

/// A float with that many decimals.
fn decimals(x: f64, scale: i32) -> Value {
    let power = 10_f64.powi(scale);
    Value::F64((x * power).round() / power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_tells_all_of_a_trace() {
        for (mut one, mut same) in all(7).into_iter().zip(all(7)) {
            let first = one.value();
            for _ in 0..50 {
                one.tick();
                same.tick();
            }
            assert_eq!(one.value(), same.value(), "{}", one.name());
            assert_ne!(one.value(), first, "{}", one.name());
        }
    }

    #[test]
    fn the_world_is_as_large_and_changes_as_much_as_it_says() {
        let mut world = world::World::new(1);
        let mut before = leaves(&world.value());
        let (mut changed, mut all) = (0, 0);
        for _ in 0..600 {
            world.tick();
            let after = leaves(&world.value());
            changed += after.iter().filter(|leaf| !before.contains(*leaf)).count();
            all += after.len();
            before = after;
        }
        let share = changed as f64 / all as f64;
        assert!((0.02..0.05).contains(&share), "{share}");
        let bytes = serde_json::to_vec(&world.value()).unwrap_or_default().len();
        assert!((18_000..24_000).contains(&bytes), "{bytes}");
    }

    /// Each leaf with its path.
    fn leaves(value: &Value) -> std::collections::BTreeSet<String> {
        fn walk(path: &str, value: &Value, out: &mut std::collections::BTreeSet<String>) {
            match value {
                Value::Map(entries) => {
                    entries.iter().for_each(|(key, value)| walk(&format!("{path}/{key}"), value, out));
                }
                Value::List(values) => {
                    values.iter().enumerate().for_each(|(i, value)| walk(&format!("{path}/{i}"), value, out));
                }
                leaf => drop(out.insert(format!("{path} {leaf:?}"))),
            }
        }
        let mut out = std::collections::BTreeSet::new();
        walk("", value, &mut out);
        out
    }
}
