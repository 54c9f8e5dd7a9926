//! A document of 200 entities of which six change at a time.

use std::hint::black_box;

use bytes::BytesMut;
use nyx_protocol::state::{Document, Limits, Patch, Value};

pub(super) fn delta(calls: u64) {
    let mut document = document();
    let base = document.version();
    apply(&mut document, &step(1));
    let mut out = BytesMut::new();
    for _ in 0..calls {
        out.clear();
        document.delta_since(black_box(base), &mut out);
        black_box(&out);
    }
}

/// The way of a change through the hub to one subscriber.
pub(super) fn patch_delta_apply(calls: u64) {
    let mut document = document();
    let mut out = BytesMut::new();
    document.snapshot(&mut out);
    let mut replica = Document::new(0, Limits::default());
    assert!(replica.apply(&out, true).is_ok(), "a snapshot can be applied");
    let steps = [step(1), step(0)];
    for call in 0..calls {
        let base = document.version();
        apply(&mut document, &steps[(call % 2) as usize]);
        out.clear();
        document.delta_since(base, &mut out);
        assert!(black_box(replica.apply(&out, false)).is_ok(), "a delta can be applied");
    }
}

fn document() -> Document {
    let mut document = Document::new(7, Limits::default());
    apply(&mut document, &Patch::Set(world(0)));
    document
}

fn apply(document: &mut Document, patch: &Patch) {
    assert!(document.patch(patch).is_ok(), "a patch by path can be applied");
}

/// What changes from one tick to the next.
fn step(tick: i64) -> Patch {
    Patch::diff(&world(1 - tick), &world(tick)).expect("the ticks differ")
}

fn world(tick: i64) -> Value {
    Value::map((0..200).map(|id| {
        let moved = if id % 33 == 0 { tick as f64 } else { 0.0 };
        let entity = [
            ("name", Value::from(format!("entity-{id:04}"))),
            ("x", Value::F64(id as f64 * 1.5 + moved)),
            ("y", Value::F64(id as f64 * -0.75 - moved)),
            ("health", Value::I64(100 - id % 7)),
        ];
        (id.to_string(), Value::map(entity))
    }))
}
