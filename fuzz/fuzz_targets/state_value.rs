//! Any bytes are a value or an error; and a value's own encoding reads as the same value and is no longer.

#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use nyx_protocol::state::{Limits, Value};

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits::default();
    let Ok(value) = Value::decode(bytes, &limits) else { return };
    let mut again = BytesMut::new();
    value.encode(&mut again);
    assert!(again.len() <= bytes.len(), "ours is the shortest encoding");
    assert_eq!(Value::decode(&again, &limits), Ok(value));
});
