//! Peers that publish more than they may are slowed, not cut off, and what subscriptions take is bounded: nobody else notices.

mod sim;

use std::time::Duration;

use bytes::BytesMut;
use nyx_core::Instant;
use nyx_core::limit::Quota;
use nyx_hub::{Config, Hub, Ingest, Peer, Spec, Transport};
use nyx_protocol::control::{self, Body, Hello, Ping, Resume, Subscribe, Unsubscribe};
use nyx_protocol::topic::{Name, Pattern};
use nyx_protocol::wire::Kind;
use proptest::prelude::*;
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

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

#[test]
fn who_subscribes_again_and_again_lets_others_have_their_turn_whatever_it_selects() {
    for pattern in ["t/*", "nothing/*"] {
        let (hub, now) = (Hub::new(Config::default()), Instant::ZERO);
        for topic in 0..500 {
            hub.create(&name(&format!("t/{topic}")), &Spec::new(Kind::Event)).unwrap();
        }
        let mut session = hub.session(now, Peer::new("x", Transport::Tcp)).unwrap();
        let mut input = BytesMut::new();
        control::put(&mut input, Hello { version: 1, acknowledges: true, ..Default::default() });
        control::put(&mut input, Subscribe { id: 1, pattern: "t/*".to_owned(), ..Default::default() });
        for _ in 0..200 {
            control::put(&mut input, Subscribe { id: 2, pattern: pattern.to_owned(), ..Default::default() });
            control::put(&mut input, Unsubscribe { id: 2 });
            control::put(&mut input, Unsubscribe { id: 3 });
        }
        control::put(&mut input, Ping { nonce: 7 });
        let (mut turns, mut out) = (1, Vec::new());
        while session.handle_input(now, &mut input).unwrap() == Ingest::Paused {
            session.poll_transmit(now, &mut out);
            turns += 1;
        }
        assert!(input.is_empty() && turns >= 15, "{pattern}: {turns}");
        assert_eq!(hub.stats(now).sessions[0].topics, 500, "what one leaves the other still selects");
    }
}

#[test]
fn no_more_places_to_go_on_from_are_kept_than_there_may_be_topics() {
    let mut config = Config::default();
    config.topics = 5;
    let mut sim = Sim::new(config);
    let publisher = sim.peer(fast(), true);
    sim[publisher].advertise(1, "a", Kind::Event);
    sim[publisher].advertise(2, "b", Kind::Event);
    (0..3).for_each(|_| (1..3).for_each(|alias| sim[publisher].publish_numbered(alias, Kind::Event, 8)));
    sim.settle();
    let witness = sim.subscriber(fast(), "*");
    sim.settle();
    let reader = sim.peer(fast(), true);
    let resume = |sim: &Sim, topic: &str| {
        let epoch = sim[witness].topic(topic).announce.epoch;
        Resume { topic: topic.to_owned(), epoch, position: 1 }
    };
    let other = |topic: String| Resume { topic, epoch: 1, position: 1 };
    // What is not selected takes no place.
    let mut places = vec![other("x/y".to_owned()), Resume::default(), resume(&sim, "a")];
    places.extend((0..4).map(|n| other(format!("x{n}"))));
    places.push(resume(&sim, "b"));
    sim[reader].send(Subscribe { id: 1, pattern: "*".to_owned(), resume: places, ..Default::default() });
    sim.settle();
    let received: Vec<_> = sim[reader].items.iter().map(|item| (&*item.topic, item.number())).collect();
    assert_eq!(received, [("a", 2), ("a", 4)], "the first of three is not sent again");
}

#[derive(Clone, Debug)]
enum Step {
    Subscribe(u32, usize),
    Unsubscribe(u32),
    Create(usize),
    Turn,
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn a_topic_is_read_as_long_as_a_subscription_selects_it(
        steps in prop::collection::vec(prop_oneof![
            3 => (0u32..4, 0usize..5).prop_map(|(id, pattern)| Step::Subscribe(id, pattern)),
            3 => (0u32..5).prop_map(Step::Unsubscribe),
            2 => (0usize..6).prop_map(Step::Create),
            2 => Just(Step::Turn),
        ], 1..40),
    ) {
        const TOPICS: [&str; 6] = ["a", "b", "a/b", "a/c", "b/c", "b/c/d"];
        const PATTERNS: [&str; 5] = ["**", "a/*", "*", "b/**", "a/b"];
        let (hub, now) = (Hub::new(Config::default()), Instant::ZERO);
        let mut session = hub.session(now, Peer::new("x", Transport::Tcp)).unwrap();
        let (mut input, mut present) = (BytesMut::new(), Vec::<(u32, Pattern)>::new());
        control::put(&mut input, Hello { version: 1, acknowledges: true, ..Default::default() });
        for step in steps.into_iter().chain([Step::Turn]) {
            match step {
                Step::Subscribe(id, pattern) => {
                    let pattern = PATTERNS[pattern].to_owned();
                    if present.iter().all(|(taken, _)| *taken != id) {
                        present.push((id, Pattern::new(&pattern).unwrap()));
                    }
                    control::put(&mut input, Subscribe { id, pattern, ..Default::default() });
                }
                Step::Unsubscribe(id) => {
                    present.retain(|(taken, _)| *taken != id);
                    control::put(&mut input, Unsubscribe { id });
                }
                Step::Create(topic) => drop(hub.create(&name(TOPICS[topic]), &Spec::new(Kind::Event))),
                Step::Turn => session.poll_transmit(now, &mut Vec::new()),
            }
            session.handle_input(now, &mut input).unwrap();
        }
        let is_selected = |topic: &Name| present.iter().any(|(_, pattern)| pattern.matches(topic));
        let selected = hub.topics().iter().filter(|topic| is_selected(topic.name())).count();
        prop_assert_eq!(hub.stats(now).sessions[0].topics, selected as u64);
        for topic in hub.stats(now).topics {
            prop_assert_eq!(topic.subscribers, usize::from(is_selected(&topic.name)), "{}", topic.name);
        }
    }
}
