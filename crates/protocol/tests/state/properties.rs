//! Properties over random edits.

use bytes::BytesMut;
use nyx_protocol::state::{Document, Encoded, Limits, Patch, Value};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::edits::{edit, value};
use super::{authority, edited, follow, inside, receiver, snapshot};

proptest! {
    #[test]
    fn any_receiver_gets_from_any_version_to_the_latest(
        edits in vec((edit(), 0..8_u8), 1..60),
    ) {
        let mut document = authority();
        let mut value = Value::map::<&str, Value>([]);
        // One that follows each version, two that hop, one that hangs on one of them, one that comes late.
        let [mut each, mut hops, mut rarely, mut second, mut late] = [(); 5].map(|()| receiver());
        for (edit, turn) in &edits {
            let patch = edit.patch(&value);
            let next = patch.apply_to(value.clone()).unwrap();
            let version = document.version();
            let changed = document.patch(&inside(patch.clone())).unwrap();
            prop_assert!(changed || next == value);
            if matches!(patch, Patch::Set(_)) {
                prop_assert_eq!(changed, next != value);
            }
            prop_assert_eq!(document.version(), version + u64::from(changed));
            prop_assert_eq!(edited(&document), next.clone());
            prop_assert!(document.weight() <= snapshot(&document).len());
            value = next;
            follow(&mut each, &document);
            if turn % 3 == 0 {
                follow(&mut hops, &document);
            }
            if turn % 7 == 0 {
                follow(&mut rarely, &document);
            }
            if turn % 5 == 0 {
                follow(&mut second, &hops);
            }
        }
        for receiver in [&mut hops, &mut rarely, &mut late, &mut second] {
            follow(receiver, &document);
        }
    }

    #[test]
    fn a_difference_leads_from_one_value_to_the_other(old in value(), new in value()) {
        match Patch::diff(&old, &new) {
            Some(patch) => prop_assert_eq!(patch.apply_to(old).unwrap(), new),
            None => prop_assert_eq!(old, new),
        }
    }

    #[test]
    fn a_document_patched_by_differences_follows_the_value(values in vec(value(), 1..12)) {
        let mut document = authority();
        for value in &values {
            if let Some(patch) = Patch::diff(&edited(&document), value) {
                prop_assert!(document.patch(&inside(patch)).unwrap());
            }
            prop_assert_eq!(&edited(&document), value);
            prop_assert_eq!(document.renewed(8).value(), document.value());
        }
    }

    #[test]
    fn values_and_patches_round_trip(value in value(), old in value(), edit in edit()) {
        let mut out = BytesMut::new();
        value.encode(&mut out);
        prop_assert_eq!(Value::decode(&out, &Limits::default()), Ok(value.clone()));
        for patch in [Some(edit.patch(&value)), Patch::diff(&old, &value)].into_iter().flatten() {
            out.clear();
            patch.encode(&mut out);
            prop_assert_eq!(Patch::decode(&out, &Limits::default()), Ok(patch));
        }
    }

    #[test]
    fn damaged_deltas_are_refused_whole_or_applied_whole(
        edits in vec(edit(), 1..20),
        split in any::<Index>(),
        damage in vec((any::<Index>(), any::<u8>()), 1..4),
        cut in any::<Index>(),
        base_only in any::<bool>(),
    ) {
        let mut document = authority();
        let mut receiver = receiver();
        let split = split.index(edits.len());
        for (i, edit) in edits.iter().enumerate() {
            if i == split {
                follow(&mut receiver, &document);
            }
            document.patch(&inside(edit.patch(&edited(&document)))).unwrap();
        }
        let mut payload = BytesMut::new();
        let encoded = document.delta_since(receiver.version(), &mut payload);
        prop_assume!(encoded != Encoded::Nothing);
        let is_snapshot = encoded == Encoded::Snapshot;

        let mut damaged = payload.to_vec();
        // Behind the epoch, where damage gets further than the first check.
        let start = if base_only { 8 } else { 0 };
        for (index, byte) in &damage {
            let at = start + index.index(damaged.len() - start);
            damaged[at] ^= byte;
        }
        let shortened = &payload[..cut.index(payload.len())];
        for bytes in [&damaged[..], shortened] {
            let mut victim = receiver.clone();
            match victim.apply(bytes, is_snapshot) {
                Ok(()) => {
                    // Odd content, but a sound document: it serves others and takes patches.
                    let mut other = Document::new(0, Limits::default());
                    other.apply(&snapshot(&victim), true).unwrap();
                    follow(&mut other, &victim);
                    victim.patch(&Patch::merge(Value::map([("new", 1)]))).unwrap();
                    follow(&mut other, &victim);
                }
                Err(_) => {
                    prop_assert_eq!(victim.version(), receiver.version());
                    prop_assert_eq!(victim.weight(), receiver.weight());
                    prop_assert_eq!(snapshot(&victim), snapshot(&receiver));
                    victim.apply(&payload, is_snapshot).unwrap();
                    follow(&mut victim, &document);
                }
            }
        }
    }

    #[test]
    fn no_bytes_panic(bytes in vec(any::<u8>(), 0..200), small in vec(0..10_u8, 0..60)) {
        for bytes in [&bytes[..], &small] {
            let _ = Value::decode(bytes, &Limits::default());
            if let Ok(patch) = Patch::decode(bytes, &Limits::default()) {
                let _ = authority().patch(&patch);
            }
            // Behind the epoch and the base of a delta, and the epoch of a snapshot.
            let _ = receiver().apply(&[&[0; 5][..], bytes].concat(), false);
            let _ = receiver().apply(&[&[0; 8][..], bytes].concat(), true);
        }
    }

    #[test]
    fn a_patch_that_fails_changes_nothing(edits in vec(edit(), 1..20), last in edit(), shrink in 0..4_usize) {
        let mut document = authority();
        for edit in &edits {
            document.patch(&inside(edit.patch(&edited(&document)))).unwrap();
        }
        let mut limits = Limits::default();
        match shrink {
            0 => limits.bytes = document.weight().max(8),
            1 => limits.nodes = 20,
            2 => limits.depth = 3,
            _ => limits.keys = 6,
        }
        let mut tight = Document::new(7, limits);
        let Ok(_) = tight.patch(&Patch::Set(document.value())) else {
            prop_assert_eq!(snapshot(&tight), snapshot(&Document::new(7, Limits::default())));
            return Ok(());
        };
        let mut receiver = receiver();
        follow(&mut receiver, &tight);
        let before = snapshot(&tight);
        let infinite = Patch::Map([("zz".into(), Patch::Set(Value::F64(f64::INFINITY)))].into());
        prop_assert!(tight.patch(&infinite).is_err());
        prop_assert_eq!(&snapshot(&tight), &before);
        let patch = inside(last.patch(&edited(&tight)));
        if tight.patch(&patch).is_err() {
            prop_assert_eq!(&snapshot(&tight), &before);
        }
        follow(&mut receiver, &tight);
        tight.patch(&Patch::Set(Value::Null)).unwrap();
        follow(&mut receiver, &tight);
    }
}
