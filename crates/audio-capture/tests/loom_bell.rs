//! The bell in every interleaving: no reader sleeps while there is as much as it waits for.
#![cfg(loom)]

use std::task::{Context, Poll};

use loom::future::block_on;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use nyx_audio_capture::queue::loom_bell::Bell;

/// Waits for `wanted` as the queue's reader does.
async fn wait(bell: &Bell, depth: &AtomicUsize, wanted: usize) {
    std::future::poll_fn(|cx: &mut Context<'_>| {
        if depth.load(Ordering::SeqCst) >= wanted {
            return Poll::Ready(());
        }
        bell.listen(wanted, cx.waker());
        if depth.load(Ordering::SeqCst) >= wanted { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

fn explore(wanted: &'static [usize], pushes: usize) {
    let mut builder = loom::model::Builder::new();
    // Without a bound loom does not come to an end in minutes; what is ever found is found with few preemptions.
    builder.preemption_bound = Some(2);
    builder.check(move || {
        let shared = Arc::new((Bell::new(), AtomicUsize::new(0)));
        let writer = Arc::clone(&shared);
        let thread = loom::thread::spawn(move || {
            for _ in 0..pushes {
                writer.1.fetch_add(1, Ordering::SeqCst);
                writer.0.ring(|| writer.1.load(Ordering::SeqCst));
            }
        });
        // A model in which the reader sleeps for ever is a deadlock, which loom reports.
        for wanted in wanted {
            block_on(wait(&shared.0, &shared.1, *wanted));
            shared.1.fetch_sub(*wanted, Ordering::SeqCst);
        }
        thread.join().unwrap();
    });
}

#[test]
fn one_after_the_other() {
    explore(&[1, 1], 2);
}

#[test]
fn a_batch_after_a_single_one() {
    explore(&[1, 2], 3);
}

#[test]
fn a_single_one_after_a_batch() {
    explore(&[2, 1], 3);
}
