//! Metrics as those who count and those who read them meet them.
#![cfg(not(loom))]

use std::time::Duration;

use nyx_core::Instant;
use nyx_stream::metrics::{
    Counter, Gauge, Histogram, Metric, OTHERS, RegisterError, Registry, Snapshot, Unit, local,
};
use proptest::prelude::*;

#[test]
fn nothing_is_lost_when_there_are_more_threads_than_shards() {
    let (counter, histogram) = (Counter::new(), Histogram::new());
    std::thread::scope(|scope| {
        for _ in 0..80 {
            scope.spawn(|| {
                for value in 0..500 {
                    counter.inc();
                    histogram.record(value);
                }
            });
        }
    });
    assert_eq!((counter.get(), histogram.count()), (40_000, 40_000));
}

#[test]
fn threads_that_come_after_each_other_go_on_where_the_last_was() {
    let (counter, histogram) = (Counter::new(), Histogram::new());
    for number in 1..=200 {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                counter.inc();
                histogram.record(number);
            });
        });
        assert_eq!((counter.get(), histogram.count()), (number, number));
    }
}

#[test]
fn totals_never_go_back_while_threads_count() {
    let registry = Registry::new();
    let counter = registry.counter(Metric::new("events", "")).unwrap();
    let histogram = registry.histogram(Metric::new("sizes", "")).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..3u64 {
            let (counter, histogram) = (&counter, &histogram);
            scope.spawn(move || {
                for value in 0..20_000 {
                    counter.inc();
                    histogram.record(value << (10 * thread));
                }
            });
        }
        let mut snapshot = Snapshot::default();
        let mut before = (0, 0);
        while before != (60_000, 60_000) {
            registry.snapshot_into(Instant::ZERO, &mut snapshot);
            let spread = snapshot.histogram("sizes", &[]).unwrap();
            let now = (snapshot.counter("events", &[]).unwrap(), spread.count());
            assert!(now.0 >= before.0 && now.1 >= before.1, "{before:?} to {now:?}");
            assert_eq!(spread.buckets().map(|(_, count)| count).sum::<u64>(), spread.count());
            assert_eq!(spread.quantile(0.99).is_some(), spread.count() > 0);
            before = now;
        }
    });
}

#[test]
fn a_counter_that_is_counted_in_a_dying_thread_still_counts() {
    struct Last(Counter);
    impl Drop for Last {
        fn drop(&mut self) {
            self.0.inc();
        }
    }
    thread_local! {
        static LAST: std::cell::RefCell<Option<Last>> = const { std::cell::RefCell::new(None) };
    }
    let counter = Counter::new();
    let handle = counter.clone();
    let thread = std::thread::spawn(move || {
        LAST.with(|last| *last.borrow_mut() = Some(Last(handle.clone())));
        handle.inc();
    });
    thread.join().unwrap();
    assert_eq!(counter.get(), 2);
}

#[test]
fn names_are_checked_when_they_are_registered() {
    let registry = Registry::new();
    let register = |metric| registry.counter(metric).map(drop);
    for name in ["", "1st", "with space", "tür", "a:b", "frames_total"] {
        assert_eq!(register(Metric::new(name, "")), Err(RegisterError::BadName(name.to_owned())));
    }
    for label in ["", "9", "__name", "le", "x-y", "twice"] {
        let metric = Metric::new("frames", "").with_label("twice", "1").with_label(label, "2");
        let error = RegisterError::BadLabel { metric: "frames".to_owned(), label: label.to_owned() };
        assert_eq!(register(metric), Err(error));
    }
    assert!(registry.is_empty());
}

#[test]
fn a_name_stands_for_one_thing() {
    let registry = Registry::new();
    let frames = |help: &str| Metric::new("frames", help);
    registry.counter(frames("").with_label("lane", "high").with_label("kind", "a")).unwrap();
    registry.counter(frames("").with_label("lane", "low").with_label("kind", "a")).unwrap();
    let reordered = frames("").with_label("kind", "a").with_label("lane", "high");
    assert_eq!(registry.counter(reordered).unwrap_err(), RegisterError::Duplicate("frames".into()));
    let mismatch = RegisterError::Mismatch("frames".into());
    assert_eq!(registry.gauge(frames("")).unwrap_err(), mismatch);
    assert_eq!(registry.counter(frames("other")).unwrap_err(), mismatch);
    assert_eq!(registry.counter(frames("").with_unit(Unit::Bytes)).unwrap_err(), mismatch);
    let family = registry.family::<Counter, 1>(frames(""), ["topic"], 5);
    assert_eq!(family.unwrap_err(), RegisterError::Duplicate("frames".into()));
    registry.family::<Gauge, 1>(Metric::new("depth", ""), ["topic"], 5).unwrap();
    assert_eq!(
        registry.gauge(Metric::new("depth", "")).unwrap_err(),
        RegisterError::Duplicate("depth".into())
    );
    assert_eq!(registry.len(), 2);
}

#[test]
fn a_family_is_bounded_and_its_series_stay() {
    let registry = Registry::new();
    let family = registry.family::<Counter, 2>(Metric::new("drops", ""), ["topic", "reason"], 2).unwrap();
    for round in 0..3 {
        for topic in ["a", "b", "c", "d", OTHERS] {
            family.get([topic, "late"]).inc();
        }
        assert_eq!(registry.len(), 3, "round {round}");
    }
    let snapshot = registry.snapshot(Instant::ZERO);
    let count = |topic, reason| snapshot.counter("drops", &[("reason", reason), ("topic", topic)]);
    assert_eq!((count("a", "late"), count("b", "late"), count("c", "late")), (Some(3), Some(3), None));
    assert_eq!(count(OTHERS, OTHERS), Some(9));
    let none = registry.family::<Gauge, 1>(Metric::new("depth", ""), ["topic"], 0).unwrap();
    none.get(["a"]).set(1.0);
    assert_eq!(registry.snapshot(Instant::ZERO).gauge("depth", &[("topic", OTHERS)]), Some(1.0));
}

#[test]
fn a_snapshot_that_is_used_again_is_like_a_new_one() {
    let (one, other) = (Registry::new(), Registry::new());
    one.gauge(Metric::new("depth", "")).unwrap().set(1.0);
    one.histogram(Metric::new("age", "")).unwrap().record(3);
    other.counter(Metric::new("frames", "")).unwrap().inc();
    let mut snapshot = one.snapshot(Instant::ZERO);
    other.snapshot_into(Instant::from_nanos(1), &mut snapshot);
    assert_eq!((snapshot.len(), snapshot.counter("frames", &[])), (1, Some(1)));
    one.snapshot_into(Instant::from_nanos(2), &mut snapshot);
    assert_eq!((snapshot.len(), snapshot.gauge("depth", &[])), (2, Some(1.0)));
    assert_eq!(snapshot.histogram("age", &[]).unwrap().quantile(0.5), Some(3));
}

#[test]
fn time_that_stands_or_goes_back_makes_no_rate() {
    let registry = Registry::new();
    let frames = registry.counter(Metric::new("frames", "")).unwrap();
    frames.add(5);
    let late = registry.snapshot(Instant::from_nanos(1_000_000_000));
    frames.add(5);
    let early = registry.snapshot(Instant::ZERO);
    for (now, before) in [(&early, &late), (&late, &late), (&late, &early)] {
        let since = now.since(before);
        let rate = since.rates().next().map(|(_, rate)| rate);
        assert_eq!(rate, Some(0.0));
    }
    assert_eq!(early.since(&late).over(), Duration::ZERO);
    assert_eq!(early.since(&late).changes().counter("frames", &[]), Some(5));
}

#[test]
fn what_came_later_was_at_zero_before() {
    let registry = Registry::new();
    registry.counter(Metric::new("first", "")).unwrap().inc();
    let before = registry.snapshot(Instant::ZERO);
    registry.counter(Metric::new("second", "")).unwrap().add(4);
    let since = registry.snapshot(Instant::ZERO + Duration::from_millis(500)).since(&before);
    let rates: Vec<_> = since.rates().map(|(metric, rate)| (metric.name(), rate)).collect();
    assert_eq!(rates, [("first", 0.0), ("second", 8.0)]);
}

#[test]
fn extremes_stay_where_numbers_end() {
    let gauge = Gauge::new();
    gauge.set(f64::NEG_INFINITY);
    gauge.add(f64::NEG_INFINITY);
    gauge.add(f64::NAN);
    assert_eq!(gauge.get(), f64::MIN);

    let registry = Registry::new();
    let counter = registry.counter(Metric::new("events", "")).unwrap();
    let histogram = registry.histogram(Metric::new("sizes", "")).unwrap();
    counter.add(u64::MAX - 1);
    counter.add(5);
    histogram.record(u64::MAX);
    histogram.record(u64::MAX);
    let mut snapshot = registry.snapshot(Instant::ZERO);
    snapshot.merge(&snapshot.clone());
    assert_eq!(snapshot.counter("events", &[]), Some(u64::MAX));
    let spread = snapshot.histogram("sizes", &[]).unwrap();
    assert_eq!((spread.count(), spread.sum()), (4, u64::MAX));
    assert!(spread.quantile(2.0).is_some_and(|value| value > 1 << 35));
    assert_eq!(spread.quantile(f64::NAN), None);
    assert_eq!(spread.quantile(-1.0), spread.quantile(0.0));
}

fn values() -> impl Strategy<Value = Vec<u64>> {
    prop::collection::vec(
        prop_oneof![0..100u64, 0..100_000u64, any::<u64>().prop_map(|value| value >> 28)],
        0..300,
    )
}

fn recorded(values: &[u64]) -> Snapshot {
    let registry = Registry::new();
    let histogram = registry.histogram(Metric::new("sizes", "")).unwrap();
    values.iter().for_each(|value| histogram.record(*value));
    registry.snapshot(Instant::ZERO)
}

/// All that can be asked of a histogram: count, sum, buckets, quantiles.
type Answers = (u64, u64, Vec<(u64, u64)>, [Option<u64>; 3]);

fn answers(snapshot: &Snapshot) -> Answers {
    let spread = snapshot.histogram("sizes", &[]).unwrap();
    (spread.count(), spread.sum(), spread.buckets().collect(), spread.quantiles([0.1, 0.5, 0.99]))
}

proptest! {
    #[test]
    fn quantiles_are_off_by_at_most_a_32nd(mut values in values(), share in 0.0f64..=1.0) {
        prop_assume!(!values.is_empty());
        let mut local = local::Histogram::new();
        values.iter().for_each(|value| local.record(*value));
        let shared = recorded(&values).histogram("sizes", &[]).unwrap().quantile(share).unwrap();
        prop_assert_eq!(local.quantile(share), Some(shared));
        values.sort_unstable();
        let rank = ((share * values.len() as f64).ceil() as usize).max(1);
        let exact = values[rank - 1];
        prop_assert!(shared.abs_diff(exact) <= exact / 32, "{} for {}", shared, exact);
    }

    #[test]
    fn merged_is_as_if_all_were_recorded_together(one in values(), two in values(), three in values()) {
        let mut merged = recorded(&one);
        merged.merge(&recorded(&two));
        merged.merge(&recorded(&three));
        prop_assert_eq!(answers(&merged), answers(&recorded(&[&one[..], &two, &three].concat())));

        let locals = [&one, &two].map(|values| {
            let mut local = local::Histogram::new();
            values.iter().for_each(|value| local.record(*value));
            local
        });
        let [mut all, more] = locals;
        all.merge(&more);
        let mut together = local::Histogram::new();
        one.iter().chain(&two).for_each(|value| together.record(*value));
        prop_assert_eq!(all, together);
    }

    #[test]
    fn what_happened_since_is_what_was_recorded_since(before in values(), after in values()) {
        let registry = Registry::new();
        let histogram = registry.histogram(Metric::new("sizes", "")).unwrap();
        before.iter().for_each(|value| histogram.record(*value));
        let earlier = registry.snapshot(Instant::ZERO);
        after.iter().for_each(|value| histogram.record(*value));
        let since = registry.snapshot(Instant::ZERO).since(&earlier);
        prop_assert_eq!(answers(since.changes()), answers(&recorded(&after)));
        // The other way round nothing has happened, and nothing breaks.
        let back = earlier.since(&registry.snapshot(Instant::ZERO));
        prop_assert_eq!(back.changes().histogram("sizes", &[]).unwrap().count(), 0);
    }

    #[test]
    fn shards_add_up_to_what_threads_counted(counts in prop::collection::vec(prop::collection::vec(0..1000u64, 0..20), 1..12)) {
        let (counter, histogram) = (Counter::new(), Histogram::new());
        std::thread::scope(|scope| {
            for counts in &counts {
                let (counter, histogram) = (&counter, &histogram);
                scope.spawn(move || counts.iter().for_each(|count| {
                    counter.add(*count);
                    histogram.record(*count);
                }));
            }
        });
        prop_assert_eq!(counter.get(), counts.iter().flatten().sum::<u64>());
        prop_assert_eq!(histogram.count(), counts.iter().flatten().count() as u64);
    }

    #[test]
    fn counts_below_a_power_of_two_are_exact(values in values(), power in 0u32..36) {
        let bound = 1u64 << power;
        let exact = values.iter().filter(|value| **value < bound).count() as u64;
        prop_assert_eq!(recorded(&values).histogram("sizes", &[]).unwrap().count_below(bound), exact);
    }
}
