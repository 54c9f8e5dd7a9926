//! Never over the quota in any window, and the whole of it under sustained demand: for each kind of limiter, in virtual time.
#![cfg(not(loom))]

use std::time::Duration;

use nyx_core::clock::{Clock, Manual};
use nyx_core::limit::{AtomicMeter, CheckError, Limiter, Local, Meter, Quota};
use nyx_core::{Bitrate, Instant};
use proptest::prelude::*;

/// A quota, and what it is in exact integers.
#[derive(Clone, Copy, Debug)]
struct Terms {
    amount: u64,
    per_nanos: u64,
    burst: u64,
}

impl Terms {
    fn quota(&self) -> Quota {
        let quota = Quota::new(self.amount, Duration::from_nanos(self.per_nanos)).unwrap();
        quota.with_burst(self.burst).unwrap()
    }

    /// Whether `tokens` in `window` nanoseconds are within the quota, give or take what it supplies in `grain` nanoseconds and
    /// 2^-30 of a token.
    fn allows(&self, tokens: u64, window: u64, grain: u64, slack: u64) -> bool {
        let (amount, per) = (u128::from(self.amount), u128::from(self.per_nanos));
        let over = u128::from(tokens.saturating_sub(self.burst + slack));
        over * per <= amount * u128::from(window + grain) + (per >> 30) + 1
    }

    fn supplied(&self, nanos: u64) -> u64 {
        (u128::from(self.amount) * u128::from(nanos) / u128::from(self.per_nanos)) as u64
    }
}

fn terms() -> impl Strategy<Value = Terms> {
    let per = prop_oneof![
        1..1_000_000u64,
        1_000_000..100_000_000_000u64,
        Just(1_000_000_000),
        Just(86_400_000_000_000)
    ];
    (1..5_000u64, per, prop_oneof![1..4u64, 1..3_000u64])
        .prop_filter("too fast", |(amount, per, _)| amount / per < 32)
        .prop_map(|(amount, per_nanos, burst)| Terms { amount, per_nanos, burst })
}

/// Requests: how long after the last, in 1/64 of the mean time between tokens, and for how many tokens in 1/8 of the burst.
fn requests() -> impl Strategy<Value = Vec<(u64, u64)>> {
    prop::collection::vec((prop_oneof![Just(0), 0..64u64, 0..3_000u64], 0..=8u64), 1..200)
}

/// Drives a limiter and holds every window to the quota.
fn never_over(
    terms: Terms,
    requests: &[(u64, u64)],
    grain: u64,
    slack: u64,
    mut check: impl FnMut(Instant, u64) -> Result<(), CheckError>,
) -> Result<(), TestCaseError> {
    let mut now = Instant::ZERO;
    let mut admitted: Vec<(Instant, u64)> = Vec::new();
    for (gap, eighths) in requests {
        now = now + Duration::from_nanos(gap * terms.per_nanos.div_ceil(terms.amount * 64));
        let n = (terms.burst * eighths / 8).max(1);
        if check(now, n).is_ok() {
            admitted.push((now, n));
        }
    }
    for first in 0..admitted.len() {
        let mut tokens = 0;
        for (at, n) in &admitted[first..] {
            tokens += n;
            let window = at.as_nanos() - admitted[first].0.as_nanos();
            prop_assert!(terms.allows(tokens, window, grain, slack), "{tokens} in {window} ns of {terms:?}");
        }
    }
    Ok(())
}

/// Asks all the time, which is 128 times while the burst fills, and counts.
fn sustained(
    terms: Terms,
    step_max: u64,
    mut check: impl FnMut(Instant) -> Result<(), CheckError>,
) -> Result<(), TestCaseError> {
    let step = (terms.per_nanos * terms.burst / terms.amount / 128).min(step_max);
    prop_assume!(step > 0);
    let mut now = Instant::ZERO;
    let mut admitted = 0u64;
    while admitted < 3_000 + terms.burst && now.as_nanos() / step < 20_000 {
        now = now + Duration::from_nanos(step);
        while check(now).is_ok() {
            admitted += 1;
        }
    }
    let due = terms.burst + terms.supplied(now.as_nanos() - step);
    prop_assert!(admitted as f64 >= due as f64 * 0.99 - 1.0, "{admitted} of {due} of {terms:?}");
    Ok(())
}

proptest! {
    #[test]
    fn a_meter_is_never_over_in_any_window(terms in terms(), requests in requests()) {
        let mut meter = Meter::new(&terms.quota(), Instant::ZERO);
        never_over(terms, &requests, 1, 0, |now, n| meter.check_n_at(now, n))?;
    }

    #[test]
    fn an_atomic_meter_is_never_over_in_any_window(terms in terms(), requests in requests()) {
        let meter = AtomicMeter::new(&terms.quota(), Instant::ZERO);
        never_over(terms, &requests, 1_024, 0, |now, n| meter.check_n_at(now, n))?;
    }

    #[test]
    fn a_limiter_is_never_over_in_any_window(terms in terms(), requests in requests()) {
        let clock = Manual::new();
        let limiter = Limiter::with_clock(&terms.quota(), clock.clone());
        never_over(terms, &requests, 1_024, 0, |now, n| {
            clock.set(now);
            limiter.check_n(n)
        })?;
    }

    #[test]
    fn a_local_limiter_is_over_by_its_slack_at_most(terms in terms(), requests in requests()) {
        let clock = Manual::new();
        let mut limiter = Local::with_clock(&terms.quota(), clock.clone());
        never_over(terms, &requests, 1, 63.max(terms.burst / 64), |now, n| {
            clock.set(now);
            limiter.check_n(n)
        })?;
    }

    #[test]
    fn a_local_limiter_asked_in_storms_is_over_by_its_slack_at_most(
        terms in terms(),
        gaps in prop::collection::vec((0..3_000u64, 1..150usize), 1..30),
    ) {
        let storms = gaps.iter().flat_map(|(gap, calls)| std::iter::once((*gap, 0)).chain(vec![(0, 0); *calls]));
        let clock = Manual::new();
        let mut limiter = Local::with_clock(&terms.quota(), clock.clone());
        never_over(terms, &storms.collect::<Vec<_>>(), 1, 63, |now, _| {
            clock.set(now);
            limiter.check().map_err(CheckError::from)
        })?;
    }

    #[test]
    fn a_meter_gives_the_whole_quota(terms in terms()) {
        let mut meter = Meter::new(&terms.quota(), Instant::ZERO);
        sustained(terms, u64::MAX, |now| Ok(meter.check_at(now)?))?;
    }

    #[test]
    fn a_limiter_gives_the_whole_quota(terms in terms()) {
        let meter = AtomicMeter::new(&terms.quota(), Instant::ZERO);
        sustained(terms, u64::MAX, |now| Ok(meter.check_at(now)?))?;
    }

    #[test]
    fn a_local_limiter_gives_the_whole_quota(
        amount in 1..5_000u64,
        per_nanos in 1_000_000..20_000_000u64,
        burst in 2..3_000u64,
    ) {
        let terms = Terms { amount, per_nanos, burst };
        let clock = Manual::new();
        let mut limiter = Local::with_clock(&terms.quota(), clock.clone());
        // It is late by up to 64 calls, and what comes meanwhile must fit into the burst beside the token that is asked for.
        let step_max = per_nanos * (burst - 1) / amount / 128;
        sustained(terms, step_max.min(900), |now| {
            clock.set(now);
            Ok(limiter.check()?)
        })?;
    }

    #[test]
    fn a_local_limiter_refuses_wrongly_63_times_in_a_row_at_most(
        terms in terms(),
        storm in 0..500usize,
        gaps in prop::collection::vec(0..5_000u64, 1..300),
    ) {
        let clock = Manual::new();
        let mut limiter = Local::with_clock(&terms.quota(), clock.clone());
        let mut exact = Meter::new(&terms.quota(), clock.now());
        let (mut wrong, mut since_sparse) = (0, 0);
        for gap in std::iter::repeat_n(1, storm).chain(gaps) {
            clock.advance(Duration::from_nanos(gap));
            since_sparse = if gap > 1_000 { since_sparse + 1 } else { 0 };
            let due = exact.clone().check_at(clock.now()).is_ok();
            match limiter.check() {
                Ok(()) => {
                    let _ = exact.check_at(clock.now());
                    wrong = 0;
                }
                Err(_) if due => wrong += 1,
                Err(_) => wrong = 0,
            }
            prop_assert!(wrong <= 63, "{wrong} refusals in a row");
            prop_assert!(wrong == 0 || since_sparse < 64, "refused though seldom asked");
        }
    }

    #[test]
    fn refunds_and_adjustments_never_lift_above_the_burst(
        before in terms(),
        after in terms(),
        steps in prop::collection::vec((any::<u64>(), 0..10u64, any::<u64>()), 1..50),
    ) {
        let meter = AtomicMeter::new(&before.quota(), Instant::ZERO);
        let mut local = Meter::new(&before.quota(), Instant::ZERO);
        let mut bursts = (before.burst, before.burst);
        for (nanos, action, n) in steps {
            let now = Instant::from_nanos(nanos);
            match action {
                0 => meter.refund(n),
                1 => local.refund(n),
                2 => if meter.set_quota(now, &after.quota()).is_ok() { bursts.0 = after.burst },
                3 => { local.set_quota(now, &after.quota()); bursts.1 = after.burst }
                _ => { let _ = (meter.check_n_at(now, n % 99), local.check_n_at(now, n)); }
            }
            prop_assert!(meter.available_at(now) <= bursts.0);
            prop_assert!(local.available_at(now) <= bursts.1);
        }
    }

    #[test]
    fn a_denial_names_the_first_nanosecond_that_is_allowed(terms in terms(), eighths in 1..=8u64, later in 0..1u64 << 50) {
        let now = Instant::from_nanos(later);
        let mut meter = Meter::new(&terms.quota(), now);
        meter.check_n_at(now, terms.burst).unwrap();
        let n = (terms.burst * eighths / 8).max(1);
        let wait = meter.check_n_at(now, n).unwrap_err().retry_after().unwrap();
        prop_assert!(meter.clone().check_n_at(now + wait - Duration::from_nanos(1), n).is_err());
        prop_assert!(meter.check_n_at(now + wait, n).is_ok());
    }
}

#[test]
fn byte_rates_over_a_gigabyte_a_second_are_exact() {
    let quota = Quota::from_bitrate(Bitrate::from_bytes_per_second(12_345_678_901))
        .unwrap()
        .with_burst(3_000)
        .unwrap();
    let mut meter = Meter::new(&quota, Instant::ZERO);
    let mut now = Instant::ZERO;
    let mut packets = 0u64;
    while now < Instant::from_nanos(1_000_000) {
        match meter.check_n_at(now, 1_500) {
            Ok(()) => packets += 1,
            Err(error) => now = now + error.retry_after().unwrap(),
        }
    }
    assert!((packets * 1_500).abs_diff(12_345_678 + 3_000) <= 1_500, "{packets}");
}

#[test]
fn a_local_limiter_reads_the_clock_seldom() {
    struct Counting(std::sync::atomic::AtomicU64);
    impl Clock for Counting {
        fn now(&self) -> Instant {
            Instant::from_nanos(self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
        }
    }
    impl Clock for &'static Counting {
        fn now(&self) -> Instant {
            (**self).now()
        }
    }
    static CLOCK: Counting = Counting(std::sync::atomic::AtomicU64::new(0));
    let mut limiter = Local::with_clock(&Quota::per_second(10).unwrap(), &CLOCK);
    assert_eq!((0..1_000).filter(|_| limiter.check().is_ok()).count(), 10);
    assert!(CLOCK.now().as_nanos() <= 1 + 6 + 1_000 / 64 + 1);
}

#[test]
fn threads_together_never_take_more_than_the_burst() {
    let limiter = Limiter::with_clock(&Quota::per_second(10_000).unwrap(), Manual::new());
    let admitted: usize = std::thread::scope(|scope| {
        let ask = || (0..10_000).filter(|_| limiter.check().is_ok()).count();
        let threads = [scope.spawn(ask), scope.spawn(ask)];
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(admitted, 10_000);
}
