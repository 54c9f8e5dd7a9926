//! The keyed limiter against an account for each key that is never forgotten.
#![cfg(not(loom))]

use std::collections::HashMap;
use std::time::Duration;

use nyx_core::clock::{Clock, Manual};
use nyx_core::limit::{AtomicMeter, Capacity, CapacityError, Keyed, Quota};
use nyx_core::{ByteSize, Instant};
use proptest::prelude::*;

fn quota() -> Quota {
    Quota::per_second(10).unwrap().with_burst(5).unwrap()
}

fn limiter(keys: usize) -> (Keyed<Manual>, Manual) {
    let clock = Manual::new();
    let limiter = Keyed::with_clock(&quota(), Capacity::keys(keys).unwrap(), clock.clone()).unwrap();
    (limiter, clock)
}

proptest! {
    /// Whatever is displaced, refunded or asked at whatever time: what the limiter admits, an exact account admits too.
    #[test]
    fn no_key_ever_gets_more_than_by_an_exact_account(
        capacity in 1..64usize,
        steps in prop::collection::vec((0..100u8, 0..6u64, -300..600i64, 0..8u8), 1..600),
    ) {
        let (limiter, clock) = limiter(capacity);
        let mut exact: HashMap<u8, AtomicMeter> = HashMap::new();
        for (key, n, millis, action) in steps {
            if action == 0 {
                clock.set(Instant::from_nanos(clock.now().as_nanos().saturating_add_signed(millis * 1_000_000)));
            }
            let now = clock.now();
            let account = exact.entry(key).or_insert_with(|| AtomicMeter::new(&quota(), Instant::ZERO));
            if action == 1 {
                limiter.refund(&key, n);
                account.refund(n);
            } else if limiter.check_n(&key, n).is_ok() {
                prop_assert!(account.check_n_at(now, n).is_ok(), "{key} got {n} too many at {now:?}");
            }
        }
    }

    #[test]
    fn without_displacement_it_is_the_exact_account(
        steps in prop::collection::vec((0..6u8, 0..6u64, 0..200u64), 1..200),
    ) {
        let (limiter, clock) = limiter(8);
        let mut exact: HashMap<u8, AtomicMeter> = HashMap::new();
        for (key, n, millis) in steps {
            clock.advance(Duration::from_millis(millis));
            let account = exact.entry(key).or_insert_with(|| AtomicMeter::new(&quota(), Instant::ZERO));
            let [ours, exact] = [limiter.check_n(&key, n), account.check_n_at(clock.now(), n)]
                .map(|verdict| verdict.map_err(|error| error.retry_after()));
            prop_assert_eq!(ours, exact);
        }
    }
}

#[test]
fn a_flood_of_fresh_keys_frees_nobody_from_debt() {
    let (limiter, _) = limiter(1_000);
    let debtors: Vec<_> = (0..100).map(|debtor| format!("debtor {debtor}")).collect();
    for debtor in &debtors {
        assert!(limiter.check_n(debtor, 5).is_ok());
    }
    for fresh in 0..200_000u32 {
        let _ = limiter.check(&fresh);
    }
    assert!(debtors.iter().all(|debtor| limiter.check(debtor).is_err()));
    assert!(limiter.len() <= limiter.capacity().max_keys());
    assert!(limiter.inherited() > 0);
}

#[test]
fn keys_out_of_debt_make_room_for_new_ones_and_lose_nothing() {
    let (limiter, clock) = limiter(64);
    for key in 0..10_000u32 {
        assert!(limiter.check_n(&key, 5).is_ok(), "{key}");
        clock.advance(Duration::from_millis(500));
    }
    assert_eq!(limiter.inherited(), 0);
    assert_eq!(limiter.evicted() as usize + limiter.len(), 10_000);
}

#[test]
fn the_key_that_has_rested_longest_goes_first() {
    let (limiter, clock) = limiter(8);
    for key in 0..8u32 {
        limiter.check(&key).unwrap();
        clock.advance(Duration::from_millis(10));
    }
    clock.advance(Duration::from_secs(1));
    limiter.check(&0u32).unwrap();
    limiter.check(&"newcomer").unwrap();
    // Key 1 gave way, and key 0 is still known to owe.
    assert!(limiter.check_n(&0u32, 5).is_err());
    assert_eq!((limiter.len(), limiter.evicted()), (8, 1));
}

#[test]
fn few_newcomers_inherit_where_there_is_room_for_two_or_three_times_the_keys() {
    for (times, permille_max) in [(2, 70), (3, 12)] {
        let (limiter, _) = limiter(1_000_000);
        let ask = |key: usize| {
            let _ = limiter.check(&key);
        };
        let (load, newcomers) = (limiter.capacity().max_keys() / times, 10_000);
        (0..load).for_each(ask);
        let before = limiter.inherited();
        (load..load + newcomers).for_each(ask);
        let permille = (limiter.inherited() - before) * 1_000 / newcomers as u64;
        assert!(permille <= permille_max, "{permille} of 1000 with room for {times} times the keys");
    }
}

#[test]
fn a_key_is_counted_once_whatever_is_asked_and_refunded() {
    let (limiter, clock) = limiter(8);
    let max = limiter.capacity().max_keys();
    for round in 0..100 {
        for key in 0..6u32 {
            let _ = limiter.check_n(&key, 0);
            let _ = limiter.check(&key);
            limiter.refund(&key, u64::MAX);
            assert!(limiter.len() <= max, "{} in round {round}", limiter.len());
        }
        clock.advance(Duration::from_nanos(1));
    }
    assert_eq!((limiter.len(), limiter.evicted()), (6, 0));
}

#[test]
fn asking_for_nothing_and_huge_refunds_take_nothing_away() {
    let (limiter, _) = limiter(8);
    assert!(limiter.check_n("a", 0).is_ok());
    assert!(limiter.check_n("a", 5).is_ok());
    limiter.refund("a", u64::MAX);
    assert!(limiter.check_n("a", 5).is_ok());
    assert!(limiter.check("a").is_err());
}

#[test]
fn memory_stays_within_what_was_given() {
    for bytes in [256, 1_000, 100_000, 16 << 20] {
        let capacity = Capacity::within(ByteSize::new(bytes)).unwrap();
        assert!(capacity.memory().bytes() <= bytes && capacity.memory().bytes() * 2 > bytes);
    }
    for keys in [1, 9, 1_000, 1_000_000] {
        let capacity = Capacity::keys(keys).unwrap();
        assert!(capacity.max_keys() >= keys);
    }
}

#[test]
fn capacities_of_nothing_and_of_everything_are_refused() {
    assert_eq!(Capacity::keys(0), Err(CapacityError::Zero));
    assert_eq!(Capacity::keys(usize::MAX), Err(CapacityError::TooLarge));
    assert_eq!(Capacity::within(ByteSize::new(255)), Err(CapacityError::Zero));
    assert_eq!(Capacity::within(ByteSize::new(u64::MAX)), Err(CapacityError::TooLarge));
    let beyond = Capacity::within(ByteSize::new(1 << 61)).unwrap();
    assert_eq!(Keyed::new(&quota(), beyond).err(), Some(CapacityError::TooLarge));
}

#[test]
fn an_adjusted_quota_holds_for_every_key() {
    let (limiter, clock) = limiter(100);
    limiter.check_n("a", 5).unwrap();
    limiter.set_quota(&Quota::per_second(1_000).unwrap().with_burst(7).unwrap()).unwrap();
    assert!(limiter.check_n("a", 3).is_err());
    assert!(limiter.check_n("b", 7).is_ok());
    clock.advance(Duration::from_millis(1));
    assert!(limiter.check_n("a", 3).is_ok());
}
