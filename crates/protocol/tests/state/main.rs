//! What the state document promises, for any sequence of edits and any receiver.

mod bounds;
mod edits;
mod properties;
mod rows;
mod tables;

use bytes::BytesMut;
use nyx_protocol::state::{Document, Encoded, Limits, Patch, Value};

/// A document whose `doc` is edited. The ballast beside it makes snapshots dearer than deltas.
fn authority() -> Document {
    let mut document = Document::new(7, Limits::default());
    let start = Value::map([("ballast", Value::from("-".repeat(2000))), ("doc", Value::Map([].into()))]);
    document.patch(&Patch::Set(start)).unwrap();
    document
}

fn edited(document: &Document) -> Value {
    document.get(&["doc"]).map_or(Value::Null, |view| view.value())
}

fn inside(patch: Patch) -> Patch {
    Patch::Map([("doc".into(), patch)].into())
}

fn receiver() -> Document {
    Document::new(0, Limits::default())
}

fn snapshot(document: &Document) -> BytesMut {
    let mut out = BytesMut::new();
    document.snapshot(&mut out);
    out
}

/// Brings a receiver up to date as a hub does.
fn follow(receiver: &mut Document, authority: &Document) {
    let mut out = BytesMut::new();
    let known = receiver.epoch() == authority.epoch();
    let encoded = if known {
        authority.delta_since(receiver.version(), &mut out)
    } else {
        authority.snapshot(&mut out);
        Encoded::Snapshot
    };
    if encoded != Encoded::Nothing {
        receiver.apply(&out, encoded == Encoded::Snapshot).unwrap();
    }
    assert_eq!(receiver.value(), authority.value());
    assert_eq!(receiver.version(), authority.version());
    assert_eq!(snapshot(receiver), snapshot(authority), "and in the same bytes");
}
