//! The pool over connections that exist only here, in virtual time.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nyx_core::clock::Manual;
use nyx_transport::pool::{AcquireError, Check, Config, Connection, Connector, Liveness, Pool};

#[derive(Debug)]
struct Nothing(Arc<AtomicUsize>);

impl Drop for Nothing {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Connection for Nothing {
    fn liveness(&mut self, _: Check) -> Liveness {
        Liveness::Alive
    }
}

/// Connects at once, or never.
#[derive(Default)]
struct Silent {
    answers: bool,
    open: Arc<AtomicUsize>,
}

impl Connector for Silent {
    type Address = u8;
    type Connection = Nothing;
    type Error = Infallible;

    async fn connect(&self, _: &u8) -> Result<Nothing, Infallible> {
        if !self.answers {
            pending::<()>().await;
        }
        self.open.fetch_add(1, Ordering::SeqCst);
        Ok(Nothing(Arc::clone(&self.open)))
    }
}

#[tokio::test(start_paused = true)]
async fn an_address_that_never_answers_is_given_up_and_then_left_alone() {
    let clock = Manual::new();
    let pool = Pool::with_clock(Silent::default(), Config::default(), clock.clone());
    let error = pool.acquire(&1).await.unwrap_err();
    assert!(matches!(error, AcquireError::ConnectTimeout { address: 1, .. }), "{error}");
    assert!(matches!(pool.acquire(&1).await, Err(AcquireError::Resting { .. })));
    clock.advance(Duration::from_secs(1));
    assert!(matches!(pool.acquire(&1).await, Err(AcquireError::ConnectTimeout { .. })));
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_behind_a_failed_attempt_are_told_at_once() {
    let mut config = Config::default();
    config.per_address = 1;
    config.acquire_timeout = Duration::from_secs(3600);
    let pool = Pool::with_clock(Silent::default(), config, Manual::new());
    let target = pool.target(&1).unwrap();
    let tasks: Vec<_> = (0..100)
        .map(|_| {
            let target = target.clone();
            tokio::spawn(async move { target.acquire_owned().await.map(drop) })
        })
        .collect();
    let mut timeouts = 0;
    for task in tasks {
        match task.await.unwrap() {
            Err(AcquireError::ConnectTimeout { .. }) => timeouts += 1,
            Err(AcquireError::Resting { .. }) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(timeouts, 1);
}

#[tokio::test]
async fn turns_are_served_in_the_order_in_which_they_were_asked_for() {
    let mut config = Config::default();
    config.per_address = 1;
    let silent = Silent { answers: true, ..Silent::default() };
    let pool = Pool::with_clock(silent, config, Manual::new());
    let target = pool.target(&1).unwrap();
    let lease = target.acquire_owned().await.unwrap();
    let (done, mut order) = tokio::sync::mpsc::unbounded_channel();
    for number in 0..20 {
        let (task, done) = (target.clone(), done.clone());
        tokio::spawn(async move {
            let lease = task.acquire_owned().await.unwrap();
            done.send(number).unwrap();
            tokio::task::yield_now().await;
            lease.release();
        });
        while target.stats().waiting <= number {
            tokio::task::yield_now().await;
        }
    }
    lease.release();
    for number in 0..20 {
        assert_eq!(order.recv().await, Some(number));
    }
}

#[tokio::test]
async fn who_gives_up_waiting_passes_on_what_was_meant_for_it() {
    let mut config = Config::default();
    config.per_address = 1;
    let silent = Silent { answers: true, ..Silent::default() };
    let open = Arc::clone(&silent.open);
    let pool = Pool::with_clock(silent, config, Manual::new());
    let target = pool.target(&1).unwrap();
    let lease = target.acquire_owned().await.unwrap();
    let mut first = Box::pin(target.acquire());
    let mut second = Box::pin(target.acquire());
    assert!(poll_once(first.as_mut()).is_none());
    assert!(poll_once(second.as_mut()).is_none());
    lease.release();
    drop(first);
    let lease = second.await.unwrap();
    assert_eq!((open.load(Ordering::SeqCst), target.stats().created), (1, 1));
    lease.release();
    drop((target, pool));
    assert_eq!(open.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn no_more_wait_than_may() {
    let mut config = Config::default();
    config.per_address = 1;
    config.waiters = 1;
    let silent = Silent { answers: true, ..Silent::default() };
    let pool = Pool::with_clock(silent, config, Manual::new());
    let target = pool.target(&1).unwrap();
    let _lease = target.acquire_owned().await.unwrap();
    let mut waiting = Box::pin(target.acquire());
    assert!(poll_once(waiting.as_mut()).is_none());
    assert!(matches!(target.acquire().await, Err(AcquireError::Crowded { waiting: 1, .. })));
}

/// What a future says when it is asked once.
fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    match future.poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
        std::task::Poll::Ready(output) => Some(output),
        std::task::Poll::Pending => None,
    }
}
