//! Waiting for a condition, with a deadline.
#![allow(dead_code, reason = "each suite uses a part")]

use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{Instant, MissedTickBehavior, interval};

/// Asks `probe` again and again until it has an answer. Panics with `what` when there is none in time.
pub(crate) async fn eventually<T>(
    limit: Duration,
    what: &str,
    mut probe: impl AsyncFnMut() -> Option<T>,
) -> T {
    let give_up = Instant::now() + limit;
    let mut ticks = interval(Duration::from_millis(20));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Some(answer) = probe().await {
            return answer;
        }
        assert!(Instant::now() < give_up, "not within {limit:?}: {what}");
    }
}

/// Waits for a future. Panics with `what` when it takes too long.
pub(crate) async fn within<T>(limit: Duration, what: &str, future: impl Future<Output = T>) -> T {
    let Ok(output) = tokio::time::timeout(limit, future).await else {
        panic!("not within {limit:?}: {what}")
    };
    output
}

/// Held while a test measures: two measurements at once would measure each other.
pub(crate) async fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::const_new(());
    ALONE.lock().await
}
