//! A document of 20 KB in which 3% changed: a delta beside the whole document as JSON.

use std::hint::black_box;

use bytes::BytesMut;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use nyx_protocol::state::{Document, Limits, Patch, Value};
use serde_json::json;

fn state(c: &mut Criterion) {
    let hub = Hub::new();
    let (old, new) = (json_world(0), json_world(1));
    let text = serde_json::to_vec(&new).unwrap_or_default();
    eprintln!(
        "{} bytes as JSON, {} as snapshot, {} as delta",
        text.len(),
        hub.snapshot.len(),
        hub.delta.len()
    );
    assert!(old != new && hub.delta.len() * 10 < text.len());

    let mut group = c.benchmark_group("state");
    group.bench_function("diff/20KB/3%", |b| {
        b.iter(|| Patch::diff(black_box(&hub.before), black_box(&hub.after)))
    });
    group.bench_function("delta/20KB/3%", |b| {
        let mut out = BytesMut::new();
        b.iter(|| {
            out.clear();
            hub.document.delta_since(black_box(hub.base), &mut out)
        });
    });
    group.bench_function("apply/20KB/3%", |b| {
        let apply = |mut receiver: Document| {
            let applied = receiver.apply(black_box(&hub.delta), false);
            assert!(applied.is_ok());
            receiver
        };
        b.iter_batched(|| hub.receiver(), apply, BatchSize::SmallInput);
    });
    group.bench_function("serde_json encode/20KB", |b| b.iter(|| serde_json::to_vec(black_box(&new))));
    group.bench_function("serde_json parse/20KB", |b| {
        b.iter(|| serde_json::from_slice::<serde_json::Value>(black_box(&text)));
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
        let (before, after) = (world(0), world(1));
        let mut document = Document::new(7, Limits::default());
        patch(&mut document, &Patch::Set(before.clone()));
        let base = document.version();
        let mut snapshot = BytesMut::new();
        document.snapshot(&mut snapshot);
        patch(&mut document, &Patch::diff(&before, &after).unwrap_or(Patch::Set(Value::Null)));
        let mut delta = BytesMut::new();
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

fn world(tick: i64) -> Value {
    Value::map((0..ENTITIES).map(|id| {
        let (x, y) = position(id, tick);
        let entity = [
            ("name", Value::from(format!("entity-{id:04}"))),
            ("x", Value::F64(x)),
            ("y", Value::F64(y)),
            ("health", Value::I64(100 - id % 7)),
            ("team", Value::from(TEAMS[id as usize % TEAMS.len()])),
            ("moving", Value::Bool(moves(id))),
        ];
        (id.to_string(), Value::map(entity))
    }))
}

fn json_world(tick: i64) -> serde_json::Value {
    let entities = (0..ENTITIES).map(|id| {
        let (x, y) = position(id, tick);
        let entity = json!({
            "name": format!("entity-{id:04}"), "x": x, "y": y, "health": 100 - id % 7,
            "team": TEAMS[id as usize % TEAMS.len()], "moving": moves(id),
        });
        (id.to_string(), entity)
    });
    serde_json::Value::Object(entities.collect())
}

/// Where an entity is: some have moved on at each tick.
fn position(id: i64, tick: i64) -> (f64, f64) {
    let step = if moves(id) { tick as f64 / 16.0 } else { 0.0 };
    (id as f64 * 1.5 + step, id as f64 * -0.75 - step)
}

const fn moves(id: i64) -> bool {
    id % 33 == 0
}

const ENTITIES: i64 = 210;

const TEAMS: [&str; 3] = ["north", "south", "wanderers"];

criterion_group!(benches, state);
criterion_main!(benches);
