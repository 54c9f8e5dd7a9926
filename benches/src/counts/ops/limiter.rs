//! Limiters, with time that is passed in.

use std::hint::black_box;
use std::time::Duration;

use nyx_core::Instant;
use nyx_core::clock::Manual;
use nyx_core::limit::{AtomicMeter, Capacity, Keyed, Local, Meter, Quota};

/// Allowed each time, one microsecond after the last.
pub(super) fn check_at(calls: u64) {
    let meter = AtomicMeter::new(&plenty(), Instant::ZERO);
    for call in 0..calls {
        assert!(meter.check_at(black_box(micros(call))).is_ok());
    }
}

pub(super) fn check_denied(calls: u64) {
    let meter = AtomicMeter::new(&little(), Instant::ZERO);
    assert!(meter.check_at(Instant::ZERO).is_ok());
    for _ in 0..calls {
        assert!(black_box(meter.check_at(black_box(Instant::ZERO))).is_err());
    }
}

/// Without the atomic.
pub(super) fn meter(calls: u64) {
    let mut meter = Meter::new(&plenty(), Instant::ZERO);
    for call in 0..calls {
        assert!(black_box(&mut meter).check_at(black_box(micros(call))).is_ok());
    }
}

pub(super) fn local_allowed(calls: u64) {
    let clock = Manual::new();
    let mut local = Local::with_clock(&plenty(), clock.clone());
    for call in 0..calls {
        clock.set(micros(call));
        assert!(black_box(&mut local).check().is_ok());
    }
}

pub(super) fn local_denied(calls: u64) {
    let mut local = Local::with_clock(&little(), Manual::new());
    assert!(local.check().is_ok());
    for _ in 0..calls {
        assert!(black_box(black_box(&mut local).check()).is_err());
    }
}

/// A key that is known, of a thousand.
pub(super) fn keyed_hit(calls: u64) {
    let keyed =
        Capacity::keys(4096).and_then(|capacity| Keyed::with_clock(&plenty(), capacity, Manual::new()));
    let keyed = keyed.expect("there is memory for 4096 keys");
    for call in 0..calls {
        assert!(keyed.check_at(black_box(micros(call)), black_box(&(call % 1024))).is_ok());
    }
}

fn plenty() -> Quota {
    Quota::per_second(1_000_000_000).expect("it is a quota")
}

/// Not even one in the time that an operation takes.
fn little() -> Quota {
    Quota::new(1, Duration::from_secs(3600)).expect("it is a quota")
}

const fn micros(micros: u64) -> Instant {
    Instant::from_nanos(micros * 1_000)
}
