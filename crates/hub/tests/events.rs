//! Events: everything in order, publishers that wait, subscribers that don't keep up, and those that come back.

mod sim;

use nyx_hub::Config;
use nyx_protocol::control::{Advertise, Body, Kind as WireKind, Reason, Resume, Subscribe, Unsubscribe};
use nyx_protocol::wire::Kind;
use sim::{Sim, fast, ms, slow};

/// 64 KiB of lag in a ring of 1 MiB.
fn small() -> Config {
    let mut config = Config::default();
    config.lag_bytes = 64 * 1024;
    config.topic_bytes = 1 << 20;
    config
}

fn publisher(sim: &mut Sim) -> usize {
    let id = sim.peer(fast(), true);
    sim[id].advertise(1, "log", Kind::Event);
    sim.settle();
    id
}

fn publish(sim: &mut Sim, publisher: usize, count: usize, len: usize) {
    for _ in 0..count {
        sim[publisher].publish_numbered(1, Kind::Event, len);
    }
}

fn all(count: u64) -> Vec<u64> {
    (0..count).collect()
}

#[test]
fn every_subscriber_gets_everything_in_order() {
    let mut sim = Sim::new(Config::default());
    let publisher = publisher(&mut sim);
    let subscribers: Vec<_> =
        (0..10).map(|i| sim.subscriber(if i < 8 { fast() } else { slow(500_000, 32_768) }, "log")).collect();
    for _ in 0..50 {
        publish(&mut sim, publisher, 20, 100);
        sim.run_for(ms(5));
    }
    sim.run_for(ms(1000));
    for id in subscribers {
        assert_eq!(sim[id].numbers(), all(1000));
    }
}

#[test]
fn tiny_runs_are_not_lost_to_a_live_subscriber() {
    // Each message is a run of its own: the number of entries, not their bytes, is what runs out.
    let mut config = Config::default();
    config.topic_entries = 200;
    let mut sim = Sim::new(config);
    let publisher = publisher(&mut sim);
    sim[publisher].advertise(2, "other", Kind::Event);
    let reader = sim.subscriber(slow(20_000, 4096), "log");
    for _ in 0..1000 {
        publish(&mut sim, publisher, 1, 8);
        sim[publisher].publish(2, Kind::Event, b"");
    }
    sim.run_for(ms(5000));
    assert_eq!(sim[reader].numbers(), all(1000));
}

#[test]
fn a_publisher_is_paced_by_a_lone_subscriber_and_loses_nothing() {
    let mut sim = Sim::new(small());
    let publisher = publisher(&mut sim);
    let reader = sim.subscriber(slow(200_000, 32_768), "log");
    publish(&mut sim, publisher, 2000, 1000);
    sim.run_for(ms(500));
    assert!(sim.node(publisher).is_paused());
    assert!(sim[publisher].outgoing.len() > 1_000_000, "the rest is still the publisher's");
    sim.run_for(ms(11_000));
    assert_eq!(sim[reader].numbers(), all(2000));
}

#[test]
fn a_stalled_subscriber_holds_publishers_back_for_their_patience_at_most() {
    let mut sim = Sim::new(small());
    let publisher = publisher(&mut sim);
    let (quick, stalled) = (sim.subscriber(fast(), "log"), sim.subscriber(fast(), "log"));
    sim[stalled].reads = false;
    publish(&mut sim, publisher, 4000, 1000);
    sim.run_for(ms(990));
    assert!(sim[quick].items.len() < 1500, "publishers wait");
    sim.run_for(ms(20));
    assert_eq!(sim[quick].numbers(), all(4000), "and wait no more");

    // While it stays behind it holds nobody back.
    publish(&mut sim, publisher, 1000, 1000);
    sim.settle();
    assert_eq!(sim[quick].items.len(), 5000);
    assert!(sim.retained("log") <= 1 << 20);

    // It reads again: it is told what it missed, exactly, and gets the rest.
    sim[stalled].reads = true;
    sim.run_for(ms(100));
    let known = sim[stalled].topic("log");
    assert!(known.dropped > 0);
    assert_eq!((known.next, known.delivered + known.dropped), (5000, 5000));
    let reasons: Vec<_> = sim[stalled]
        .control
        .iter()
        .filter_map(|body| match body {
            Body::Gap(gap) => Some(gap.drops[0].reason()),
            _ => None,
        })
        .collect();
    assert!(reasons.iter().all(|reason| *reason == Reason::Overrun));

    // It has caught up, and so is waited for again.
    sim[stalled].reads = false;
    publish(&mut sim, publisher, 4000, 1000);
    sim.run_for(ms(500));
    assert!(sim.node(publisher).is_paused());
    sim[stalled].reads = true;
    sim.run_for(ms(100));
    assert_eq!(sim[stalled].topic("log").next, 9000);
    assert_eq!(sim[stalled].topic("log").dropped, 5000 - known_delivered(&sim, stalled, 5000));
}

fn known_delivered(sim: &Sim, id: usize, before: u64) -> u64 {
    sim[id].items.iter().filter(|item| item.sequence < before).count() as u64
}

#[test]
fn a_slower_subscriber_starves_a_faster_one_for_the_patience_in_total() {
    let mut sim = Sim::new(small());
    let publisher = publisher(&mut sim);
    let quick = sim.subscriber(fast(), "log");
    let slower = sim.subscriber(slow(300_000, 32_768), "log");
    publish(&mut sim, publisher, 3000, 1000);
    // At the slower one's pace this would take ten seconds, in pauses of which none is longer than patience.
    sim.run_for(ms(2500));
    assert_eq!(sim[quick].numbers(), all(3000));
    sim.run_for(ms(40_000));
    let known = sim[slower].topic("log");
    assert!(known.dropped > 0);
    assert_eq!((known.next, known.delivered + known.dropped), (3000, 3000));
}

#[test]
fn comings_and_goings_do_not_renew_patience_with_a_stalled_subscriber() {
    let mut sim = Sim::new(small());
    let publisher = publisher(&mut sim);
    let quick = sim.subscriber(fast(), "log");
    let stalled = sim.subscriber(fast(), "log");
    sim[stalled].reads = false;
    publish(&mut sim, publisher, 3000, 1000);
    for _ in 0..5 {
        let passing = sim.subscriber(fast(), "log");
        sim.run_for(ms(250));
        sim.cut(passing);
    }
    assert_eq!(sim[quick].numbers(), all(3000));
}

#[test]
fn a_subscriber_that_goes_releases_the_publishers_that_waited_for_it() {
    let mut sim = Sim::new(small());
    let publisher = publisher(&mut sim);
    let stalled = sim.subscriber(fast(), "log");
    sim[stalled].reads = false;
    publish(&mut sim, publisher, 1000, 1000);
    sim.run_for(ms(100));
    assert!(sim.node(publisher).is_paused());
    sim.cut(stalled);
    assert!(!sim.node(publisher).is_paused());
    assert!(sim[publisher].outgoing.is_empty());
}

#[test]
fn a_subscriber_that_wants_fresh_events_only_is_not_waited_for() {
    let mut sim = Sim::new(small());
    let publisher = publisher(&mut sim);
    let stalled = sim.peer(fast(), true);
    sim[stalled].subscribe("log", 100);
    sim.settle();
    sim[stalled].reads = false;
    publish(&mut sim, publisher, 1000, 1000);
    sim.settle();
    assert!(sim[publisher].outgoing.is_empty() && !sim.node(publisher).is_paused());
}

#[test]
fn a_subscriber_comes_back_in_the_middle_of_a_run_without_loss_or_duplicate() {
    let mut sim = Sim::new(Config::default());
    let publisher = publisher(&mut sim);
    let first = sim.subscriber(fast(), "log");
    publish(&mut sim, publisher, 100, 100);
    sim.settle();
    let epoch = sim[first].topic("log").announce.epoch;
    for position in [0, 1, 37, 99, 100] {
        let resume = vec![Resume { topic: "log".to_owned(), epoch, position }];
        let again = sim.peer(fast(), true);
        sim[again].send(Subscribe { id: 1, pattern: "*".to_owned(), resume, ..Default::default() });
        sim.settle();
        assert_eq!(sim[again].topic("log").announce.position, position);
        assert_eq!(sim[again].numbers(), (position..100).collect::<Vec<_>>());
    }
}

#[test]
fn a_subscriber_that_comes_back_too_late_is_told_what_it_missed() {
    let mut sim = Sim::new(small());
    let publisher = publisher(&mut sim);
    publish(&mut sim, publisher, 3000, 1000);
    sim.settle();
    let topic = sim.hub.topics().remove(0);
    let probe = sim.subscriber(fast(), "log");
    let epoch = sim[probe].topic(topic.name().as_str()).announce.epoch;
    let again = sim.peer(fast(), true);
    let resume = vec![Resume { topic: "log".to_owned(), epoch, position: 10 }];
    sim[again].send(Subscribe { id: 1, pattern: "log".to_owned(), resume, ..Default::default() });
    sim.settle();
    let known = sim[again].topic("log");
    assert!(known.dropped > 0 && known.delivered > 0);
    assert_eq!((known.next, known.delivered + known.dropped), (3000, 2990));
}

#[test]
fn with_another_epoch_the_hub_starts_afresh() {
    let mut sim = Sim::new(Config::default());
    let publisher = publisher(&mut sim);
    publish(&mut sim, publisher, 5, 100);
    sim.settle();
    let again = sim.peer(fast(), true);
    let resume = vec![Resume { topic: "log".to_owned(), epoch: 1, position: 2 }];
    sim[again].send(Subscribe { id: 1, pattern: "log".to_owned(), resume, ..Default::default() });
    publish(&mut sim, publisher, 1, 100);
    sim.run_for(ms(10));
    assert!(sim[again].numbers().iter().all(|number| *number >= 5));
    assert!(sim[again].topic("log").announce.position >= 5);
}

#[test]
fn events_with_a_max_age_expire_and_are_counted() {
    let mut sim = Sim::new(Config::default());
    let publisher = sim.peer(fast(), true);
    let kind = WireKind::Event.into();
    sim[publisher].send(Advertise {
        alias: 1,
        topic: "log".into(),
        kind,
        max_age_ms: 200,
        ..Default::default()
    });
    sim.settle();
    let reader = sim.subscriber(slow(50_000, 8192), "log");
    for _ in 0..100 {
        let now = sim.now;
        for _ in 0..5 {
            let header = nyx_protocol::wire::Header::data(Kind::Event);
            sim[publisher].publish_stamped(now, 1, header, 1000);
        }
        sim.run_for(ms(20));
    }
    sim.run_for(ms(1000));
    assert!(!sim.node(publisher).is_paused());
    let known = sim[reader].topic("log");
    assert!(known.dropped > 200 && known.delivered > 50, "{} dropped", known.dropped);
    assert_eq!((known.next, known.delivered + known.dropped), (500, 500));
    let oldest = sim[reader].ages().into_iter().max().unwrap();
    assert!(oldest < ms(400), "{oldest:?}");
}

#[test]
fn a_pattern_gets_the_first_message_of_a_topic_that_comes_later() {
    let mut sim = Sim::new(Config::default());
    let reader = sim.subscriber(fast(), "**");
    let publisher = publisher(&mut sim);
    publish(&mut sim, publisher, 3, 100);
    sim.settle();
    assert_eq!(sim[reader].numbers(), all(3));
}

#[test]
fn overlapping_patterns_deliver_once() {
    let mut sim = Sim::new(Config::default());
    let reader = sim.subscriber(fast(), "**");
    sim[reader].subscribe("log", 0);
    sim[reader].subscribe("*", 0);
    let publisher = publisher(&mut sim);
    publish(&mut sim, publisher, 3, 100);
    sim.settle();
    assert_eq!(sim[reader].numbers(), all(3));
    let announces = sim[reader].control.iter().filter(|body| matches!(body, Body::Announce(_))).count();
    assert_eq!(announces, 1);
}

#[test]
fn unsubscribing_stops_delivery_and_ends_when_no_pattern_is_left() {
    let mut sim = Sim::new(Config::default());
    let publisher = publisher(&mut sim);
    let reader = sim.subscriber(fast(), "log");
    let other = sim[reader].subscribe("**", 0);
    sim[reader].send(Unsubscribe { id: 1 });
    publish(&mut sim, publisher, 1, 100);
    sim.settle();
    assert_eq!(sim[reader].numbers(), all(1), "another pattern wants it");
    sim[reader].send(Unsubscribe { id: other });
    sim.settle();
    publish(&mut sim, publisher, 1, 100);
    sim[publisher].advertise(2, "new", Kind::Event);
    sim[publisher].publish_numbered(2, Kind::Event, 8);
    sim.settle();
    assert_eq!(sim[reader].numbers(), all(1));
}

#[test]
fn two_publishers_share_a_topic_and_both_are_released() {
    let mut sim = Sim::new(small());
    let (one, two) = (publisher(&mut sim), publisher(&mut sim));
    let reader = sim.subscriber(slow(400_000, 32_768), "log");
    publish(&mut sim, one, 500, 1000);
    publish(&mut sim, two, 500, 1000);
    sim.run_for(ms(4000));
    assert!(sim[one].outgoing.is_empty() && sim[two].outgoing.is_empty());
    assert_eq!(sim[reader].topic("log").delivered, 1000);
}

#[test]
fn an_adapter_is_told_when_to_try_again() {
    let mut sim = Sim::new(small());
    let name = nyx_protocol::topic::Name::new("log").unwrap();
    let topic = sim.hub.topic_for(&name, Kind::Event).unwrap();
    let stalled = sim.subscriber(fast(), "log");
    sim[stalled].reads = false;
    let mut refused = None;
    for _ in 0..400 {
        if let Err(error) = sim.hub.publish(sim.now, &topic, 0, None, &[0; 1000]) {
            refused = Some(error);
            break;
        }
        sim.settle();
    }
    let Some(nyx_hub::PublishError::Busy { until }) = refused else { panic!("{refused:?}") };
    assert_eq!(until, sim.now + ms(1000));
    assert!(sim.hub.publish(until, &topic, 0, None, &[0; 1000]).is_ok());
}

#[test]
fn who_comes_back_before_its_topic_does_misses_nothing_of_what_is_published_first() {
    for resume in [None, Some(Resume { topic: "log".to_owned(), epoch: 7, position: 3 })] {
        let mut sim = Sim::new(Config::default());
        let subscriber = sim.peer(fast(), true);
        // What it has is of a hub that is no more.
        let resume = resume.into_iter().collect();
        sim[subscriber].send(Subscribe { id: 1, pattern: "log".to_owned(), resume, ..Default::default() });
        sim.settle();
        let publisher = sim.peer(fast(), true);
        sim[publisher].advertise(1, "log", Kind::Event);
        for _ in 0..5 {
            sim[publisher].publish_numbered(1, Kind::Event, 10);
        }
        sim.settle();
        assert_eq!(sim[subscriber].numbers(), [0, 1, 2, 3, 4]);
    }
}
