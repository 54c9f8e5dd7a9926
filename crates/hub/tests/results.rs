//! Publishers that ask are told what became of each message, in order, and others are told nothing.

mod sim;

use nyx_core::limit::Quota;
use nyx_hub::Config;
use nyx_protocol::control::{self, Body, ErrorCode};
use nyx_protocol::state::{Patch, Value};
use nyx_protocol::wire::Kind;
use sim::{Sim, fast, ms};

fn sim() -> (Sim, usize) {
    let mut sim = Sim::new(Config::default());
    let publisher = sim.peer(fast(), true);
    sim[publisher].advertise_with_results(1, "a", Kind::Event);
    (sim, publisher)
}

#[test]
fn each_message_s_number_is_told_in_the_order_of_its_publisher() {
    let (mut sim, first) = sim();
    let second = sim.peer(fast(), true);
    sim[second].advertise_with_results(9, "a", Kind::Event);
    for round in 0..50 {
        for publisher in [first, second] {
            let alias = if publisher == first { 1 } else { 9 };
            (0..=round % 3).for_each(|_| sim[publisher].publish(alias, Kind::Event, b"x"));
            sim.settle();
        }
    }
    let (of_first, of_second) = (sim[first].results(1), sim[second].results(9));
    assert!(of_first.is_sorted_by_key(|result| result.expect("accepted")));
    let mut all: Vec<_> = of_first.into_iter().chain(of_second).map(Result::unwrap).collect();
    all.sort_unstable();
    let published = (0..50).map(|round| 2 * (round % 3 + 1)).sum();
    assert_eq!(all, (0..published).collect::<Vec<u64>>());
}

#[test]
fn what_was_read_together_is_told_in_one_outcome() {
    let (mut sim, publisher) = sim();
    (0..500).for_each(|_| sim[publisher].publish(1, Kind::Event, &[0; 100]));
    sim.settle();
    let results: Vec<_> = sim[publisher]
        .control
        .iter()
        .filter_map(|body| match body {
            Body::Results(results) => Some(results),
            _ => None,
        })
        .collect();
    assert_eq!(sim[publisher].results(1).len(), 500);
    assert!(results.len() < 10 && results.iter().all(|results| results.outcomes.len() == 1), "{results:?}");
}

#[test]
fn what_came_before_an_alias_begins_anew_is_told_before_that() {
    let (mut sim, publisher) = sim();
    sim.settle();
    sim[publisher].control.clear();
    sim[publisher].publish(1, Kind::Event, b"x");
    sim[publisher].advertise_with_results(1, "b", Kind::Event);
    sim[publisher].publish(1, Kind::Event, b"y");
    sim.settle();
    let told = &sim[publisher].control;
    assert!(matches!(&told[..], [Body::Results(_), Body::Advertised(_), Body::Results(_)]), "{told:?}");
}

#[test]
fn who_does_not_ask_is_not_told() {
    let (mut sim, publisher) = sim();
    sim[publisher].advertise(2, "a", Kind::Event);
    sim[publisher].publish(2, Kind::Event, b"x");
    sim[publisher].publish(1, Kind::Event, b"y");
    sim.settle();
    assert_eq!((sim[publisher].results(2), sim[publisher].results(1)), (vec![], vec![Ok(1)]));
}

#[test]
fn refusals_are_results_and_not_errors() {
    let (mut sim, publisher) = sim();
    let other = sim.peer(fast(), true);
    sim[other].advertise(1, "state", Kind::State);
    sim.settle();
    let client = &mut sim[publisher];
    client.advertise_with_results(2, "state", Kind::Event);
    client.advertise_with_results(3, "state", Kind::State);
    client.publish(1, Kind::Event, b"good");
    client.publish(1, Kind::Frame, b"not a frame's topic");
    client.publish(1, Kind::Event, b"good");
    (0..3).for_each(|_| client.publish(2, Kind::Event, b"refused with its topic"));
    client.patch(3, &Patch::Set(Value::map([("a", 1)])));
    client.publish(3, Kind::State, b"no patch");
    client.patch(3, &Patch::Set(Value::map([("a", 2)])));
    sim.settle();
    let client = &sim[publisher];
    assert_eq!(client.results(1), [Ok(0), Err(ErrorCode::KindMismatch), Ok(1)]);
    assert_eq!(client.results(2), [Err(ErrorCode::KindMismatch); 3]);
    assert_eq!(client.results(3), [Ok(1), Err(ErrorCode::BadDocument), Ok(2)]);
    // That of the topic alone.
    assert_eq!(client.errors(), [ErrorCode::KindMismatch]);
    assert_eq!(sim.refused(ErrorCode::KindMismatch), 1 + 1 + 3);
}

#[test]
fn a_pong_comes_after_the_results_of_what_it_confirms() {
    let (mut sim, publisher) = sim();
    sim[publisher].publish(1, Kind::Event, b"x");
    sim[publisher].send(control::Ping { nonce: 5 });
    sim.settle();
    let place = |wanted: fn(&Body) -> bool| sim[publisher].control.iter().position(wanted);
    let results = place(|body| matches!(body, Body::Results(_)));
    assert!(results.is_some() && results < place(|body| matches!(body, Body::Pong(_))));
}

#[test]
fn who_publishes_more_than_it_may_is_slowed_and_told_all_the_same() {
    let mut config = Config::default();
    config.publish_messages = Quota::per_second(100).ok();
    let mut sim = Sim::new(config);
    let publisher = sim.peer(fast(), true);
    sim[publisher].advertise_with_results(1, "a", Kind::Event);
    (0..1_000).for_each(|_| sim[publisher].publish(1, Kind::Event, b"x"));
    sim.run_for(ms(3_000));
    let early = sim[publisher].results(1).len();
    assert!((200..=500).contains(&early), "{early}");
    sim.run_for(ms(10_000));
    assert_eq!(sim[publisher].results(1), (0..1_000).map(Ok).collect::<Vec<_>>());
}

#[test]
fn what_was_taken_is_told_before_the_hub_says_goodbye_or_gives_up() {
    for gives_up in [false, true] {
        let (mut sim, publisher) = sim();
        sim[publisher].publish(1, Kind::Event, b"x");
        if gives_up {
            sim[publisher].outgoing.extend_from_slice(&[0xff; 16]);
            sim.settle();
        } else {
            sim.settle();
            sim.hub.drain();
            sim.settle();
        }
        let client = &sim[publisher];
        assert_eq!(client.results(1), [Ok(0)]);
        let last = client.control.last();
        assert!(matches!(last, Some(Body::Goodbye(_) | Body::Error(control::Error { fatal: true, .. }))));
    }
}

#[test]
fn a_publisher_that_reads_no_results_waits_for_itself() {
    let (mut sim, publisher) = sim();
    let reader = sim.subscriber(fast(), "other");
    sim[publisher].advertise(2, "other", Kind::Event);
    sim[publisher].reads = false;
    // Good and bad in turn, so that nothing can be told together.
    for _ in 0..100_000 {
        sim[publisher].publish(1, Kind::Event, b"");
        sim[publisher].publish(1, Kind::Frame, b"");
    }
    sim[publisher].publish(2, Kind::Event, b"behind");
    sim.settle();
    assert!(sim.node(publisher).is_paused() && sim.node(publisher).waiting_bytes() < 1 << 20);
    assert_eq!(sim[reader].items.len(), 0);
    sim[publisher].reads = true;
    sim.run_for(ms(1_000));
    assert_eq!((sim[publisher].results(1).len(), sim[reader].items.len()), (200_000, 1));
}
