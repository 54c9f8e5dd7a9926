//! What is counted where things happen, and what reading costs.

use std::hint::black_box;

use nyx_core::Instant;
use nyx_stream::metrics::{Counter, Histogram, Metric, Registry, Value};

pub(super) fn inc(calls: u64) {
    let counter = Counter::new();
    for _ in 0..calls {
        black_box(&counter).inc();
    }
    assert_eq!(counter.get(), calls);
}

pub(super) fn record(calls: u64) {
    let histogram = Histogram::new();
    for call in 0..calls {
        black_box(&histogram).record(black_box(call % 100_000));
    }
    assert_eq!(histogram.count(), calls);
}

/// A snapshot of histograms, and two quantiles of each.
pub(super) fn snapshot(calls: u64) {
    let registry = Registry::new();
    for series in 0..SERIES {
        let metric = Metric::new("age", "").with_label("series", series.to_string());
        let histogram = registry.histogram(metric).expect("no series is there twice");
        (0..1_000).for_each(|value| histogram.record(value * series));
    }
    let mut snapshot = registry.snapshot(Instant::ZERO);
    for _ in 0..calls {
        registry.snapshot_into(black_box(Instant::ZERO), &mut snapshot);
        for sample in snapshot.iter() {
            if let Value::Histogram(distribution) = sample.value {
                black_box(distribution.quantiles([0.5, 0.99]));
            }
        }
    }
}

pub(super) const SERIES: u64 = 50;
