//! Waiting for tokens, in virtual time and without a runtime.
#![cfg(all(feature = "async", not(loom)))]

use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use nyx_core::Instant;
use nyx_core::clock::{Clock, Manual};
use nyx_core::limit::{Limiter, OverBurst, Quota, WaitError};

/// Ends once the clock has moved far enough.
struct Sleep {
    clock: Manual,
    until: Instant,
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if self.clock.now() >= self.until { Poll::Ready(()) } else { Poll::Pending }
    }
}

fn ten_a_second(burst: u64) -> (Limiter<Manual>, Manual) {
    let clock = Manual::new();
    let quota = Quota::per_second(10).unwrap().with_burst(burst).unwrap();
    (Limiter::with_clock(&quota, clock.clone()), clock)
}

fn sleeper(clock: &Manual) -> impl FnMut(Duration) -> Sleep {
    move |duration| Sleep { clock: clock.clone(), until: clock.now() + duration }
}

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn small_requests_do_not_starve_a_large_one() {
    let (limiter, clock) = ten_a_second(10);
    limiter.check_n(10).unwrap();
    let mut large = pin!(limiter.wait(10, sleeper(&clock)));
    assert!(poll(large.as_mut()).is_pending());
    let mut small = pin!(limiter.wait(1, sleeper(&clock)));
    assert!(poll(small.as_mut()).is_pending());
    for _ in 0..9 {
        clock.advance(Duration::from_millis(100));
        assert!(limiter.check().is_err());
        assert!(poll(large.as_mut()).is_pending());
        assert!(poll(small.as_mut()).is_pending());
    }
    clock.advance(Duration::from_millis(100));
    assert_eq!(poll(large.as_mut()), Poll::Ready(Ok(())));
    assert!(poll(small.as_mut()).is_pending());
    clock.advance(Duration::from_millis(100));
    assert_eq!(poll(small.as_mut()), Poll::Ready(Ok(())));
}

#[test]
fn a_cancelled_wait_gives_its_tokens_back() {
    let (limiter, clock) = ten_a_second(5);
    limiter.check_n(5).unwrap();
    {
        let mut cancelled = pin!(limiter.wait(5, sleeper(&clock)));
        assert!(poll(cancelled.as_mut()).is_pending());
    }
    clock.advance(Duration::from_millis(100));
    assert!(limiter.check().is_ok());
    assert!(limiter.check().is_err());
}

#[test]
fn a_wait_cancelled_before_others_leaves_no_moment_to_be_had_twice() {
    let (limiter, clock) = ten_a_second(10);
    limiter.check_n(10).unwrap();
    let mut cancelled = Box::pin(limiter.wait(10, sleeper(&clock)));
    assert!(poll(cancelled.as_mut()).is_pending());
    let mut second = pin!(limiter.wait(10, sleeper(&clock)));
    assert!(poll(second.as_mut()).is_pending());
    drop(cancelled);
    let mut third = pin!(limiter.wait(10, sleeper(&clock)));
    assert!(poll(third.as_mut()).is_pending());

    clock.advance(Duration::from_secs(2));
    assert_eq!(poll(second.as_mut()), Poll::Ready(Ok(())));
    assert!(poll(third.as_mut()).is_pending());
    clock.advance(Duration::from_secs(1));
    assert_eq!(poll(third.as_mut()), Poll::Ready(Ok(())));
}

#[test]
fn waits_cancelled_from_the_back_all_give_their_tokens_back() {
    let (limiter, clock) = ten_a_second(10);
    let mut waits: Vec<_> = (0..4).map(|_| Box::pin(limiter.wait(10, sleeper(&clock)))).collect();
    assert_eq!(poll(waits[0].as_mut()), Poll::Ready(Ok(())));
    for wait in &mut waits[1..] {
        assert!(poll(wait.as_mut()).is_pending());
    }
    while let Some(last) = waits.pop() {
        drop(last);
    }
    clock.advance(Duration::from_secs(1));
    assert!(limiter.check_n(10).is_ok());
}

#[test]
fn a_wait_cancelled_long_after_gives_nothing_on_top_of_the_burst() {
    let (limiter, clock) = ten_a_second(5);
    limiter.check_n(5).unwrap();
    let mut forgotten = Box::pin(limiter.wait(5, sleeper(&clock)));
    assert!(poll(forgotten.as_mut()).is_pending());
    clock.advance(Duration::from_secs(60));
    limiter.check_n(5).unwrap();
    drop(forgotten);
    assert!(limiter.check().is_err());
}

#[test]
fn a_wait_under_another_quota_ends_by_that() {
    let (limiter, clock) = ten_a_second(1);
    limiter.check().unwrap();
    let mut waiting = pin!(limiter.wait(1, sleeper(&clock)));
    assert!(poll(waiting.as_mut()).is_pending());
    limiter.set_quota(&Quota::per_second(1).unwrap().with_burst(1).unwrap()).unwrap();
    clock.advance(Duration::from_millis(999));
    assert!(poll(waiting.as_mut()).is_pending());
    clock.advance(Duration::from_millis(1));
    assert_eq!(poll(waiting.as_mut()), Poll::Ready(Ok(())));
}

#[test]
fn what_can_never_come_is_refused_at_once() {
    let (limiter, clock) = ten_a_second(5);
    let refused = poll(pin!(limiter.wait(6, sleeper(&clock))));
    assert_eq!(refused, Poll::Ready(Err(WaitError::OverBurst(OverBurst { asked: 6, burst: 5 }))));

    clock.advance(Duration::from_secs(10 * 365 * 86_400));
    assert!(poll(pin!(limiter.wait(5, sleeper(&clock)))).is_ready());
    assert_eq!(poll(pin!(limiter.wait(1, sleeper(&clock)))), Poll::Ready(Err(WaitError::Never)));
    assert_eq!(limiter.check().unwrap_err().at(), Instant::from_nanos(u64::MAX));
}
