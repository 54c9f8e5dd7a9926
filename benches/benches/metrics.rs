//! Counters, histograms and snapshots of a thousand of them, beside prometheus-client, metrics and hdrhistogram.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use metrics_util::registry::{AtomicStorage, Registry as OtherRegistry};
use metrics_util::storage::AtomicBucket;
use nyx_stream::metrics::{Counter, Histogram, Metric, Registry, Snapshot, Unit, Value, local};
use parking_lot::Mutex;
use prometheus_client::metrics::histogram::exponential_buckets;

fn counter_inc(c: &mut Criterion) {
    let (nyx, atomic, prometheus, metrics) = counters();
    let mut group = c.benchmark_group("counter/inc");
    group.bench_function("nyx", |b| b.iter(|| black_box(&nyx).inc()));
    group.bench_function("AtomicU64", |b| b.iter(|| black_box(&atomic).fetch_add(1, Ordering::Relaxed)));
    group.bench_function("prometheus-client", |b| b.iter(|| black_box(&prometheus).inc()));
    group.bench_function("metrics", |b| b.iter(|| black_box(&metrics).increment(1)));
    group.finish();
    black_box((nyx.get(), atomic.into_inner(), prometheus.get()));
}

fn counter_inc_2threads(c: &mut Criterion) {
    let (nyx, atomic, prometheus, metrics) = counters();
    let mut group = c.benchmark_group("counter/inc_2threads");
    let mut counted = 0;
    group.bench_function("nyx", |b| {
        b.iter_custom(|times| {
            counted += 2 * times;
            two_threads(times, |_| black_box(&nyx).inc())
        });
    });
    assert_eq!(nyx.get(), counted, "none is missed");
    group.bench_function("AtomicU64", |b| {
        b.iter_custom(|times| two_threads(times, |_| _ = black_box(&atomic).fetch_add(1, Ordering::Relaxed)));
    });
    group.bench_function("prometheus-client", |b| {
        b.iter_custom(|times| two_threads(times, |_| _ = black_box(&prometheus).inc()));
    });
    group.bench_function("metrics", |b| {
        b.iter_custom(|times| two_threads(times, |_| black_box(&metrics).increment(1)));
    });
    group.finish();
    black_box((nyx.get(), atomic.into_inner(), prometheus.get()));
}

type OtherCounter = prometheus_client::metrics::counter::Counter;
type OtherHistogram = prometheus_client::metrics::histogram::Histogram;

fn counters() -> (Counter, AtomicU64, OtherCounter, metrics::Counter) {
    let registry = OtherRegistry::new(AtomicStorage);
    let key = metrics::Key::from_static_name("events");
    let handle = registry.get_or_create_counter(&key, |counter| metrics::Counter::from_arc(counter.clone()));
    (Counter::new(), AtomicU64::new(0), OtherCounter::default(), handle)
}

fn histogram_record(c: &mut Criterion) {
    let values = values();
    let mut group = c.benchmark_group("histogram/record");
    let nyx = Histogram::new();
    group.bench_function("nyx", |b| each(b, &values, |value| black_box(&nyx).record(value)));
    let mut plain = local::Histogram::new();
    group.bench_function("nyx one owner", |b| each(b, &values, |value| black_box(&mut plain).record(value)));
    let prometheus = OtherHistogram::new(bounds());
    group.bench_function("prometheus-client", |b| {
        each(b, &values, |value| black_box(&prometheus).observe(value as f64));
    });
    let hdr = Mutex::new(hdr());
    group.bench_function("hdrhistogram mutex", |b| {
        each(b, &values, |value| record_hdr(black_box(&hdr), value))
    });
    let bucket = Arc::new(AtomicBucket::new());
    let metrics = metrics::Histogram::from_arc(bucket.clone());
    group.bench_function("metrics", |b| {
        b.iter_custom(|times| {
            let mut spent = Duration::ZERO;
            let mut left = times;
            // It keeps every value until somebody reads them: read them, without counting that time.
            while left > 0 {
                let round = left.min(VALUES as u64);
                let start = now();
                values
                    .iter()
                    .take(round as usize)
                    .for_each(|value| black_box(&metrics).record(*value as f64));
                spent += start.elapsed();
                bucket.clear();
                left -= round;
            }
            spent
        });
    });
    group.finish();
    black_box((nyx.count(), plain.total(), hdr.lock().len()));
}

fn histogram_record_2threads(c: &mut Criterion) {
    let values = values();
    let value = |turn: u64| values[turn as usize % VALUES];
    let mut group = c.benchmark_group("histogram/record_2threads");
    let nyx = Histogram::new();
    group.bench_function("nyx", |b| {
        b.iter_custom(|times| two_threads(times, |turn| black_box(&nyx).record(value(turn))));
    });
    let prometheus = OtherHistogram::new(bounds());
    group.bench_function("prometheus-client", |b| {
        b.iter_custom(|times| two_threads(times, |turn| black_box(&prometheus).observe(value(turn) as f64)));
    });
    let hdr = Mutex::new(hdr());
    group.bench_function("hdrhistogram mutex", |b| {
        b.iter_custom(|times| two_threads(times, |turn| record_hdr(black_box(&hdr), value(turn))));
    });
    let bucket = Arc::new(AtomicBucket::new());
    let metrics = metrics::Histogram::from_arc(bucket.clone());
    group.bench_function("metrics", |b| {
        b.iter_custom(|times| {
            let mut spent = Duration::ZERO;
            let mut left = times;
            while left > 0 {
                let round = left.min(1 << 20);
                spent += two_threads(round, |turn| black_box(&metrics).record(value(turn) as f64));
                bucket.clear();
                left -= round;
            }
            spent
        });
    });
    group.finish();
    black_box((nyx.count(), hdr.lock().len()));
}

/// A snapshot with p50 and p99 of each series; the others write their page, or look up two quantiles of each.
fn snapshot(c: &mut Criterion) {
    let values = values();
    let mut group = c.benchmark_group("snapshot/1000series");
    let registry = filled(&values);
    group.bench_function("nyx", |b| {
        let mut snapshot = Snapshot::default();
        b.iter(|| {
            registry.snapshot_into(nyx_core::Instant::ZERO, &mut snapshot);
            let mut quantiles = [0; 2];
            for sample in snapshot.iter() {
                let Value::Histogram(spread) = sample.value else { continue };
                let found = spread.quantiles([0.5, 0.99]).map(Option::unwrap_or_default);
                quantiles = [quantiles[0] ^ found[0], quantiles[1] ^ found[1]];
            }
            black_box(quantiles)
        });
    });
    group.bench_function("prometheus-client", |b| {
        let mut registry = prometheus_client::registry::Registry::default();
        let family = prometheus_client::metrics::family::Family::<[(&str, String); 1], OtherHistogram, _>::new_with_constructor(|| OtherHistogram::new(bounds()));
        registry.register("age", "Age at delivery", family.clone());
        for series in 0..SERIES {
            let histogram = family.get_or_create_owned(&[("topic", format!("topic/{series}"))]);
            values.iter().for_each(|value| histogram.observe(*value as f64));
        }
        let mut page = String::new();
        b.iter(|| {
            page.clear();
            prometheus_client::encoding::text::encode(&mut page, &registry).is_ok() && !black_box(&page).is_empty()
        });
    });
    group.bench_function("hdrhistogram mutex", |b| {
        let mut one = hdr();
        values.iter().for_each(|value| one.saturating_record(*value));
        let all: Vec<_> = (0..SERIES).map(|_| Mutex::new(one.clone())).collect();
        b.iter(|| {
            let mut quantiles = [0; 2];
            for histogram in black_box(&all) {
                let histogram = histogram.lock();
                quantiles[0] ^= histogram.value_at_quantile(0.5);
                quantiles[1] ^= histogram.value_at_quantile(0.99);
            }
            black_box(quantiles)
        });
    });
    group.finish();
}

fn filled(values: &[u64]) -> Registry {
    let registry = Registry::new();
    let metric = Metric::new("age", "Age at delivery").with_unit(Unit::Micros);
    let Ok(family) = registry.family::<Histogram, 1>(metric, ["topic"], SERIES) else { return registry };
    for series in 0..SERIES {
        let histogram = family.get([&format!("topic/{series}")]);
        values.iter().for_each(|value| histogram.record(*value));
    }
    registry
}

const SERIES: usize = 1000;

/// Values of each series.
const VALUES: usize = 10_000;

/// Log-normal, as ages in microseconds are: a median of a millisecond, one in a hundred over ten.
fn values() -> Vec<u64> {
    let mut random = fastrand::Rng::with_seed(7);
    let normal = |random: &mut fastrand::Rng| {
        // Twelve uniform values have a variance of one (Irwin-Hall).
        (0..12).map(|_| random.f64()).sum::<f64>() - 6.0
    };
    (0..VALUES).map(|_| (1000.0 * normal(&mut random).exp()) as u64).collect()
}

/// Twenty powers of two, from 16 µs to 8 s.
fn bounds() -> impl Iterator<Item = f64> {
    exponential_buckets(16.0, 2.0, 20)
}

/// To one digit, which is sixteen steps from each power of two to the next, as ours has; up to an hour in microseconds.
fn hdr() -> hdrhistogram::Histogram<u64> {
    match hdrhistogram::Histogram::new_with_bounds(1, 3_600_000_000, 1) {
        Ok(histogram) => histogram,
        Err(error) => unreachable!("these bounds are allowed: {error}"),
    }
}

fn record_hdr(histogram: &Mutex<hdrhistogram::Histogram<u64>>, value: u64) {
    histogram.lock().saturating_record(value);
}

/// Times `record` with one value after the other.
fn each(b: &mut criterion::Bencher<'_>, values: &[u64], mut record: impl FnMut(u64)) {
    b.iter_custom(|times| {
        let start = now();
        let mut left = times as usize;
        while left > 0 {
            let round = left.min(VALUES);
            values[..round].iter().for_each(|value| record(*value));
            left -= round;
        }
        start.elapsed()
    });
}

/// The time that two threads take that each do `work` so many times, from when both are ready to when both are done.
fn two_threads(times: u64, work: impl Fn(u64) + Sync) -> Duration {
    let barrier = Barrier::new(3);
    std::thread::scope(|scope| {
        let threads = [0, 1].map(|_| {
            scope.spawn(|| {
                barrier.wait();
                (0..times).for_each(&work);
            })
        });
        barrier.wait();
        let start = now();
        threads.into_iter().for_each(|thread| _ = thread.join());
        start.elapsed()
    })
}

#[expect(clippy::disallowed_methods, reason = "this is what measures")]
fn now() -> Instant {
    Instant::now()
}

criterion_group!(
    benches,
    counter_inc,
    counter_inc_2threads,
    histogram_record,
    histogram_record_2threads,
    snapshot
);
criterion_main!(benches);
