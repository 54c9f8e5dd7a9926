//! The counters of the pool under loom, compiled here by themselves: the rest of the pool has no atomics of its own.
#![cfg(loom)]

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

#[path = "../src/pool/count.rs"]
mod count;
#[path = "../src/sync.rs"]
mod sync;

use count::{Counts, sum};

/// What one thread takes and another returns is never seen returned but not taken, and the last sum is exact.
#[test]
fn no_sum_has_more_returned_than_taken() {
    loom::model(|| {
        let counts = Arc::new([Counts::new(), Counts::new()]);
        let handed_over = Arc::new(AtomicBool::new(false));

        let (taker, from) = (Arc::clone(&counts), Arc::clone(&handed_over));
        let takes = thread::spawn(move || {
            taker[0].hits.bump();
            from.store(true, Ordering::Release);
        });
        let (returner, to) = (Arc::clone(&counts), handed_over);
        let returns = thread::spawn(move || {
            let crossed = to.load(Ordering::Acquire);
            if crossed {
                returner[1].returned.bump();
            }
            u64::from(crossed)
        });
        // In a thread of its own: loom explores little of what the first thread does beside others.
        let reader = Arc::clone(&counts);
        let reads = thread::spawn(move || {
            let (hits, returned) = sum(reader.iter());
            assert!(returned <= hits);
        });

        reads.join().unwrap();
        takes.join().unwrap();
        let crossed = returns.join().unwrap();
        assert_eq!(sum(counts.iter()), (1, crossed));
    });
}

#[test]
fn sums_never_fall() {
    loom::model(|| {
        let counts = Arc::new([Counts::new()]);
        let writer = Arc::clone(&counts);
        let writes = thread::spawn(move || {
            writer[0].hits.bump();
            writer[0].returned.bump();
        });
        let reader = Arc::clone(&counts);
        let reads = thread::spawn(move || {
            let (hits, returned) = sum(reader.iter());
            let (hits_later, returned_later) = sum(reader.iter());
            assert!(returned <= hits && returned_later <= hits_later);
            assert!(hits <= hits_later && returned <= returned_later);
        });
        reads.join().unwrap();
        writes.join().unwrap();
        assert_eq!(sum(counts.iter()), (1, 1));
    });
}

/// A miss is counted by addition from many threads, and none is lost.
#[test]
fn additions_of_many_threads_are_all_counted() {
    loom::model(|| {
        let counts = Arc::new(Counts::new());
        let adders = [1, 2].map(|more| {
            let counts = Arc::clone(&counts);
            thread::spawn(move || counts.hits.add(more))
        });
        adders.into_iter().for_each(|adder| adder.join().unwrap());
        assert_eq!(counts.hits.get(), 3);
    });
}
