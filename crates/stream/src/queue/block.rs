//! Waiting in a thread for what a waker announces.

use std::sync::Arc;
use std::task::{Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

/// Polls until there is a result, or `timeout` has passed; at first without a waker.
#[expect(
    clippy::disallowed_methods,
    reason = "a driver: it blocks a thread, for a time that its caller gave in real time"
)]
pub(super) fn block_on<R>(timeout: Duration, mut poll: impl FnMut(Option<&Waker>) -> Poll<R>) -> Option<R> {
    // A peer at work is back sooner than a thread is put to sleep and woken.
    for _ in 0..LOOKS {
        if let Poll::Ready(result) = poll(None) {
            return Some(result);
        }
        thread::yield_now();
    }
    let start = std::time::Instant::now();
    // A thread that ends may have none any more.
    let waker = WAKER.try_with(Waker::clone).unwrap_or_else(|_| unpark_this());
    loop {
        if let Poll::Ready(result) = poll(Some(&waker)) {
            return Some(result);
        }
        let left = timeout.saturating_sub(start.elapsed());
        if left.is_zero() {
            return None;
        }
        thread::park_timeout(left);
    }
}

/// Wakes a thread that parks.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

thread_local! {
    static WAKER: Waker = unpark_this();
}

fn unpark_this() -> Waker {
    Waker::from(Arc::new(Unpark(thread::current())))
}

/// Looks before the thread is parked, each after letting others run: some ten microseconds on an idle machine.
const LOOKS: u32 = 24;
