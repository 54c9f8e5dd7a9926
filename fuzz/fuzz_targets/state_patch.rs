//! Any bytes are patches or errors. A document takes a patch as a plain value does, or not at all.

#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use nyx_protocol::state::{Document, Limits, Patch};

fuzz_target!(|input: &[u8]| {
    let mut limits = Limits::default();
    (limits.bytes, limits.depth, limits.keys, limits.nodes) = (2_000, 6, 30, 200);
    let mut document = Document::new(1, limits.clone());
    for (_, bytes) in nyx_fuzz::steps(input) {
        let Ok(patch) = Patch::decode(bytes, &limits) else { continue };
        check_encoding(&patch, bytes, &limits);
        check_patch(&patch, &mut document);
    }
});

fn check_encoding(patch: &Patch, bytes: &[u8], limits: &Limits) {
    let mut again = BytesMut::new();
    patch.encode(&mut again);
    assert!(again.len() <= bytes.len(), "ours is the shortest encoding");
    assert_eq!(Patch::decode(&again, limits).as_ref(), Ok(patch));
}

fn check_patch(patch: &Patch, document: &mut Document) {
    let (before, version) = (document.value(), document.version());
    match document.patch(patch) {
        Ok(changed) => {
            let expected = patch.apply_to(before.clone()).expect("a plain value takes what a document takes");
            assert_eq!(document.value(), expected);
            assert_eq!(document.version(), version + u64::from(changed));
            assert!(changed || expected == before);
        }
        Err(_) => assert_eq!((document.value(), document.version()), (before, version)),
    }
}
