//! The worked example of `docs/STATE.md`, byte for byte.

use bytes::BytesMut;
use nyx_protocol::state::{Document, Encoded, Limits, Patch, Value};

/// The bytes in the page's block of this name: hexadecimal, with comments after `#`.
fn block(name: &str) -> Vec<u8> {
    let page = include_str!("../../../docs/STATE.md");
    let lines = page.lines().skip_while(|line| line.trim() != format!("```hex {name}")).skip(1);
    let lines = lines.take_while(|line| line.trim() != "```").map(|line| line.split('#').next().unwrap());
    let hex = lines.flat_map(str::split_whitespace);
    hex.map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

fn scene(order: [(&str, f64); 2]) -> Value {
    let player = |(id, x): (&str, f64)| Value::map([("id", Value::from(id)), ("x", Value::F64(x))]);
    let notice = Value::from("the gate opens at noon");
    Value::map([("notice", notice), ("players", Value::list(order.map(player)))])
}

fn delta(document: &Document, base: u64) -> BytesMut {
    let mut out = BytesMut::new();
    assert_eq!(document.delta_since(base, &mut out), Encoded::Delta);
    out
}

#[test]
fn the_example_of_the_page_is_what_happens() {
    let mut hub = Document::new(0x0123_4567_89AB_CDEF, Limits::default());
    let [mut fast, mut slow, mut lost] = [(); 3].map(|()| Document::new(0, Limits::default()));

    // Version 1.
    let first = scene([("ada", 1.5), ("bob", 4.0)]);
    hub.patch(&Patch::Set(first.clone())).unwrap();
    let mut snapshot = BytesMut::new();
    hub.snapshot(&mut snapshot);
    assert_eq!(snapshot, block("snapshot"), "{snapshot:02x?}");
    for receiver in [&mut fast, &mut slow, &mut lost] {
        receiver.apply(&snapshot, true).unwrap();
    }

    // Version 2: ada walks.
    let second = scene([("ada", 1.75), ("bob", 4.0)]);
    let patch = Patch::diff(&first, &second).unwrap();
    let mut message = BytesMut::new();
    patch.encode(&mut message);
    assert_eq!(message, block("patch"), "{message:02x?}");
    hub.patch(&patch).unwrap();
    let to_second = delta(&hub, 1);
    assert_eq!(to_second, block("delta 1 to 2"), "{to_second:02x?}");
    fast.apply(&to_second, false).unwrap();
    lost.apply(&to_second, false).unwrap();

    // Version 3: bob walks to the front.
    let third = scene([("bob", 4.25), ("ada", 1.75)]);
    hub.patch(&Patch::diff(&second, &third).unwrap()).unwrap();
    let to_third = delta(&hub, 2);
    assert_eq!(to_third, block("delta 2 to 3"), "{to_third:02x?}");
    fast.apply(&to_third, false).unwrap();

    // The slow one has had no room since version 1, and gets one delta for both.
    let both = delta(&hub, slow.version());
    assert_eq!(both, block("delta 1 to 3"), "{both:02x?}");
    slow.apply(&both, false).unwrap();

    // The one that was cut off after version 2 says so when it is back.
    lost.apply(&delta(&hub, lost.version()), false).unwrap();
    for receiver in [fast, slow, lost] {
        assert_eq!((receiver.version(), receiver.value()), (3, third.clone()));
    }
}
