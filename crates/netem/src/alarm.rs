//! Timers finer than a millisecond.
//!
//! Tokio's timer ticks in milliseconds and rounds up, which at 100 Mbit/s is 12 kB and more than a third of the
//! default queue. One thread that waits on a condition variable is off by the kernel's timer slack, about 60 µs.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;

use nyx_core::clock::{Clock, Instant, Monotonic};
use parking_lot::{Condvar, Mutex, MutexGuard};

/// A thread that wakes sleepers; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Alarm {
    clock: Monotonic,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    sleepers: BTreeMap<Key, Waker>,
    next_id: u64,
    closed: bool,
}

/// The deadline, and a number that tells sleepers with the same one apart.
type Key = (Instant, u64);

impl Alarm {
    pub(crate) fn start(clock: Monotonic) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (thread_clock, thread_shared) = (clock.clone(), Arc::clone(&shared));
        thread::Builder::new()
            .name("nyx-netem-alarm".into())
            .spawn(move || thread_shared.run(&thread_clock))?;
        Ok(Self { clock, shared })
    }

    pub(crate) fn now(&self) -> Instant {
        self.clock.now()
    }

    /// Waits until `deadline`. Dropping it early is fine.
    pub(crate) const fn sleep_until(&self, deadline: Instant) -> Sleep<'_> {
        Sleep { alarm: self, deadline, key: None }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.shared.state.lock().closed = true;
        self.shared.changed.notify_one();
    }
}

impl Shared {
    fn run(&self, clock: &impl Clock) {
        let mut state = self.state.lock();
        while !state.closed {
            let now = clock.now();
            let due = state.take_due(now);
            if !due.is_empty() {
                // A waker may run code that comes back here.
                MutexGuard::unlocked(&mut state, || due.into_iter().for_each(Waker::wake));
                continue;
            }
            match state.sleepers.first_key_value() {
                Some((&(deadline, _), _)) => drop(self.changed.wait_for(&mut state, deadline - now)),
                None => self.changed.wait(&mut state),
            }
        }
    }
}

impl State {
    fn take_due(&mut self, now: Instant) -> Vec<Waker> {
        let mut due = Vec::new();
        while let Some(first) = self.sleepers.first_entry().filter(|first| first.key().0 <= now) {
            due.push(first.remove());
        }
        due
    }
}

/// See [`Alarm::sleep_until`].
#[derive(Debug)]
pub(crate) struct Sleep<'a> {
    alarm: &'a Alarm,
    deadline: Instant,
    key: Option<Key>,
}

impl Future for Sleep<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.alarm.now() >= self.deadline {
            return Poll::Ready(());
        }
        let mut state = self.alarm.shared.state.lock();
        let key = self.key.unwrap_or_else(|| {
            state.next_id += 1;
            (self.deadline, state.next_id)
        });
        state.sleepers.insert(key, context.waker().clone());
        if state.sleepers.first_key_value().is_some_and(|(first, _)| *first == key) {
            self.alarm.shared.changed.notify_one();
        }
        drop(state);
        self.key = Some(key);
        Poll::Pending
    }
}

impl Drop for Sleep<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            let waker = self.alarm.shared.state.lock().sleepers.remove(&key);
            drop(waker);
        }
    }
}
