//! A document of 20 KB of which 3 % change, beside the whole document as JSON.

use std::hint::black_box;

use bytes::BytesMut;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use nyx_benches::traces::{Trace as _, world::World};
use nyx_protocol::state::{Cache, Document, Limits, Patch, Value};

fn state(c: &mut Criterion) {
    let hub = Hub::new();
    let text = serde_json::to_vec(&hub.after).unwrap_or_default();
    eprintln!(
        "{} bytes as JSON, {} as snapshot, {} as delta",
        text.len(),
        hub.snapshot.len(),
        hub.delta.len()
    );
    assert!(hub.delta.len() * 33 < text.len());

    let mut group = c.benchmark_group("state/delta_20KB_3pct");
    group.bench_function("nyx", |b| {
        let mut out = BytesMut::new();
        b.iter(|| {
            out.clear();
            hub.document.delta_since(black_box(hub.base), &mut out)
        });
    });
    group.bench_function("serde_json full", |b| b.iter(|| serde_json::to_vec(black_box(&hub.after))));
    group.finish();

    let mut group = c.benchmark_group("state/delta_cached");
    group.bench_function("nyx", |b| {
        let mut cache = Cache::default();
        b.iter(|| cache.delta_since(black_box(&hub.document), black_box(hub.base)));
    });
    group.finish();

    let mut group = c.benchmark_group("state/apply");
    group.bench_function("nyx", |b| {
        let apply = |mut receiver: Document| {
            let applied = receiver.apply(black_box(&hub.delta), false);
            assert!(applied.is_ok());
            receiver
        };
        b.iter_batched(|| hub.receiver(), apply, BatchSize::SmallInput);
    });
    group.bench_function("serde_json full", |b| {
        b.iter(|| serde_json::from_slice::<serde_json::Value>(black_box(&text)));
    });
    group.finish();

    let mut group = c.benchmark_group("state/diff_20KB_3pct");
    group.bench_function("nyx", |b| b.iter(|| Patch::diff(black_box(&hub.before), black_box(&hub.after))));
    let json = [&hub.before, &hub.after].map(|value| serde_json::to_value(value).unwrap_or_default());
    group.bench_function("json-patch", |b| {
        b.iter(|| json_patch::diff(black_box(&json[0]), black_box(&json[1])))
    });
    group.finish();
}

/// A document with one change, and what its receivers are sent.
struct Hub {
    before: Value,
    after: Value,
    document: Document,
    base: u64,
    snapshot: BytesMut,
    delta: BytesMut,
}

impl Hub {
    fn new() -> Self {
        let mut world = World::new(1);
        let mut document = Document::new(7, Limits::default());
        patch(&mut document, &Patch::Set(world.value()));
        // The leaves' past is filled, as in a document that has been going on for a while.
        for _ in 0..100 {
            world.tick();
            patch(&mut document, &Patch::Set(world.value()));
        }
        let (before, base) = (world.value(), document.version());
        let (mut snapshot, mut delta) = (BytesMut::new(), BytesMut::new());
        document.snapshot(&mut snapshot);
        world.tick();
        let after = world.value();
        patch(&mut document, &Patch::diff(&before, &after).unwrap_or(Patch::Set(Value::Null)));
        document.delta_since(base, &mut delta);
        Self { before, after, document, base, snapshot, delta }
    }

    /// A receiver that holds what was before the change.
    fn receiver(&self) -> Document {
        let mut receiver = Document::new(0, Limits::default());
        let applied = receiver.apply(&self.snapshot, true);
        assert!(applied.is_ok());
        receiver
    }
}

fn patch(document: &mut Document, patch: &Patch) {
    let patched = document.patch(patch);
    assert!(patched.is_ok());
}

criterion_group!(benches, state);
criterion_main!(benches);
