//! Rate limiters: the shared one, the one that amortises its clock, and the keyed one, beside their peers.
//!
//! `nyx` is the one that threads can share, as the peers can be; `nyx one owner` the one that can't, and reads the clock when it has to.

use std::hint::black_box;
use std::num::NonZeroU32;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use crossbeam::utils::CachePadded;
use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter};
use nyx_core::clock::{Clock, Monotonic};
use nyx_core::limit::{AtomicMeter, Capacity, Keyed, Limiter, Local, Meter, Quota};
use nyx_core::{Bitrate, Instant};
use ratelimit::Ratelimiter;

/// Admitted each time, clock included.
fn check(c: &mut Criterion) {
    let mut group = c.benchmark_group("limiter/check");
    let nyx = Limiter::new(&plenty());
    group.bench_function("nyx", |b| b.iter(|| black_box(nyx.check().is_ok())));
    let governor = governor(governor_plenty());
    group.bench_function("governor", |b| b.iter(|| black_box(governor.check().is_ok())));
    let ratelimit = ratelimit(32_000_000_000, 1 << 40);
    group.bench_function("ratelimit", |b| b.iter(|| black_box(ratelimit.try_wait().is_ok())));
    let leaky = leaky_bucket::RateLimiter::builder()
        .max(1 << 40)
        .initial(1 << 40)
        .refill(1 << 40)
        .interval(Duration::from_secs(1))
        .build();
    group.bench_function("leaky-bucket", |b| b.iter(|| black_box(leaky.try_acquire(1))));
    group.finish();
}

/// Admitted each time, the time being known.
fn check_at(c: &mut Criterion) {
    let mut group = c.benchmark_group("limiter/check_at");
    let shared = AtomicMeter::new(&plenty(), Instant::ZERO);
    let mut now = Instant::ZERO;
    group.bench_function("nyx", |b| {
        b.iter(|| {
            now = now + TICK;
            black_box(shared.check_at(black_box(now)).is_ok())
        });
    });
    let mut meter = Meter::new(&plenty(), Instant::ZERO);
    group.bench_function("nyx meter", |b| {
        b.iter(|| {
            now = now + TICK;
            black_box(meter.check_at(black_box(now)).is_ok())
        });
    });
    // What no shared limiter can be without.
    let word = AtomicU64::new(0);
    group.bench_function("compare_exchange", |b| {
        b.iter(|| {
            let seen = word.load(Ordering::Relaxed);
            black_box(word.compare_exchange(seen, seen + 1, Ordering::Relaxed, Ordering::Relaxed).is_ok())
        });
    });
    group.finish();
}

/// Denied each time, clock included.
fn check_denied(c: &mut Criterion) {
    let mut group = c.benchmark_group("limiter/check_denied");
    let nyx = Limiter::new(&Quota::new(1, HOUR).unwrap());
    nyx.check().unwrap();
    group.bench_function("nyx", |b| b.iter(|| black_box(nyx.check().is_err())));
    let governor = governor(governor::Quota::with_period(HOUR).unwrap());
    governor.check().unwrap();
    group.bench_function("governor", |b| b.iter(|| black_box(governor.check().is_err())));
    let ratelimit = Ratelimiter::builder(1).period(HOUR).max_tokens(1).initial_available(0).build().unwrap();
    group.bench_function("ratelimit", |b| b.iter(|| black_box(ratelimit.try_wait().is_err())));
    let leaky = leaky_bucket::RateLimiter::builder().max(1).initial(0).refill(1).interval(HOUR).build();
    group.bench_function("leaky-bucket", |b| b.iter(|| black_box(!leaky.try_acquire(1))));
    group.finish();
}

/// A thousand calls of a fresh limiter with a rate of ten: 990 are denied.
fn denied_1000(c: &mut Criterion) {
    thousand(c, "limiter/denied_1000", 10);
}

/// A thousand calls of a fresh limiter with a burst of a thousand: none is denied.
fn allowed_1000(c: &mut Criterion) {
    thousand(c, "limiter/allowed_1000", 1_000);
}

fn thousand(c: &mut Criterion, name: &str, rate: u32) {
    let mut group = c.benchmark_group(name);
    group.throughput(Throughput::Elements(CALLS));
    let quota = Quota::per_second(u64::from(rate)).unwrap();
    let clock = Monotonic::new();
    group.bench_function("nyx one owner", |b| {
        let fresh = || Local::with_clock(&quota, clock.clone());
        b.iter_batched_ref(fresh, |limiter| count(|| limiter.check().is_ok()), BatchSize::SmallInput);
    });
    group.bench_function("nyx", |b| {
        let fresh = || Limiter::with_clock(&quota, clock.clone());
        b.iter_batched_ref(fresh, |limiter| count(|| limiter.check().is_ok()), BatchSize::SmallInput);
    });
    group.bench_function("governor", |b| {
        let fresh = || governor(governor::Quota::per_second(NonZeroU32::new(rate).unwrap()));
        b.iter_batched_ref(fresh, |limiter| count(|| limiter.check().is_ok()), BatchSize::SmallInput);
    });
    group.bench_function("ratelimit", |b| {
        let fresh = || ratelimit(u64::from(rate), u64::from(rate));
        b.iter_batched_ref(fresh, |limiter| count(|| limiter.try_wait().is_ok()), BatchSize::SmallInput);
    });
    group.finish();
}

/// How many of a thousand calls were admitted. Each verdict is used on its own.
fn count(mut check: impl FnMut() -> bool) -> u64 {
    (0..CALLS).map(|_| u64::from(black_box(check()))).sum()
}

/// Ten a second for each of a million keys, which are all known and asked for by Zipf's law. There is room for as many.
fn keyed_zipf(c: &mut Criterion) {
    let mut group = c.benchmark_group("limiter/keyed_zipf_1M");
    let sequence = zipf();
    let mut asked = sequence.iter().cycle();
    let nyx = Keyed::new(&Quota::per_second(10).unwrap(), Capacity::keys(KEYS as usize).unwrap()).unwrap();
    for key in 0..KEYS {
        let _ = nyx.check(&key);
    }
    group.bench_function("nyx", |b| b.iter(|| black_box(nyx.check(asked.next().unwrap()).is_ok())));
    drop(nyx);
    let governor = DefaultKeyedRateLimiter::keyed(governor::Quota::per_second(NonZeroU32::new(10).unwrap()));
    for key in 0..KEYS {
        let _ = governor.check_key(&key);
    }
    group.bench_function("governor", |b| {
        b.iter(|| black_box(governor.check_key(asked.next().unwrap()).is_ok()));
    });
    group.finish();
}

/// Keys by Zipf's law with exponent 1, from a fixed seed: the rank's logarithm is uniform.
fn zipf() -> Vec<u32> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut uniform = || {
        // xorshift64 (Marsaglia, 2003)
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    // A bijection spreads the popular keys over the table as they would be in life.
    let spread = |rank: u32| rank.wrapping_mul(611_953) % KEYS;
    (0..1 << 22).map(|_| spread(f64::from(KEYS).powf(uniform()) as u32)).collect()
}

/// Two threads that share a limiter: the time of a call while both are at it.
fn check_two_threads(c: &mut Criterion) {
    let mut group = c.benchmark_group("limiter/check_2threads");
    let nyx = Limiter::new(&plenty());
    group.bench_function("nyx", |b| b.iter_custom(|n| two_threads(n, |_| nyx.check().is_ok())));
    let governor = governor(governor_plenty());
    group.bench_function("governor", |b| b.iter_custom(|n| two_threads(n, |_| governor.check().is_ok())));
    group.finish();
}

/// One thread checks a limiter, another counts beside it: what padding is for.
fn layout_two_threads(c: &mut Criterion) {
    #[repr(C)]
    struct Beside<T> {
        count: AtomicU64,
        meter: T,
    }

    let mut group = c.benchmark_group("limiter/layout_2threads");
    let now = Instant::from_nanos(1);
    let fresh = || AtomicMeter::new(&plenty(), Instant::ZERO);
    // Each begins at a boundary, so that what lies on one line and what does not is no matter of chance.
    let padded = CachePadded::new(Beside { count: AtomicU64::new(0), meter: CachePadded::new(fresh()) });
    let packed = CachePadded::new(Beside { count: AtomicU64::new(0), meter: fresh() });
    let step = |me, meter: &AtomicMeter, count: &AtomicU64| match me {
        0 => meter.check_at(black_box(now)).is_ok(),
        _ => count.fetch_add(1, Ordering::Relaxed) < u64::MAX,
    };
    group.bench_function("nyx", |b| {
        b.iter_custom(|n| two_threads(n, |me| step(me, &padded.meter, &padded.count)));
    });
    group.bench_function("unpadded", |b| {
        b.iter_custom(|n| two_threads(n, |me| step(me, &packed.meter, &packed.count)));
    });
    group.finish();
}

/// The time in which each of two threads has made `calls` calls.
fn two_threads(calls: u64, check: impl Fn(usize) -> bool + Sync) -> Duration {
    let clock = Monotonic::new();
    let barrier = Barrier::new(2);
    let run = |me: usize| {
        barrier.wait();
        let start = clock.now();
        for _ in 0..calls {
            black_box(check(me));
        }
        clock.now() - start
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(|| run(1));
        run(0).max(other.join().unwrap())
    })
}

fn plenty() -> Quota {
    Quota::from_bitrate(Bitrate::from_bytes_per_second(32_000_000_000)).unwrap().with_burst(1 << 60).unwrap()
}

fn governor_plenty() -> governor::Quota {
    governor::Quota::with_period(Duration::from_nanos(1)).unwrap().allow_burst(NonZeroU32::MAX)
}

fn governor(quota: governor::Quota) -> DefaultDirectRateLimiter {
    DefaultDirectRateLimiter::direct(quota)
}

fn ratelimit(rate: u64, burst: u64) -> Ratelimiter {
    Ratelimiter::builder(rate).max_tokens(burst).initial_available(burst).build().unwrap()
}

const HOUR: Duration = Duration::from_secs(3_600);
const TICK: Duration = Duration::from_nanos(10);
const CALLS: u64 = 1_000;
const KEYS: u32 = 1_000_000;

criterion_group!(
    benches,
    check,
    check_at,
    check_denied,
    denied_1000,
    allowed_1000,
    keyed_zipf,
    check_two_threads,
    layout_two_threads
);
criterion_main!(benches);
