//! Everything the pool allocates is freed, whatever its users do. Counted at the allocator.
#![cfg(not(loom))]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicIsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;

use bytes::{BufMut, Bytes};
use nyx_core::pool::{Buffer, Pool};

/// Counts what is aligned to a cache line. Here those are the pool's blocks, bins and classes.
struct Counting;

static LIVE: AtomicIsize = AtomicIsize::new(0);
/// How many there have been.
static MADE: AtomicIsize = AtomicIsize::new(0);

// SAFETY: all is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(isize::from(layout.align() >= 64), Ordering::Relaxed);
        MADE.fetch_add(isize::from(layout.align() >= 64), Ordering::Relaxed);
        // SAFETY: the caller's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(isize::from(layout.align() >= 64), Ordering::Relaxed);
        // SAFETY: the caller's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// One test, so that nothing else allocates meanwhile.
#[test]
fn all_memory_is_freed() {
    type Case = (&'static str, fn(Pool));
    let cases: [Case; 6] = [
        ("on one thread", one_thread),
        ("across threads", across_threads),
        ("when threads panic", panics),
        ("when buffers outlive the pool", buffers_outlive_the_pool),
        ("when threads outlive the pool", threads_outlive_the_pool),
        ("when a thread uses many pools", many_pools),
    ];
    // The test's own channel to the harness has such an alignment too.
    let before = LIVE.load(Ordering::Relaxed);
    for (case, run) in cases {
        run(Pool::default());
        assert_eq!(LIVE.load(Ordering::Relaxed), before, "{case}");
    }
}

fn one_thread(pool: Pool) {
    drop((0..300).map(|n| full(&pool, n * 300)).collect::<Vec<_>>());
    assert!(LIVE.load(Ordering::Relaxed) > 100);
}

fn across_threads(pool: Pool) {
    let bytes: Vec<_> = (0..300).map(|n| full(&pool, n * 300).freeze()).collect();
    let clones = bytes.clone();
    let droppers = [bytes, clones].map(|bytes| thread::spawn(move || drop(bytes)));
    let filler = thread::spawn(move || (0..300).map(|n| full(&pool, n)).collect::<Vec<_>>());
    drop(filler.join().unwrap());
    droppers.into_iter().for_each(|dropper| dropper.join().unwrap());
}

fn panics(pool: Pool) {
    for _ in 0..3 {
        let other = pool.clone();
        let body = move || {
            let held = [full(&other, 100), full(&other, 5000), full(&other, 100_000)];
            let _frozen = full(&other, 2000).freeze();
            // Unwinds like a panic, without its message.
            std::panic::resume_unwind(Box::new(held.len()));
        };
        assert!(thread::spawn(body).join().is_err());
    }
    assert_eq!(pool.stats().outstanding(), 0);
}

fn buffers_outlive_the_pool(pool: Pool) {
    let held: Vec<_> = (0..100).map(|n| full(&pool, n * 300)).collect();
    drop((0..100).map(|n| full(&pool, n * 300)).collect::<Vec<_>>());
    drop(pool);
    let body = move || {
        let before = MADE.load(Ordering::Relaxed);
        drop(held);
        // No cache for a pool that takes nothing back.
        assert_eq!(MADE.load(Ordering::Relaxed), before);
    };
    thread::spawn(body).join().unwrap();
}

fn threads_outlive_the_pool(pool: Pool) {
    let (filled, closed) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let (here, there) = ((Arc::clone(&filled), Arc::clone(&closed)), pool.clone());
    let thread = thread::spawn(move || {
        let kept: Vec<Bytes> = (0..200).map(|_| full(&there, 1000).freeze()).collect();
        drop((0..20).map(|_| full(&there, 1000)).collect::<Vec<_>>());
        drop(there);
        here.0.wait();
        here.1.wait();
        // More than the cache takes, so that it overflows into the closed pool.
        drop(kept);
    });
    filled.wait();
    drop(pool);
    closed.wait();
    thread.join().unwrap();
}

fn many_pools(pool: Pool) {
    let pools: Vec<_> = (0..20).map(|_| Pool::default()).collect();
    for _ in 0..3 {
        drop(pools.iter().chain([&pool]).map(|pool| full(pool, 777)).collect::<Vec<_>>());
    }
}

fn full(pool: &Pool, bytes: usize) -> Buffer {
    let mut buffer = pool.get(bytes).unwrap();
    buffer.put_bytes(1, bytes);
    buffer
}
