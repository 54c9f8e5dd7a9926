//! Receivers that look in when they like end up with what the authority has, at first and at second hand; and a damaged
//! delta changes a receiver wholly or not at all.

#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use nyx_protocol::state::{Document, Encoded, Limits, Patch};

fuzz_target!(|input: &[u8]| {
    let mut limits = Limits::default();
    (limits.bytes, limits.depth, limits.keys, limits.nodes) = (2_000, 6, 30, 200);
    let mut authority = Document::new(1, limits.clone());
    let mut receiver = Document::new(0, limits.clone());
    let mut second = Document::new(0, limits.clone());
    for (step, bytes) in nyx_fuzz::steps(input) {
        match step % 8 {
            0 => follow(&authority, &mut receiver),
            1 => follow(&receiver, &mut second),
            2 => check_damaged(&authority, &receiver, bytes),
            3 => check_foreign(&receiver, bytes),
            _ => {
                if let Ok(patch) = Patch::decode(bytes, &limits) {
                    // A patch that is refused is the other target's subject.
                    let _ = authority.patch(&patch);
                }
            }
        }
    }
    follow(&authority, &mut receiver);
    follow(&receiver, &mut second);
});

/// What brings `to` up to `from`, and whether it is a snapshot; `None` if it is there.
fn lead(from: &Document, to: &Document) -> Option<(BytesMut, bool)> {
    let mut payload = BytesMut::new();
    if from.epoch() != to.epoch() {
        from.snapshot(&mut payload);
        return Some((payload, true));
    }
    match from.delta_since(to.version(), &mut payload) {
        Encoded::Nothing => None,
        Encoded::Delta => Some((payload, false)),
        Encoded::Snapshot => Some((payload, true)),
    }
}

fn follow(from: &Document, to: &mut Document) {
    if let Some((payload, is_snapshot)) = lead(from, to) {
        to.apply(&payload, is_snapshot).expect("one takes what the other says");
    }
    assert_eq!(to.value(), from.value());
    assert_eq!((to.epoch(), to.version()), (from.epoch(), from.version()));
}

/// Applies a good payload of which some bytes were overwritten.
fn check_damaged(from: &Document, to: &Document, bytes: &[u8]) {
    let (Some((mut payload, is_snapshot)), [at, damage @ ..]) = (lead(from, to), bytes) else { return };
    let at = usize::from(*at).min(payload.len());
    let len = damage.len().min(payload.len() - at);
    payload[at..at + len].copy_from_slice(&damage[..len]);
    check_atomic(to, &payload, is_snapshot);
}

/// Applies bytes that nobody's document wrote.
fn check_foreign(to: &Document, payload: &[u8]) {
    check_atomic(to, payload, false);
    check_atomic(to, payload, true);
}

fn check_atomic(before: &Document, payload: &[u8], is_snapshot: bool) {
    let mut after = before.clone();
    if after.apply(payload, is_snapshot).is_err() {
        assert_eq!(after.value(), before.value());
        assert_eq!((after.epoch(), after.version()), (before.epoch(), before.version()));
        return;
    }
    // Whatever it took, it is a document that can be passed on.
    let mut other = Document::new(!after.epoch(), Limits::default());
    follow(&after, &mut other);
}
