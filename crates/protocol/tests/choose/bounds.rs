//! What choosing may cost.

use std::time::Duration;

use nyx_core::Instant;
use nyx_protocol::choose::{Candidate, Chooser, Codec, Config, ConfigError, Link, Offer, Outcome, Reason};
use nyx_protocol::compress::Level;

use crate::simulation::{EVERY, Trace, adaptive, candidates};
use crate::traces;

const SLOW: Link = Link { drain: Some(500_000), unsent: 0 };

#[test]
fn encoding_keeps_to_its_share_of_a_core() {
    let updates = traces::telemetry(3, 420, 300);
    let trace = Trace::new("telemetry", &updates[..20], &updates[20..]);
    let mut config = Config::default();
    (config.cpu_share, config.cpu_burst) = (0.0005, Duration::from_micros(100));
    let ours = adaptive(&trace, &|_| SLOW, config);
    let (seconds, plain) = (EVERY * 400, ours.chosen.iter().filter(|c| **c == candidates()[0]).count());
    let share = ours.cpu / seconds.as_nanos() as f64;
    // Overdrawn by no more than one item.
    assert!(share < 0.0005 + 0.0001, "{share}");
    assert!(plain > 50 && ours.chooser.over_budget() > 50);
    assert!(ours.chooser.log().any(|entry| matches!(entry.reason, Reason::Budget { .. })));
    assert!(ours.chooser.log().len() < 10, "what it does with every item is not logged with every item");
}

#[test]
fn trials_keep_to_their_share_of_delivery() {
    for trace in super::steady::traces() {
        for drain in [500_000, 125_000_000] {
            let ours = adaptive(&trace, &|_| Link { drain: Some(drain), unsent: 0 }, Config::default());
            let bound = 0.01 * ours.total + ours.dearest_trial;
            assert!(ours.trials <= bound, "{}: {} of {}", trace.name, ours.trials, ours.total);
        }
    }
}

#[test]
fn nothing_is_tried_that_could_not_win() {
    let updates = traces::telemetry(3, 120, 300);
    let trace = Trace::new("telemetry", &updates[..20], &updates[20..]);
    let ours = adaptive(&trace, &|_| Link { drain: Some(100_000_000_000), unsent: 0 }, Config::default());
    assert_eq!(ours.trials, 0.0);
    assert!(ours.chosen.iter().all(|candidate| *candidate == candidates()[0]));
}

#[test]
fn the_log_is_bounded() {
    let updates = traces::telemetry(3, 320, 300);
    let trace = Trace::new("telemetry", &updates[..20], &updates[20..]);
    let flapping = |n| Link { drain: Some(if n % 2 == 0 { 500_000 } else { 50_000_000_000 }), unsent: 0 };
    let mut config = Config::default();
    config.log_entries = 5;
    let ours = adaptive(&trace, &flapping, config);
    assert_eq!(ours.chooser.log().len(), 5);
    assert!(ours.chooser.log().zip(ours.chooser.log().skip(1)).all(|(a, b)| a.at <= b.at && a.to == b.from));
}

#[test]
fn noise_in_the_measurements_does_not_make_it_restless() {
    let plain = Candidate::PLAIN;
    let level = |n| Candidate { codec: Codec::Level(Level::new(n).unwrap()), ..plain };
    let mut chooser = Chooser::new([plain, level(1), level(2)], Config::default()).unwrap();
    let mut random = traces::Random(4);
    for n in 0..2000 {
        let now = Instant::ZERO + EVERY * n;
        let (offer, link) = (Offer::new(10_000), SLOW);
        let mut outcome = |candidate: Candidate| {
            let bytes = if candidate == plain { 10_000 } else { 3_000 + random.below(60) as usize };
            Outcome { bytes, cpu: Duration::from_nanos(30_000 + random.below(20_000)) }
        };
        let choice = chooser.choose(now, &offer, &link);
        chooser.record(&choice, outcome(choice.candidate()));
        if let Some(trial) = chooser.trial(now, &offer, &link) {
            let outcome = outcome(trial.candidate());
            chooser.record_trial(&trial, outcome);
        }
    }
    assert!(chooser.log().len() <= 2, "{:?}", chooser.log().collect::<Vec<_>>());
}

#[test]
fn a_backlog_makes_batches_worthwhile_and_an_idle_link_does_not() {
    let plain = Candidate::PLAIN;
    let batch = Candidate { window: Duration::from_millis(10), ..plain };
    let mut chooser = Chooser::new([plain, batch], Config::default()).unwrap();
    let mut send = |n: u32, unsent| {
        let link = Link { drain: Some(500_000), unsent };
        let choice = chooser.choose(Instant::ZERO + EVERY * n, &Offer::new(200), &link);
        let bytes = if choice.candidate() == batch { 120 } else { 216 };
        chooser.record(&choice, Outcome { bytes, cpu: Duration::from_nanos(500) });
        choice.candidate()
    };
    assert!((0..20).all(|n| send(n, 0) == plain));
    assert!((20..40).all(|n| send(n, 50_000) == batch));
    assert!((40..60).all(|n| send(n, 0) == plain));
}

#[test]
fn candidates_begin_with_the_plain_one() {
    let level = Candidate { codec: Codec::Level(Level::FAST), ..Candidate::PLAIN };
    assert_eq!(Chooser::new([level], Config::default()).unwrap_err(), ConfigError::NoPlain);
    assert_eq!(Chooser::new([], Config::default()).unwrap_err(), ConfigError::NoPlain);
    assert_eq!(
        Chooser::new([Candidate::PLAIN; 33], Config::default()).unwrap_err(),
        ConfigError::TooMany(33)
    );
    let mut config = Config::default();
    config.margin = f64::NAN;
    assert_eq!(Chooser::new([Candidate::PLAIN], config).unwrap_err(), ConfigError::Share("margin"));
}
