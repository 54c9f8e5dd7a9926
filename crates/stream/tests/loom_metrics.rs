//! Metrics under every order that the memory model allows. Here one shard is one thread's own, and one is shared.
#![cfg(loom)]

use loom::thread;
use nyx_core::Instant;
use nyx_stream::metrics::{Counter, Metric, Registry};

/// Models with the whole search are out of reach; nearly all errors of this kind need three switches of threads or fewer.
fn model(run: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(run);
}

#[test]
fn a_thread_goes_on_where_the_last_owner_of_its_shard_was() {
    model(|| {
        let counter = Counter::new();
        // The second one may come after the first has ended, or meanwhile.
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let counter = counter.clone();
                thread::spawn(move || counter.inc())
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let last = counter.clone();
        thread::spawn(move || last.inc()).join().unwrap();
        assert_eq!(counter.get(), 3);
    });
}

#[test]
fn threads_that_share_a_shard_lose_nothing() {
    model(|| {
        let counter = Counter::new();
        counter.inc();
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let counter = counter.clone();
                thread::spawn(move || counter.add(2))
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(counter.get(), 5);
    });
}

#[test]
fn totals_never_go_back() {
    model(|| {
        let counter = Counter::new();
        let other = counter.clone();
        let thread = thread::spawn(move || {
            other.inc();
            other.inc();
        });
        let (first, second) = (counter.get(), counter.get());
        assert!(first <= second && second <= 2);
        thread.join().unwrap();
        assert_eq!(counter.get(), 2);
    });
}

#[test]
fn a_snapshot_scans_all_that_happened_before_it() {
    model(|| {
        let registry = Registry::new();
        let histogram = registry.histogram(Metric::new("sizes", "")).unwrap();
        // This thread takes the shard that is one thread's own, so the others share theirs, at both ends of its range.
        histogram.record(2);
        let threads = [3, 1].map(|value| {
            let histogram = histogram.clone();
            thread::spawn(move || histogram.record(value))
        });
        let early = registry.snapshot(Instant::ZERO);
        let early = early.histogram("sizes", &[]).unwrap();
        assert_eq!((early.quantile(0.0).is_some(), early.quantile(1.0).is_some()), (true, true));
        for thread in threads {
            thread.join().unwrap();
        }
        let late = registry.snapshot(Instant::ZERO);
        let late = late.histogram("sizes", &[]).unwrap();
        assert!(1 <= early.count() && early.count() <= late.count());
        assert_eq!((late.count(), late.sum(), late.quantiles([0.0, 1.0])), (3, 6, [Some(1), Some(3)]));
    });
}

#[test]
fn whoever_waited_for_one_thread_sees_what_it_recorded() {
    model(|| {
        let registry = Registry::new();
        let histogram = registry.histogram(Metric::new("sizes", "")).unwrap();
        let [one, other] = [1, 1].map(|value| {
            let histogram = histogram.clone();
            thread::spawn(move || histogram.record(value))
        });
        one.join().unwrap();
        let snapshot = registry.snapshot(Instant::ZERO);
        assert!(snapshot.histogram("sizes", &[]).unwrap().count() >= 1);
        other.join().unwrap();
    });
}
