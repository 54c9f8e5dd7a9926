//! A queue that is shared by threads and tasks.

use std::sync::Arc;
use std::task::Waker;

use nyx_core::Instant;
use nyx_core::clock::{Clock, Monotonic};

use super::config::{Config, ConfigError};
use super::error::PushError;
use super::evicted::Evicted;
use super::fifo::Queue;
use super::item::Item;
use super::lock::{Guard, Lock};
use super::receiver::Receiver;
use super::sender::Sender;
use super::waiters::{Id, Waiters};

/// A queue in two halves. Each may be cloned; an item goes to one receiver.
///
/// It closes when a sender or a receiver says so, when all senders have gone, and when all receivers have. Where the
/// policy asks for the time, that is the machine's.
///
/// # Errors
/// Where nothing could ever be queued, or more items than can be counted.
///
/// ```
/// use std::time::Duration;
/// use nyx_stream::queue::{self, PopError};
///
/// let (sender, receiver) = queue::channel(queue::Config::default())?;
/// let producer = std::thread::spawn(move || {
///     for i in 0..3_u8 {
///         sender.try_send(vec![i; 1000]).expect("the receiver is there");
///     }
/// });
/// for i in 0..3 {
///     assert_eq!(receiver.blocking_recv(Duration::MAX)?[0], i);
/// }
/// assert_eq!(receiver.blocking_recv(Duration::MAX), Err(PopError::Closed));
/// # producer.join().unwrap();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn channel<T: Item>(config: Config) -> Result<(Sender<T>, Receiver<T>), ConfigError> {
    let clock = config.policy.is_timed().then(|| Box::new(Monotonic::new()) as Box<dyn Clock>);
    Shared::halves(config, clock)
}

/// A [`channel`] that takes the time from `clock`, so that it can run in virtual time.
///
/// # Errors
/// As for [`channel`].
///
/// ```
/// use std::time::Duration;
/// use nyx_core::clock::Manual;
/// use nyx_stream::queue::{self, Config, Policy, PopError};
///
/// let clock = Manual::new();
/// let policy = Policy::Predictive { max_age: Duration::from_millis(50) };
/// let (sender, receiver) = queue::channel_with_clock(Config::new(8, 1 << 20, policy), clock.clone())?;
/// assert!(sender.try_send(b"stale".to_vec()).is_ok());
/// clock.advance(Duration::from_millis(51));
/// assert_eq!(receiver.try_recv(), Err(PopError::Empty));
/// # Ok::<(), queue::ConfigError>(())
/// ```
pub fn channel_with_clock<T: Item>(
    config: Config,
    clock: impl Clock + 'static,
) -> Result<(Sender<T>, Receiver<T>), ConfigError> {
    Shared::halves(config, config.policy.is_timed().then(|| Box::new(clock) as Box<dyn Clock>))
}

/// What both halves hold. On cache lines of its own, so that whoever clones a half does not disturb who uses one.
#[repr(C, align(128))]
pub(super) struct Shared<T> {
    state: Lock<State<T>>,
    /// Only where the policy asks for the time.
    clock: Option<Box<dyn Clock>>,
}

/// What is under the lock.
#[repr(C)]
pub(super) struct State<T> {
    /// Whether anybody waits at either end, beside what a push or a pop touches anyway.
    pub(super) anyone_waits: bool,
    pub(super) queue: Queue<T>,
    senders: Side,
    receivers: Side,
}

/// One end.
#[derive(Default)]
struct Side {
    waiters: Waiters,
    handles: usize,
}

/// Which end.
#[derive(Clone, Copy)]
pub(super) enum End {
    Send,
    Receive,
}

impl<T: Item> Shared<T> {
    fn halves(
        config: Config,
        clock: Option<Box<dyn Clock>>,
    ) -> Result<(Sender<T>, Receiver<T>), ConfigError> {
        let state = State {
            anyone_waits: false,
            queue: Queue::new(config)?,
            senders: Side::default(),
            receivers: Side::default(),
        };
        let shared = Arc::new(Self { state: Lock::new(state), clock });
        Ok((Sender::new(shared.clone()), Receiver::new(shared)))
    }
}

impl<T> Shared<T> {
    /// The moment, where that matters. Read before the lock is taken.
    #[inline]
    pub(super) fn now(&self) -> Instant {
        self.clock.as_ref().map_or(Instant::ZERO, |clock| clock.now())
    }

    #[inline]
    pub(super) fn lock(&self) -> Guard<'_, State<T>> {
        self.state.lock()
    }

    /// Ends whatever was done under the lock, and wakes those who wait for it.
    #[inline]
    pub(super) fn unlock(state: Guard<'_, State<T>>) {
        if state.anyone_waits {
            Self::unlock_and_wake(state);
        }
    }

    /// One at each end, if it has something to do there. It unlocks in turn, so nobody waits beside something to do.
    #[inline(never)]
    fn unlock_and_wake(mut state: Guard<'_, State<T>>) {
        let receiver = if state.queue.is_empty() { None } else { state.receivers.waiters.next(|_| true) };
        let State { queue, senders, .. } = &mut *state;
        let sender = senders.waiters.next(|bytes| queue.has_room(bytes));
        state.anyone_waits = !state.receivers.waiters.is_idle() || !state.senders.waiters.is_idle();
        drop(state);
        [receiver, sender].into_iter().flatten().for_each(Waker::wake);
    }

    /// One more holds this end.
    pub(super) fn enter(&self, end: End) {
        self.lock().side(end).handles += 1;
    }

    /// One less; the last one closes the queue.
    pub(super) fn leave(&self, end: End) {
        let mut state = self.lock();
        let side = state.side(end);
        side.handles -= 1;
        let is_last = side.handles == 0;
        drop(state);
        if is_last {
            self.close();
        }
    }

    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.queue.close();
        let (senders, receivers) = (state.senders.waiters.all(), state.receivers.waiters.all());
        state.anyone_waits = false;
        drop(state);
        senders.chain(receivers).for_each(Waker::wake);
    }
}

impl<T: Item> State<T> {
    /// Queues an item of the sender that waits as `id`, if any, unless it has to let an earlier one go before.
    pub(super) fn push(
        &mut self,
        id: Option<Id>,
        now: Instant,
        item: T,
        evicted: &mut Evicted<T>,
    ) -> Result<(), PushError<T>> {
        if self.senders.waiters.is_before(id) && !self.queue.is_closed() {
            return Err(PushError::Full(item));
        }
        self.queue.push_into(now, item, evicted)
    }
}

impl<T> State<T> {
    /// Has `waker` woken when there is something to do at this end; for a sender, when there is room for `need` bytes.
    /// Returns one that is no longer needed, to be dropped outside.
    pub(super) fn register(
        &mut self,
        end: End,
        id: &mut Option<Id>,
        need: usize,
        waker: &Waker,
    ) -> Option<Waker> {
        self.anyone_waits = true;
        self.side(end).waiters.register(id, need, waker)
    }

    /// Whoever it was waits no longer. Returns the waker, to be dropped outside.
    pub(super) fn leave(&mut self, end: End, id: &mut Option<Id>) -> Option<Waker> {
        self.side(end).waiters.leave(id)
    }

    const fn side(&mut self, end: End) -> &mut Side {
        match end {
            End::Send => &mut self.senders,
            End::Receive => &mut self.receivers,
        }
    }
}

/// A place in the row of those who wait at one end. Whoever gives it up, even after having been woken, lets others
/// have what that was about.
pub(super) struct Place<'a, T> {
    shared: &'a Shared<T>,
    end: End,
    pub(super) id: Option<Id>,
}

impl<'a, T> Place<'a, T> {
    /// Not waiting yet.
    pub(super) const fn new(shared: &'a Shared<T>, end: End) -> Self {
        Self { shared, end, id: None }
    }
}

impl<T> Drop for Place<'_, T> {
    fn drop(&mut self) {
        if self.id.is_none() {
            return;
        }
        let mut state = self.shared.lock();
        let own = state.leave(self.end, &mut self.id);
        Shared::unlock(state);
        drop(own);
    }
}
