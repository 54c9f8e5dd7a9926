//! The pool as its users see it.
#![cfg(not(loom))]

use std::cell::RefCell;
use std::thread;

use bytes::{BufMut, Bytes};
use nyx_core::pool::{Buffer, Config, Full, GetError, LINE, Pool};

#[test]
fn a_reused_buffer_is_empty_and_never_shows_what_was_there() {
    let pool = Pool::default();
    let mut buffer = pool.get(100).unwrap();
    buffer.put_bytes(0xA5, 128);
    let address = buffer.as_ptr();
    drop(buffer);

    let mut again = pool.get(65).unwrap();
    assert_eq!((again.as_ptr(), again.len(), again.capacity()), (address, 0, 128));
    assert_eq!(&again[..], b"");
    // The room behind is `MaybeUninit`: safe code can write it, and can't read it.
    assert_eq!(again.spare_capacity_mut().len(), 128);
    again.extend_from_slice(b"new").unwrap();
    assert_eq!(&again[..], b"new");
    again.truncate(9);
    assert_eq!(again.len(), 3);
    again.clear();
    again.put_u8(1);
    assert_eq!(&again.freeze()[..], [1]);
}

#[test]
fn data_begins_on_a_cache_line_in_every_class() {
    let pool = Pool::default();
    let mut held = Vec::new();
    for bytes in [1, 64, 65, 500, 4096, 65_536, 65_537, 1_000_000] {
        for _ in 0..3 {
            let mut buffer = pool.get(bytes).unwrap();
            assert_eq!(buffer.spare_capacity_mut().as_ptr().addr() % LINE, 0);
            assert!(buffer.capacity() >= bytes && buffer.capacity() < (2 * bytes).max(65));
            held.push(buffer);
        }
    }
}

#[test]
fn no_bytes_cost_no_memory() {
    let pool = Pool::default();
    let mut buffer = pool.get(0).unwrap();
    assert_eq!((buffer.capacity(), buffer.remaining_mut()), (0, 0));
    assert_eq!(buffer.extend_from_slice(b"x"), Err(Full { offered: 1, room: 0 }));
    assert_eq!(buffer.extend_from_slice(b""), Ok(()));
    buffer.iter_mut().for_each(|byte| *byte = 1);
    assert!(buffer.freeze().is_empty());
    assert!(pool.copy_from_slice(b"").is_empty());
    let stats = pool.stats();
    assert_eq!((stats.misses(), stats.hits(), stats.returned()), (0, 0, 0));
}

#[test]
fn what_does_not_fit_is_refused_whole() {
    let pool = Pool::default();
    let mut buffer = pool.get(64).unwrap();
    buffer.extend_from_slice(&[1; 60]).unwrap();
    assert_eq!(buffer.extend_from_slice(&[2; 5]), Err(Full { offered: 5, room: 4 }));
    assert_eq!(&buffer[..], [1; 60]);
    buffer[59] = 3;
    buffer.extend_from_slice(&[2; 4]).unwrap();
    assert_eq!((buffer.len(), buffer[59], buffer[63]), (64, 3, 2));
}

#[test]
fn a_request_beyond_the_classes_is_a_miss_and_is_freed() {
    let pool = Pool::default();
    for round in 1..=2 {
        let mut buffer = pool.get(100_000).unwrap();
        buffer.put_bytes(7, 100_000);
        assert_eq!(pool.stats().oversize.outstanding, 1);
        drop(buffer.freeze());
        let oversize = pool.stats().oversize;
        assert_eq!((oversize.misses, oversize.hits, oversize.returned), (round, 0, round));
        assert_eq!((oversize.outstanding, oversize.retained_bytes), (0, 0));
    }
}

#[test]
fn a_request_beyond_the_limit_is_refused() {
    let pool = Pool::default();
    let max = Config::default().request_bytes_max;
    for requested in [max + 1, isize::MAX as usize, usize::MAX] {
        assert_eq!(pool.get(requested).unwrap_err(), GetError::TooLarge { requested, max });
    }
    assert_eq!(pool.stats().misses(), 0);
}

#[test]
fn memory_that_can_not_be_had_is_an_error() {
    let mut config = Config::default();
    config.request_bytes_max = usize::MAX;
    let pool = Pool::new(config).unwrap();
    for requested in [isize::MAX as usize, usize::MAX - 10, usize::MAX] {
        assert_eq!(pool.get(requested).unwrap_err(), GetError::OutOfMemory { requested });
    }
    assert_eq!(pool.stats().outstanding(), 0);
}

#[test]
fn frozen_bytes_come_back_from_another_thread_when_the_last_part_goes() {
    let pool = Pool::default();
    let mut buffer = pool.get(4096).unwrap();
    buffer.put_bytes(9, 4096);
    let bytes = buffer.freeze();
    let part = bytes.slice(4000..);
    thread::spawn(move || drop(bytes)).join().unwrap();
    assert_eq!(pool.stats().outstanding(), 1);
    thread::spawn(move || assert_eq!(&part[..], [9; 96])).join().unwrap();

    let stats = pool.stats();
    assert_eq!((stats.outstanding(), stats.returned(), stats.retained_bytes()), (0, 1, 4096 + 64));
    drop(pool.get(4096).unwrap());
    assert_eq!(pool.stats().hits(), 1);
}

#[test]
fn small_contents_are_copied_out_and_the_memory_returns_at_once() {
    let pool = Pool::default();
    for (bytes, outstanding) in [(Buffer::FREEZE_COPY_MAX, 0), (Buffer::FREEZE_COPY_MAX + 1, 1)] {
        let mut buffer = pool.get(bytes).unwrap();
        buffer.put_bytes(3, bytes);
        let frozen = buffer.freeze();
        assert_eq!(pool.stats().outstanding(), outstanding);
        let copied = pool.copy_from_slice(&frozen);
        assert_eq!(pool.stats().outstanding(), 2 * outstanding);
        assert_eq!(copied, frozen);
    }
}

#[test]
fn what_the_pool_refuses_is_copied_all_the_same() {
    let mut config = Config::default();
    (config.largest_bytes, config.request_bytes_max) = (1024, 1024);
    let pool = Pool::new(config).unwrap();
    assert_eq!(pool.copy_from_slice(&[5; 2000]), Bytes::from(vec![5; 2000]));
    assert_eq!(pool.stats().misses(), 0);
}

#[test]
fn the_cost_of_a_copy_is_told_for_any_length() {
    let pool = Pool::default();
    let max = Config::default().request_bytes_max;
    for (bytes, cost) in
        [(0, 0), (257, 512 + LINE), (65_537, 65_600 + LINE), (max, max + LINE), (max + 1, max + 1)]
    {
        assert_eq!(pool.copy_cost(bytes), cost, "{bytes}");
    }
    assert_eq!(pool.copy_cost(usize::MAX), usize::MAX);

    let mut config = Config::default();
    config.request_bytes_max = usize::MAX;
    let unlimited = Pool::new(config).unwrap();
    for bytes in [usize::MAX - LINE, usize::MAX - 1, usize::MAX] {
        assert_eq!(unlimited.copy_cost(bytes), usize::MAX, "{bytes}");
    }
}

#[test]
fn a_thread_that_ends_leaves_its_buffers_to_the_others() {
    let pool = Pool::default();
    let other = pool.clone();
    let fill = move || drop((0..10).map(|_| other.get(1024).unwrap()).collect::<Vec<_>>());
    thread::spawn(fill).join().unwrap();
    let held: Vec<_> = (0..11).map(|_| pool.get(1024).unwrap()).collect();
    let stats = pool.stats();
    assert_eq!((stats.hits(), stats.misses(), stats.outstanding()), (10, 11, 11));
    drop(held);
    assert_eq!(pool.stats().outstanding(), 0);
}

#[test]
fn no_more_is_retained_than_configured() {
    let mut config = Config::default();
    config.thread_bytes = 10 * (1024 + 64) + 5;
    config.overflow_bytes = 20 * (1024 + 64);
    let pool = Pool::new(config).unwrap();
    drop((0..100).map(|_| pool.get(1024).unwrap()).collect::<Vec<_>>());
    let retained = pool.stats().retained_bytes();
    assert!((20 * 1088..=30 * 1088).contains(&retained), "{retained}");
}

#[test]
fn a_class_beyond_the_thread_s_share_goes_through_the_overflow() {
    let mut config = Config::default();
    config.thread_bytes = 2000;
    let pool = Pool::new(config).unwrap();
    drop(pool.get(4096).unwrap());
    drop(pool.get(4096).unwrap());
    let stats = pool.stats();
    assert_eq!((stats.hits(), stats.misses(), stats.returned(), stats.outstanding()), (1, 1, 2, 0));
}

#[test]
fn nothing_is_retained_where_nothing_may_be() {
    let mut config = Config::default();
    (config.thread_bytes, config.overflow_bytes) = (0, 0);
    let pool = Pool::new(config).unwrap();
    drop([pool.get(64).unwrap(), pool.get(65_536).unwrap()]);
    let stats = pool.stats();
    assert_eq!((stats.misses(), stats.returned(), stats.retained_bytes()), (2, 2, 0));
}

#[test]
fn more_pools_than_a_thread_caches_take_turns() {
    let pools: Vec<_> = (0..20).map(|_| Pool::default()).collect();
    for round in 0..3 {
        let held: Vec<_> = pools.iter().map(|pool| pool.get(500).unwrap()).collect();
        drop(held);
        for pool in &pools {
            let stats = pool.stats();
            assert_eq!((stats.misses(), stats.hits(), stats.outstanding()), (1, round, 0));
        }
    }
}

#[test]
fn buffers_outlive_their_pool() {
    let pool = Pool::default();
    let mut buffer = pool.get(2000).unwrap();
    let other = pool.get(2000).unwrap();
    drop(pool);
    buffer.put_bytes(4, 2000);
    let bytes = buffer.freeze();
    drop(other);
    thread::spawn(move || assert_eq!(&bytes[..], [4; 2000])).join().unwrap();
}

#[test]
fn buffers_return_while_a_thread_s_locals_are_destroyed() {
    thread_local! {
        static KEPT: RefCell<Vec<Buffer>> = const { RefCell::new(Vec::new()) };
    }
    let pool = Pool::default();
    for pool_first in [false, true] {
        let pool = pool.clone();
        let body = move || {
            if pool_first {
                drop(pool.get(1024).unwrap());
            }
            KEPT.with_borrow_mut(|kept| kept.extend((0..3).map(|_| pool.get(1024).unwrap())));
        };
        thread::spawn(body).join().unwrap();
    }
    let stats = pool.stats();
    assert_eq!((stats.outstanding(), stats.returned()), (0, 7));
    assert!(stats.misses() <= 4, "{stats:?}");
}

#[test]
#[should_panic(expected = "65 bytes don't fit into a buffer with room for 64")]
fn put_slice_panics_beyond_the_room_as_its_trait_says() {
    Pool::default().get(64).unwrap().put_slice(&[0; 65]);
}
