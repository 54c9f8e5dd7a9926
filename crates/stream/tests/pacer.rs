//! The pacer: never over its rate, never idle when it could send.

use std::time::Duration;

use nyx_core::{Bitrate, ByteSize, Instant};
use nyx_stream::pacer::{Beat, NoRate, Pacer};
use proptest::prelude::*;

fn pacer(bytes_per_second: u64, burst: u64) -> Pacer {
    Pacer::new(Bitrate::from_bytes_per_second(bytes_per_second), ByteSize::new(burst)).unwrap()
}

fn ms(millis: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(millis)
}

#[test]
fn a_rate_of_zero_is_refused_and_changes_nothing() {
    assert_eq!(Pacer::new(Bitrate::default(), ByteSize::new(1)).unwrap_err(), NoRate);
    let mut pacer = pacer(1_000, 1_000);
    assert_eq!(pacer.set_rate(ms(0), Bitrate::default()), Err(NoRate));
    assert_eq!(pacer.rate(), Bitrate::from_bytes_per_second(1_000));
}

#[test]
fn a_beat_without_a_period_is_one_every_nanosecond() {
    let mut beat = Beat::new(Duration::ZERO);
    assert_eq!(beat.period(), Duration::from_nanos(1));
    assert_eq!([beat.next(ms(5)), beat.next(ms(5))], [ms(5), ms(5) + Duration::from_nanos(1)]);
}

#[test]
fn an_hour_of_idling_is_worth_one_burst() {
    let mut pacer = pacer(1_000_000, 3_000);
    let now = ms(3_600_000);
    let sent = (0..100).filter(|_| pacer.poll(now, 1_000).is_ok()).count();
    assert_eq!(sent, 3);
}

#[test]
fn what_is_larger_than_the_burst_leaves_and_is_paid_for_afterwards() {
    let mut pacer = pacer(1_000, 100);
    assert_eq!(pacer.poll(ms(0), 1_000), Ok(()));
    // 900 bytes of debt and one byte more.
    assert_eq!(pacer.poll(ms(0), 1), Err(ms(901)));
    assert_eq!(pacer.poll(ms(901), 1), Ok(()));
}

#[test]
fn a_burst_of_zero_spaces_every_item() {
    let mut pacer = pacer(1_000, 0);
    assert_eq!(pacer.poll(ms(0), 10), Ok(()));
    assert_eq!(pacer.poll(ms(0), 10), Err(ms(10)));
    assert_eq!(pacer.poll(ms(9), 0), Err(ms(10)));
    assert_eq!(pacer.poll(ms(10), 10), Ok(()));
}

#[test]
fn a_new_rate_holds_from_then_on() {
    let mut pacer = pacer(1_000, 0);
    assert_eq!(pacer.poll(ms(0), 100), Ok(()));
    // Half of it is paid; the rest is paid ten times as fast.
    pacer.set_rate(ms(50), Bitrate::from_bytes_per_second(10_000)).unwrap();
    assert_eq!(pacer.poll(ms(50), 1), Err(ms(55)));
}

#[test]
fn extremes_saturate() {
    let mut slowest = Pacer::new(Bitrate::from_bits_per_second(1), ByteSize::new(0)).unwrap();
    assert_eq!(slowest.poll(ms(0), usize::MAX), Ok(()));
    assert_eq!(slowest.poll(ms(0), usize::MAX), Err(Instant::from_nanos(u64::MAX)));
    let mut fastest = Pacer::new(Bitrate::from_bits_per_second(u64::MAX), ByteSize::new(u64::MAX)).unwrap();
    for nanos in [0, u64::MAX, 5, u64::MAX] {
        let _ = fastest.poll(Instant::from_nanos(nanos), usize::MAX);
    }
}

#[test]
fn rates_that_do_not_divide_a_nanosecond_are_kept_exactly() {
    // Three bits a second: a byte is due every 2.67 s, and 3 bytes make 8 s to the nanosecond.
    let mut pacer = Pacer::new(Bitrate::from_bits_per_second(3), ByteSize::new(0)).unwrap();
    let mut now = Instant::ZERO;
    for _ in 0..300 {
        while let Err(at) = pacer.poll(now, 1) {
            now = at;
        }
    }
    assert!(now - ms(299 * 8_000 / 3) < Duration::from_millis(1), "{now:?}");
}

proptest! {
    /// However it is asked: in any window no more leaves than the rate and a burst, or an item if that is larger.
    #[test]
    fn no_window_has_more_than_its_share(
        rate in 1u64..5_000_000,
        burst in 0u64..20_000,
        asks in prop::collection::vec((1usize..5_000, 0u64..20_000_000, any::<bool>()), 1..200),
    ) {
        let mut pacer = pacer(rate, burst);
        let (mut now, mut sent) = (Instant::ZERO, Vec::new());
        for (bytes, wait, is_patient) in asks {
            now = now + Duration::from_nanos(wait);
            match pacer.poll(now, bytes) {
                Ok(()) => sent.push((now, bytes)),
                Err(at) if is_patient => {
                    prop_assert!(at > now);
                    now = at;
                    prop_assert_eq!(pacer.poll(now, bytes), Ok(()), "not let go when it was told to be");
                    sent.push((now, bytes));
                }
                Err(_) => {}
            }
        }
        for first in 0..sent.len() {
            let mut total = 0u128;
            let largest = sent[first..].iter().map(|(_, bytes)| *bytes as u128).max().unwrap_or(0);
            for (at, bytes) in &sent[first..] {
                total += *bytes as u128;
                let window = (*at - sent[first].0).as_nanos();
                let share = u128::from(rate) * window / 1_000_000_000 + u128::from(burst).max(largest) + 1;
                prop_assert!(total <= share, "{total} bytes in {window} ns");
            }
        }
    }

    /// Under sustained demand the rate is reached within a hundredth.
    #[test]
    fn who_always_has_something_gets_the_rate(
        rate in 10_000u64..2_000_000_000,
        burst in 0u64..20_000,
        sizes in prop::collection::vec(1usize..2_000, 1..20),
    ) {
        let mut pacer = pacer(rate, burst);
        let (mut now, mut total) = (Instant::ZERO, 0);
        for bytes in sizes.iter().cycle().take(20_000) {
            while let Err(at) = pacer.poll(now, *bytes) {
                now = at;
            }
            total += *bytes as u64;
        }
        let ideal = Duration::from_secs_f64(total.saturating_sub(burst) as f64 / rate as f64);
        let off = now.since(Instant::ZERO).abs_diff(ideal);
        // An item is a hundredth of the least that is sent here.
        prop_assert!(off <= ideal / 100 + Duration::from_secs_f64(2_000.0 / rate as f64), "{off:?} of {ideal:?}");
    }

    /// A beat is never early, never catches up for more than its slack, and keeps its rate when it is asked in time.
    #[test]
    fn a_beat_keeps_its_rate_and_never_hurries(
        period in 1u64..200,
        lateness in prop::collection::vec(0u64..400, 1..100),
    ) {
        let mut beat = Beat::new(Duration::from_millis(period));
        let mut now = 0;
        let mut last = None;
        for late in lateness {
            let due = beat.next(ms(now));
            if let Some(last) = last {
                prop_assert!(due >= last + Duration::from_millis(period));
                prop_assert!(ms(now) - due <= Duration::from_millis(period.max(20)));
            }
            last = Some(due);
            now = now.max(due.as_nanos() / 1_000_000) + late;
        }
    }
}
