//! The atomic protocol of the shared limiter, under every interleaving.
#![cfg(loom)]

use std::time::Duration;

use loom::sync::Arc;
use loom::thread;
use nyx_core::Instant;
use nyx_core::limit::{AtomicMeter, Quota};

fn at(seconds: u64) -> Instant {
    Instant::ZERO + Duration::from_secs(seconds)
}

fn quota(per_second: u64, burst: u64) -> Quota {
    Quota::per_second(per_second).unwrap().with_burst(burst).unwrap()
}

#[test]
fn two_threads_never_take_more_than_the_burst() {
    loom::model(|| {
        let meter = Arc::new(AtomicMeter::new(&quota(1, 3), at(0)));
        let other = {
            let meter = meter.clone();
            thread::spawn(move || (0..2).filter(|_| meter.check_at(at(0)).is_ok()).count())
        };
        let mine = (0..2).filter(|_| meter.check_at(at(0)).is_ok()).count();
        assert_eq!(mine + other.join().unwrap(), 3);
    });
}

#[test]
fn a_refund_is_not_lost() {
    loom::model(|| {
        let meter = Arc::new(AtomicMeter::new(&quota(1, 2), at(0)));
        meter.check_at(at(0)).unwrap();
        let other = {
            let meter = meter.clone();
            thread::spawn(move || meter.refund(1))
        };
        meter.check_at(at(0)).unwrap();
        other.join().unwrap();
        assert_eq!(meter.available_at(at(0)), 1);
    });
}

/// A mixture of two quotas would show another number of tokens than either.
#[test]
fn a_check_sees_one_quota_or_the_next_and_never_a_mixture() {
    // Without a bound it takes minutes.
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(|| {
        let meter = Arc::new(AtomicMeter::new(&quota(1, 100), at(0)));
        meter.check_n_at(at(0), 100).unwrap();
        let looking = {
            let meter = meter.clone();
            thread::spawn(move || meter.available_at(at(11)))
        };
        // The second goes into the copy that may be being read. Loom tracks one access to a word, the last: it has to
        // be the store, so it is the thread that runs first that adjusts.
        meter.set_quota(at(10), &quota(5, 100)).unwrap();
        meter.set_quota(at(10), &quota(2, 100)).unwrap();
        let seen = looking.join().unwrap();
        assert!([11, 15, 12].contains(&seen), "{seen}");
        assert_eq!(meter.available_at(at(11)), 12);
    });
}

#[test]
fn a_check_beside_an_adjustment_is_judged_by_either_quota() {
    loom::model(|| {
        let meter = Arc::new(AtomicMeter::new(&quota(1, 1), at(0)));
        let checking = {
            let meter = meter.clone();
            thread::spawn(move || (0..2).filter(|_| meter.check_at(at(0)).is_ok()).count())
        };
        meter.set_quota(at(0), &quota(1, 2)).unwrap();
        let admitted = checking.join().unwrap();
        assert!((1..=2).contains(&admitted));
        assert_eq!(meter.available_at(at(0)), 2 - admitted as u64);
    });
}
