//! State, by what has arrived.

use super::*;

/// A document of 64 KiB that changes a little every 16 ms, for ten seconds. Returns the subscriber's view, and the ages of what it saw in ms.
fn watch_state(change: impl Fn(&mut Conditions)) -> (Sim, usize, Vec<u64>) {
    let mut sim = Sim::new();
    let filler = "x".repeat(64 << 10);
    sim.publish_state("world", 0, &filler);
    let place = sim.subscriber("world", change);
    sim.run(Duration::from_secs(8), |_, _| {});
    assert_eq!(only(&sim, place).versions.len(), 1, "the snapshot came");
    let mut published: HashMap<u64, Instant> = HashMap::new();
    let mut n = 0;
    sim.run(Duration::from_secs(10), |sim, millis| {
        if millis % 16 == 0 {
            n += 1;
            sim.publish_state("world", n, &filler);
            published.insert(1 + n as u64, sim.now);
        }
    });
    sim.run(Duration::from_secs(3), |_, _| {});
    let topic = only(&sim, place);
    let at = |version: &u64| published.get(version).copied();
    let age = |(version, came): &(u64, Instant)| at(version).map(|born| came.since(born).as_millis() as u64);
    let mut ages: Vec<u64> = topic.updates.iter().filter_map(age).collect();
    ages.sort_unstable();
    (sim, place, ages)
}

#[test]
fn state_is_fresh_at_five_percent_loss_and_no_delta_misfits() {
    let (sim, place, ages) = watch_state(|path| path.loss = "5%".parse().unwrap());
    let topic = only(&sim, place);
    assert!(topic.latest() == final_value(&sim), "the last version came");
    assert_eq!(topic.misfits, 0);
    let p99 = ages[ages.len() * 99 / 100];
    assert!(ages.len() > 500 && p99 <= 60, "{} updates, p99 {p99} ms", ages.len());
}

#[test]
fn state_goes_on_at_thirty_percent_loss() {
    let (sim, place, ages) = watch_state(|path| path.loss = "30%".parse().unwrap());
    let topic = only(&sim, place);
    assert!(topic.latest() == final_value(&sim));
    assert!(ages.len() > 200, "{} updates", ages.len());
    assert_eq!(topic.misfits, 0);
}

#[test]
fn state_survives_reordering_by_fifty_doubles_and_jitter() {
    let (sim, place, ages) = watch_state(|path| {
        path.reorder = Some("5%:50".parse().unwrap());
        path.duplicate = "10%".parse().unwrap();
        path.jitter = Duration::from_millis(15);
    });
    assert!(only(&sim, place).latest() == final_value(&sim));
    assert!(ages.len() > 400, "{} updates", ages.len());
}
