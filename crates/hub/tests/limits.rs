//! Peers that publish more than they may: slowed, not cut off, and nobody else notices.

mod sim;

use std::time::Duration;

use nyx_core::limit::Quota;
use nyx_hub::Config;
use nyx_protocol::control::Body;
use nyx_protocol::wire::Kind;
use sim::{Sim, fast, ms};

const FLOOD: usize = 1_000;

/// A peer that publishes everything at once, one that publishes ten a second, and a subscriber of both.
fn flood(config: Config, seconds: u64) -> (Sim, usize) {
    let mut sim = Sim::new(config);
    let (greedy, modest) = (sim.peer(fast(), true), sim.peer(fast(), true));
    sim[greedy].advertise(1, "greedy", Kind::Event);
    sim[modest].advertise(1, "modest", Kind::Event);
    sim.settle();
    let reader = sim.subscriber(fast(), "*");
    for _ in 0..FLOOD {
        sim[greedy].publish_numbered(1, Kind::Event, 1_000);
    }
    for _ in 0..seconds * 10 {
        sim[modest].publish_numbered(1, Kind::Event, 100);
        sim.run_for(ms(100));
    }
    (sim, reader)
}

fn of_topic(sim: &Sim, reader: usize, topic: &str) -> Vec<u64> {
    sim[reader].items.iter().filter(|item| item.topic == topic).map(|item| item.number()).collect()
}

#[test]
fn who_publishes_too_many_messages_is_slowed_and_loses_none() {
    let mut config = Config::default();
    config.publish_messages = Quota::per_second(100).ok();
    let (mut sim, reader) = flood(config, 3);
    // The burst, and three seconds' worth.
    assert_eq!(of_topic(&sim, reader, "greedy").len(), 400);
    assert_eq!(of_topic(&sim, reader, "modest"), (0..30).collect::<Vec<_>>());
    sim.run_for(Duration::from_secs(7));
    assert_eq!(of_topic(&sim, reader, "greedy"), (0..FLOOD as u64).collect::<Vec<_>>());
}

#[test]
fn bytes_are_limited_as_messages_are() {
    let mut config = Config::default();
    config.publish_bytes = Quota::per_second(100_000).ok();
    let (sim, reader) = flood(config, 3);
    let after_three_seconds = of_topic(&sim, reader, "greedy").len();
    // Each has a header.
    assert_eq!(after_three_seconds, 400_000 / 1_016);
}

#[test]
fn who_is_slowed_for_long_is_not_taken_to_be_gone() {
    let mut config = Config::default();
    config.publish_messages = Quota::per_second(10).ok();
    (config.ping_after, config.silence) = (ms(300), ms(900));
    let (mut sim, reader) = flood(config, 1);
    sim.run_for(Duration::from_secs(100));
    assert_eq!(of_topic(&sim, reader, "greedy").len(), FLOOD);
}

#[test]
fn who_is_not_read_from_hears_all_the_same_that_the_hub_is_there() {
    let pings = |config| {
        let (sim, _) = flood(config, 100);
        sim[0].control.iter().filter(|body| matches!(body, Body::Ping(_))).count()
    };
    let mut config = Config::default();
    config.publish_messages = Quota::per_second(10).ok();
    (config.ping_after, config.silence) = (ms(300), ms(900));
    assert!(pings(config) >= 300, "it owes a little again and again");
    // It owes a thousand bytes less than 100 s bring.
    let mut config = Config::default();
    config.publish_bytes = Quota::per_second(10).and_then(|quota| quota.with_burst(16)).ok();
    assert!(pings(config) >= 9, "it owes for long");
}
