//! Arbitrary datagrams in any order: nothing panics, memory stays bounded, and what becomes whole has the size that it claimed.

#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use nyx_core::Instant;
use nyx_fuzz::steps;
use nyx_transport::udp::fragment::{Config, Header, Reassembler};

const BYTES: usize = 1 << 16;

fuzz_target!(|input: &[u8]| {
    let mut config = Config::default();
    config.bytes = BYTES;
    config.items = 8;
    let mut reassembler = Reassembler::new(config);
    let mut now = Instant::ZERO;
    for (step, datagram) in steps(input) {
        now = now + Duration::from_millis(u64::from(step));
        if let Ok(Some(item)) = reassembler.handle(now, datagram) {
            let (header, _) = Header::decode(datagram).expect("it was taken");
            assert_eq!((item.number, item.bytes.len()), (header.item, header.total as usize));
        }
        reassembler.handle_timeout(now);
        assert!(reassembler.bytes() <= BYTES);
        assert!(reassembler.poll_timeout().is_none_or(|at| at > now));
    }
    reassembler.handle_timeout(now + Duration::from_secs(10));
    assert_eq!((reassembler.bytes(), reassembler.poll_timeout()), (0, None));
});
