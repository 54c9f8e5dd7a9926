//! The quality controller: down fast, up slowly, and no flapping.

use std::time::Duration;

use nyx_core::Instant;
use nyx_stream::quality::{Config, ConfigError, Controller};
use proptest::prelude::*;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn at(millis: u64) -> Instant {
    Instant::ZERO + ms(millis)
}

fn controller() -> Controller {
    Controller::new(Config::default()).unwrap()
}

/// Times of changes when `load(millis)` is (age in ms, depth), looked at every `step` ms until `end`.
fn changes(controller: &mut Controller, step: u64, end: u64, load: impl Fn(u64) -> (u64, usize)) -> Vec<u64> {
    let mut last = controller.quality();
    let looks = (0..end).step_by(step as usize);
    looks
        .filter(|millis| {
            let (age, depth) = load(*millis);
            let before = std::mem::replace(&mut last, controller.update(at(*millis), ms(age), depth));
            before != last
        })
        .collect()
}

#[test]
fn configurations_without_sense_are_refused() {
    let error = |change: fn(&mut Config)| {
        let mut config = Config::default();
        change(&mut config);
        Controller::new(config).unwrap_err()
    };
    assert_eq!(error(|config| config.ladder.clear()), ConfigError::NoRungs);
    assert_eq!(error(|config| config.ladder = vec![60, 75]), ConfigError::Unordered);
    assert_eq!(error(|config| config.ladder = vec![75, 75]), ConfigError::Unordered);
    assert_eq!(error(|config| config.age_max = Duration::ZERO), ConfigError::NoAge);
    assert_eq!(error(|config| config.down_after = Duration::ZERO), ConfigError::NoWait);
    assert_eq!(error(|config| config.up_after = ms(1)), ConfigError::UnorderedWaits);
    assert_eq!(error(|config| config.up_after_max = ms(1)), ConfigError::UnorderedWaits);
}

#[test]
fn overload_leads_to_the_lowest_rung_within_two_waits() {
    let mut controller = controller();
    assert_eq!(changes(&mut controller, 10, 10_000, |_| (0, 3)), [200, 400]);
    assert_eq!(controller.quality(), 60);
}

#[test]
fn ease_leads_back_to_the_highest_one_step_at_a_time() {
    let mut controller = controller();
    let load = |millis| if millis < 1_000 { (500, 0) } else { (10, 1) };
    assert_eq!(changes(&mut controller, 10, 20_000, load), [200, 400, 4_000, 7_000]);
    assert_eq!(controller.quality(), 85);
}

#[test]
fn what_is_neither_well_nor_too_much_changes_nothing() {
    let mut controller = controller();
    let load = |millis| if millis < 300 { (500, 0) } else { (100, 2) };
    assert_eq!(changes(&mut controller, 10, 60_000, load), [200]);
}

#[test]
fn a_hiccup_costs_nothing() {
    let mut controller = controller();
    assert_eq!(changes(&mut controller, 10, 60_000, |millis| (millis % 1_000 / 850 * 900, 0)), []);
}

/// The path carries 75 but not 85: tries get rarer, up to one a minute.
#[test]
fn a_rung_that_keeps_failing_is_tried_ever_more_rarely() {
    let mut controller = controller();
    let mut raised = Vec::new();
    for millis in (0..400_000).step_by(10) {
        let before = controller.quality();
        let age = if before > 75 { 400 } else { 20 };
        if controller.update(at(millis), ms(age), 0) > before {
            raised.push(millis / 1_000);
        }
    }
    let gaps: Vec<_> = raised.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps.is_sorted() && gaps[0] == 6 && gaps.last() >= Some(&60), "{gaps:?}");
    assert!(raised.len() < 12, "{raised:?}");
}

#[test]
fn a_rung_that_holds_makes_up_for_one_that_did_not() {
    let mut controller = controller();
    // After a failure it waits for 6 s, until a rung has held to the next one.
    let heavy = [0..1_000, 4_100..4_400, 16_500..16_800];
    let load = |millis| if heavy.iter().any(|times| times.contains(&millis)) { (500, 0) } else { (10, 0) };
    let expected = [200, 400, 4_000, 4_300, 10_400, 16_400, 16_700, 22_800];
    assert_eq!(changes(&mut controller, 10, 25_000, load), expected);
}

#[test]
fn absurd_looks_do_no_harm() {
    let mut controller = controller();
    for (now, age, depth) in
        [(u64::MAX, Duration::MAX, usize::MAX), (0, Duration::ZERO, 0), (u64::MAX, Duration::MAX, 0)]
    {
        assert!(controller.update(Instant::from_nanos(now), age, depth) >= 60);
    }
    assert!(controller.rung() < 3);
}

proptest! {
    /// A sawtooth whose teeth are shorter than it takes to go up never makes it go up.
    #[test]
    fn a_fast_sawtooth_only_leads_down(period in 20u64..2_990, peak in 160u64..2_000) {
        let mut controller = controller();
        let tooth = |millis: u64| ((millis % period) * peak * 105 / 100 / period, 0);
        let changed = changes(&mut controller, 1, 100_000, tooth);
        prop_assert!(changed.len() <= 2, "{changed:?}");
    }

    /// However slow the teeth are: once down and once up again on each, at most.
    #[test]
    fn each_tooth_makes_for_a_descent_and_an_ascent_at_most(
        period in 20u64..40_000,
        peak in 0u64..2_000,
        depth in 0usize..6,
    ) {
        let mut controller = controller();
        let tooth = |millis: u64| (millis % period * peak / period, (millis % period * depth as u64 / period) as usize);
        let changed = changes(&mut controller, 10, 10 * period, tooth);
        for start in 0..10 {
            let of_tooth = changed.iter().filter(|millis| **millis / period == start).count();
            prop_assert!(of_tooth <= 4, "{changed:?}");
        }
    }

    /// Whatever the load does.
    #[test]
    fn changes_are_bounded_in_any_window(
        loads in prop::collection::vec((0u64..400, 0usize..5, 1u64..4_000), 1..60),
    ) {
        let mut controller = controller();
        let (mut now, mut changed) = (0, Vec::new());
        for (age, depth, lasts) in loads {
            for _ in (0..lasts).step_by(20) {
                let before = controller.quality();
                if controller.update(at(now), ms(age), depth) != before {
                    changed.push(now);
                }
                now += 20;
            }
        }
        for (i, first) in changed.iter().enumerate() {
            for (count, last) in changed[i..].iter().enumerate() {
                let bound = 2 * ((last - first) / 3_000 + 1) + 2;
                prop_assert!((count as u64) < bound, "{changed:?}");
            }
        }
    }

    /// After the same past a worse look never makes for a better quality.
    #[test]
    fn the_response_is_monotone(
        past in prop::collection::vec((0u64..400, 0usize..5, 1u64..4_000), 0..60),
        looks in [(0u64..400, 0usize..5), (0u64..400, 0usize..5)],
    ) {
        let mut better = controller();
        let mut now = 0;
        for (age, depth, wait) in past {
            better.update(at(now), ms(age), depth);
            now += wait;
        }
        let mut worse = better.clone();
        let [(a, m), (b, n)] = looks;
        let good = better.update(at(now), ms(a.min(b)), m.min(n));
        prop_assert!(worse.update(at(now), ms(a.max(b)), m.max(n)) <= good);
    }
}
