//! Any payload is a control message, one to ignore, or an error; and what was read can be written and read again.

#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use nyx_protocol::control;
use nyx_protocol::wire::{self, Header, Scan};

fuzz_target!(|payload: &[u8]| {
    let mut message = Vec::new();
    wire::put_message(&mut message, Header::CONTROL, payload);
    let Ok(Some(body)) = control::parse(&message) else { return };

    let mut again = BytesMut::new();
    control::put(&mut again, body.clone());
    assert_eq!(wire::scan(&again, 0), Ok(Scan::Control { len: again.len() }));
    assert_eq!(control::parse(&again), Ok(Some(body)));
});
