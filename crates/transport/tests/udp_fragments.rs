//! Items over a path that loses, reorders and doubles, in virtual time.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use nyx_core::Instant;
use nyx_transport::udp::fragment::{
    Config, HEADER_BYTES, Header, HeaderError, Reassembler, Splitter, payload_max,
};
use proptest::prelude::*;

fn item(length: usize, salt: usize) -> Bytes {
    (0..length).map(|position| ((position * 31 + salt) % 251) as u8).collect()
}

fn at_millis(millis: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(millis)
}

fn config(change: impl FnOnce(&mut Config)) -> Config {
    let mut config = Config::default();
    change(&mut config);
    config
}

#[test]
fn an_item_that_is_not_whole_in_time_is_given_up_and_never_comes_back() {
    let mut splitter = Splitter::new(payload_max(1500, false));
    let fragments: Vec<_> = splitter.split(&item(5000, 0)).unwrap().collect();
    let mut reassembler = Reassembler::new(Config::default());
    for fragment in &fragments[1..] {
        assert_eq!(reassembler.handle(Instant::ZERO, fragment), Ok(None));
    }
    assert_eq!((reassembler.bytes(), reassembler.poll_timeout()), (5000, Some(at_millis(1000))));
    reassembler.handle_timeout(at_millis(1000));
    assert_eq!((reassembler.bytes(), reassembler.stats().expired), (0, 1));
    assert_eq!(reassembler.handle(at_millis(1001), &fragments[0]), Ok(None));
    assert_eq!((reassembler.bytes(), reassembler.stats().duplicates), (0, 1));
}

#[test]
fn memory_is_bounded_whatever_is_claimed() {
    let mut reassembler = Reassembler::new(config(|config| {
        config.bytes = 1_000_000;
        config.items = 8;
    }));
    for number in 0..1000 {
        let total = 100_000 * (number % 12);
        let header = Header { sequence: number, item: number, total, index: 0, count: 100 };
        let mut datagram = header.encode().to_vec();
        datagram.resize(HEADER_BYTES + header.piece(), 7);
        let _ = reassembler.handle(Instant::ZERO, &datagram);
        assert!(reassembler.bytes() <= 1_000_000);
    }
    let stats = reassembler.stats();
    assert!(stats.overrun > 0 && stats.too_large > 0 && stats.malformed > 0, "{stats:?}");
}

#[test]
fn what_is_no_fragment_is_refused_with_the_reason() {
    let mut reassembler = Reassembler::new(Config::default());
    let mut handle = |header: Header, bytes: usize| {
        let mut datagram = header.encode().to_vec();
        datagram.resize(HEADER_BYTES + bytes, 0);
        reassembler.handle(Instant::ZERO, &datagram)
    };
    let header = Header { sequence: 0, item: 0, total: 100, index: 0, count: 2 };
    assert_eq!(handle(Header { index: 2, ..header }, 50), Err(HeaderError::Index { index: 2, count: 2 }));
    assert_eq!(handle(Header { count: 0, ..header }, 50), Err(HeaderError::Index { index: 0, count: 0 }));
    assert_eq!(
        handle(Header { count: 101, ..header }, 1),
        Err(HeaderError::Count { total: 100, count: 101 })
    );
    assert_eq!(handle(header, 49), Err(HeaderError::Length { expected: 50, length: 49 }));
    assert_eq!(reassembler.handle(Instant::ZERO, b"short"), Err(HeaderError::Short));
}

#[test]
fn a_path_that_carries_less_gets_smaller_fragments() {
    let mut splitter = Splitter::new(payload_max(9000, true));
    assert_eq!(splitter.split(&item(8000, 0)).unwrap().len(), 1);
    splitter.set_payload_max(payload_max(1280, true));
    let fragments: Vec<_> = splitter.split(&item(8000, 0)).unwrap().collect();
    assert!(fragments.len() == 7 && fragments.iter().all(|fragment| fragment.len() <= 1232));
}

proptest! {
    #[test]
    fn what_is_whole_is_what_was_sent(
        lengths in prop::collection::vec(0usize..20_000, 1..12),
        mtu in 576usize..9000,
        fates in prop::collection::vec((0u8..10, 0usize..50), 1..50),
    ) {
        let mut splitter = Splitter::new(payload_max(mtu, false));
        let items: Vec<_> = lengths.iter().enumerate().map(|(salt, &length)| item(length, salt)).collect();
        let mut lost = HashMap::new();
        let mut sent = Vec::new();
        let mut number = 0;
        for (place, item) in items.iter().enumerate() {
            for fragment in splitter.split(item).unwrap() {
                prop_assert!(fragment.len() <= payload_max(mtu, false));
                let (fate, later) = fates[number % fates.len()];
                number += 1;
                match fate {
                    0 => *lost.entry(place as u32).or_insert(0) += 1,
                    1 => sent.extend([(number + later, fragment.clone()), (number, fragment)]),
                    _ => sent.push((number + later, fragment)),
                }
            }
        }
        sent.sort_by_key(|(place, _)| *place);
        let mut reassembler = Reassembler::new(Config::default());
        let mut whole = HashMap::new();
        for (_, fragment) in &sent {
            if let Some(item) = reassembler.handle(Instant::ZERO, fragment).unwrap() {
                prop_assert!(whole.insert(item.number, item.bytes).is_none(), "twice");
            }
        }
        for (place, item) in items.iter().enumerate() {
            let expected = (!lost.contains_key(&(place as u32))).then_some(item);
            prop_assert_eq!(whole.get(&(place as u32)), expected);
        }
        reassembler.handle_timeout(at_millis(10_000));
        prop_assert_eq!(reassembler.bytes(), 0);
        prop_assert_eq!(reassembler.stats().items + reassembler.stats().expired <= items.len() as u64, true);
    }

    #[test]
    fn arbitrary_datagrams_never_panic(datagrams in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..40)) {
        let mut reassembler = Reassembler::new(config(|config| config.bytes = 1 << 16));
        for datagram in datagrams {
            let _ = reassembler.handle(Instant::ZERO, &datagram);
            prop_assert!(reassembler.bytes() <= 1 << 16);
        }
    }
}
