//! One address: its connections, who waits for them, and how a new one is made.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Weak};
use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{self, Object, PoolError, Timeouts};
use nyx_core::handoff::Back;
use nyx_core::{Clock, Instant};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::backoff::Backoff;
use super::connector::{Check, Connection, Connector, Liveness};
use super::desk::{Desk, Grant, Waiter};
use super::error::{AcquireError, ErrorOf};
use super::front::{Answer, Front, Parked};
use super::guard::{Attempt, Place, Turn};
use super::registry::{Common, Registry};
use super::stats::{Reason, Stats};
use super::uses::Uses;

/// A connection as deadpool keeps it. It changes hands often and under a lock, and is a hundred bytes and more: so its box does.
pub(super) type Held<C, K> = Box<Pooled<C, K>>;

type Pooled<C, K> = Object<Maker<C, K>>;

/// What somebody who waited gets.
pub(super) type Granted<C, K> = Grant<Pooled<C, K>>;

/// What deadpool hands out. The connection is closed before its place in the total is free.
#[derive(Debug)]
pub(super) struct Entry<T> {
    pub(super) connection: T,
    expires: Instant,
    /// Until when it may be used again without a closer look: [`Common::trust`] after it was last taken from rest, and so earlier than that
    /// after it was given back.
    trusted_until: Instant,
    uses: Uses,
    _place: Option<OwnedSemaphorePermit>,
}

pub(super) struct Site<C: Connector, K: Clock + 'static> {
    address: C::Address,
    pub(super) common: Arc<Common<C, K>>,
    registry: Weak<Registry<C, K>>,
    /// Makes connections, within its size and the time for connecting, and gives the place of each that is closed free.
    pool: managed::Pool<Maker<C, K>>,
    pub(super) desk: Desk<Pooled<C, K>>,
    /// Whether a task makes up for connections at rest that are missing.
    pub(super) is_topping_up: AtomicBool,
}

impl<C: Connector, K: Clock + 'static> Site<C, K> {
    pub(super) fn new(
        address: C::Address,
        common: Arc<Common<C, K>>,
        registry: Weak<Registry<C, K>>,
        seed: u64,
    ) -> Self {
        let config = &common.config;
        let size = config.per_address.max(1);
        let maker = Maker { address: address.clone(), common: Arc::clone(&common) };
        let timeouts = Timeouts { create: Some(config.connect_timeout), ..Timeouts::default() };
        let builder =
            managed::Pool::builder(maker).max_size(size).timeouts(timeouts).runtime(Runtime::Tokio1);
        let pool = builder.build().expect("a runtime is set, which is all that a builder asks for");
        let desk = Desk::new(Front::new(size, config.waiters), Backoff::new(config.backoff, seed), seed);
        Self { address, common, registry, pool, desk, is_topping_up: AtomicBool::new(false) }
    }

    pub(super) const fn address(&self) -> &C::Address {
        &self.address
    }

    /// A living connection that rests.
    #[inline]
    pub(super) fn take_idle(&self) -> Option<Held<C, K>> {
        let Some(mut held) = self.desk.last.take() else { return self.take_parked() };
        let now = self.common.clock.now();
        if now < held.trusted_until && held.connection.liveness(Check::Readiness) == Liveness::Alive {
            return Some(self.reuse(held, now));
        }
        self.examine(Parked { connection: held, since: None }, now).or_else(|| self.take_parked())
    }

    /// The same, of those behind the lock.
    fn take_parked(&self) -> Option<Held<C, K>> {
        // Nothing rests while somebody waits.
        while !self.desk.last.is_wanted() {
            let parked = self.desk.open().front.take_idle()?;
            if let Some(held) = self.examine(parked, self.common.clock.now()) {
                return Some(held);
            }
        }
        None
    }

    /// A connection that rested, if it can be used; otherwise it is closed.
    fn examine(&self, mut parked: Parked<Held<C, K>>, now: Instant) -> Option<Held<C, K>> {
        let check = if now < parked.connection.trusted_until { Check::Readiness } else { Check::Kernel };
        match self.verdict(&mut parked, now, check) {
            None => Some(self.reuse(parked.connection, now)),
            Some(reason) => {
                self.close(*parked.connection, reason);
                None
            }
        }
    }

    #[inline]
    fn reuse(&self, mut held: Held<C, K>, now: Instant) -> Held<C, K> {
        held.uses.count();
        held.trusted_until = held.expires.min(now + self.common.trust);
        held
    }

    /// The next connection that is given back, or a new one: for who found none at rest.
    pub(super) async fn wait(&self) -> Result<Held<C, K>, ErrorOf<C>> {
        if self.common.is_closed() {
            return Err(AcquireError::Closed);
        }
        let asked = self.common.clock.now();
        let deadline = asked + self.common.config.acquire_timeout;
        let (waiter, told) = oneshot::channel();
        let grant = match self.desk.ask(deadline, waiter) {
            Answer::Idle(parked) => Grant::Connection(parked.connection),
            Answer::Open => Grant::Slot,
            Answer::Full => return Err(self.crowded()),
            Answer::Wait(ticket) => {
                self.common.expect_by(deadline);
                Turn::new(self, ticket, told).await.map_err(|_| AcquireError::Closed)?
            }
        };
        match grant {
            Grant::Expired => return Err(self.exhausted()),
            Grant::Slot => {}
            // Another used it a moment ago. Where somebody always waits, it never rests, and its age shows here alone: as of when it was asked for,
            // since who has waited for longest would wait for another look at the clock.
            Grant::Connection(mut held) => match held.verdict(asked, Check::Readiness) {
                None => {
                    held.uses.count();
                    return Ok(held);
                }
                Some(reason) => self.discard(*held, reason),
            },
        }
        // There is a place for it. What follows is rare and long: on the heap it makes waiting no longer.
        Box::pin(self.open()).await
    }

    /// Makes a connection in a place that is reserved for it, and takes one in the total.
    async fn open(&self) -> Result<Held<C, K>, ErrorOf<C>> {
        let place = Place::new(self);
        self.check_backoff(|backoff, now| if backoff.is_resting(now) { backoff.begin(now) } else { Ok(()) })?;
        let permit = self.permit().await?;
        self.connect(place, permit).await
    }

    /// Makes a connection for which there is a place, here and in the total.
    pub(super) async fn connect(
        &self,
        place: Place<'_, C, K>,
        permit: OwnedSemaphorePermit,
    ) -> Result<Held<C, K>, ErrorOf<C>> {
        self.check_backoff(Backoff::begin)?;
        let attempt = Attempt::new(self);
        let result = self.pool.get().await;
        attempt.end(result.is_ok());
        let mut held = Box::new(result.map_err(|error| self.connect_error(error))?);
        held._place = Some(permit);
        let now = self.common.clock.now();
        let mut state = self.desk.open();
        let lifetime = self.common.config.lifetime;
        held.expires = now + lifetime.mul_f64(1.0 - state.random.f64() / 10.0);
        held.trusted_until = held.expires.min(now + self.common.trust);
        held.uses = state.uses.begin();
        state.ledger.created += 1;
        drop(state);
        place.keep();
        Ok(held)
    }

    /// A place in the total. Where none is free, the connection that has rested longest makes room, or the next that is given back.
    async fn permit(&self) -> Result<OwnedSemaphorePermit, ErrorOf<C>> {
        let common = &self.common;
        if let Ok(permit) = Arc::clone(&common.total).try_acquire_owned() {
            return Ok(permit);
        }
        let _starving = common.starve();
        if let Some(registry) = self.registry.upgrade() {
            registry.evict_oldest();
        }
        let permit = Arc::clone(&common.total).acquire_owned();
        match tokio::time::timeout(common.config.acquire_timeout, permit).await {
            Ok(permit) => permit.map_err(|_| AcquireError::Closed),
            Err(_) => Err(self.exhausted()),
        }
    }

    /// Takes a connection back whose exchange is complete.
    #[inline]
    pub(super) fn give_back(&self, held: Held<C, K>) {
        let back = self.desk.last.leave(held);
        // Who needs a place says so before it looks here: so either it finds this one at rest, or it is seen.
        if !back.is_empty() || self.common.wants_back().is_some() {
            self.give_all_on(back);
        }
    }

    /// Brings behind the lock what came back, and what lies in front of it if somebody needs a place.
    #[cold]
    fn give_all_on(&self, back: Back<Pooled<C, K>>) {
        back.into_iter().for_each(|held| self.give_on(held));
        if self.common.wants_back().is_some()
            && let Some(held) = self.desk.last.reclaim()
        {
            self.give_on(held);
        }
    }

    /// Gives a connection to who waits, or puts it to rest behind the lock.
    fn give_on(&self, mut held: Held<C, K>) {
        loop {
            let mut state = self.desk.open();
            // As above: the place is looked for under this lock.
            if let Some(reason) = self.common.wants_back() {
                drop(state);
                return self.close(*held, reason);
            }
            let Some((waiter, connection)) = state.front.release(held) else { return };
            drop(state);
            match waiter.send(Grant::Connection(connection)) {
                // Who has given up waiting just now does not take it.
                Err(Grant::Connection(connection)) => held = connection,
                _ => return,
            }
        }
    }

    /// Closes a connection, and lets its place go to somebody else.
    pub(super) fn close(&self, held: Pooled<C, K>, reason: Reason) {
        self.discard(held, reason);
        self.vacate();
    }

    /// Gives a turn up, and passes on what it had come to.
    pub(super) fn cancel_turn(&self, ticket: u64, told: &mut oneshot::Receiver<Granted<C, K>>) {
        if self.desk.open().front.cancel(ticket) {
            return;
        }
        // Whoever is about to tell finds that nobody listens, and passes it on.
        told.close();
        match told.try_recv() {
            Ok(Grant::Connection(held)) => self.give_back(held),
            Ok(Grant::Slot) => self.vacate(),
            Ok(Grant::Expired) | Err(_) => {}
        }
    }

    /// What became of an attempt to connect; `None` where it was given up.
    pub(super) fn end_attempt(&self, reached: Option<bool>) {
        let now = self.common.clock.now();
        let mut state = self.desk.open();
        match reached {
            Some(true) => state.backoff.succeeded(),
            Some(false) => {
                state.backoff.failed(now);
                state.ledger.failed += 1;
            }
            None => state.backoff.abandoned(),
        }
    }

    fn discard(&self, held: Pooled<C, K>, reason: Reason) {
        let Entry { uses, .. } = Object::take(held);
        let mut state = self.desk.open();
        state.uses.end(&uses);
        state.ledger.close(reason);
    }

    /// Gives the place of a connection that is gone to who waits, or free.
    pub(super) fn vacate(&self) {
        // Who has given up waiting just now does not take it.
        while self.next_for_place().is_some_and(|waiter| waiter.send(Grant::Slot).is_err()) {}
    }

    fn next_for_place(&self) -> Option<Waiter<Pooled<C, K>>> {
        self.desk.open().front.vacate()
    }

    /// Whether to close a connection that rested instead of using it, and why.
    fn verdict(&self, parked: &mut Parked<Held<C, K>>, now: Instant, check: Check) -> Option<Reason> {
        if parked.rested(now) >= self.common.config.idle {
            return Some(Reason::Idle);
        }
        parked.connection.verdict(now, check)
    }

    fn check_backoff(
        &self,
        check: impl FnOnce(&mut Backoff, Instant) -> Result<(), Duration>,
    ) -> Result<(), ErrorOf<C>> {
        let now = self.common.clock.now();
        let mut state = self.desk.open();
        check(&mut state.backoff, now).map_err(|retry_in| {
            state.ledger.refused += 1;
            let failures = state.backoff.failures();
            AcquireError::Resting { address: self.address.clone(), failures, retry_in }
        })
    }

    fn connect_error(&self, error: PoolError<C::Error>) -> ErrorOf<C> {
        let address = self.address.clone();
        match error {
            PoolError::Backend(source) => AcquireError::Connect { address, source },
            PoolError::Timeout(_) => {
                AcquireError::ConnectTimeout { address, timeout: self.common.config.connect_timeout }
            }
            // It has a runtime, and no hook.
            PoolError::Closed | PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_) => {
                AcquireError::Closed
            }
        }
    }

    fn exhausted(&self) -> ErrorOf<C> {
        self.desk.open().ledger.exhausted += 1;
        AcquireError::Exhausted { address: self.address.clone(), timeout: self.common.config.acquire_timeout }
    }

    fn crowded(&self) -> ErrorOf<C> {
        let mut state = self.desk.open();
        state.ledger.exhausted += 1;
        AcquireError::Crowded { address: self.address.clone(), waiting: state.front.waiting() }
    }

    /// Tells those who have waited for too long, and says when the next one will have.
    pub(super) fn expire(&self, now: Instant) -> Option<Instant> {
        loop {
            let mut state = self.desk.open();
            let due = state.front.deadline()?;
            if due > now {
                return Some(due);
            }
            let waiter = state.front.expire(now);
            drop(state);
            // Who has given up waiting need not be told.
            let _ = waiter.map(|waiter| waiter.send(Grant::Expired));
        }
    }

    /// Closes what is too old or broken.
    pub(super) fn reap(&self, now: Instant) {
        let mut reasons = Vec::new();
        let gone = self.desk.gather().front.take_if(now, |parked| {
            let reason = self.verdict(parked, now, Check::Kernel);
            reasons.extend(reason);
            reason.is_some()
        });
        gone.into_iter().zip(reasons).for_each(|(held, reason)| self.close(*held, reason));
    }

    pub(super) fn oldest_idle(&self) -> Option<Instant> {
        self.desk.gather().front.oldest_idle()
    }

    /// Closes the connection that has rested longest.
    pub(super) fn close_oldest(&self, reason: Reason) -> bool {
        let oldest = self.desk.gather().front.take_oldest();
        oldest.map(|held| self.close(*held, reason)).is_some()
    }

    /// Whether there is nothing here worth remembering.
    pub(super) fn is_unused(&self, now: Instant) -> bool {
        let state = self.desk.open();
        state.front.open() == 0 && state.front.waiting() == 0 && !state.backoff.is_resting(now)
    }

    pub(super) fn stats(&self) -> Stats {
        let state = self.desk.gather();
        let (idle, open, waiting) = (state.front.idle(), state.front.open(), state.front.waiting());
        let mut stats = state.ledger;
        (stats.idle, stats.in_use, stats.waiting) = (idle, open - idle, waiting);
        (stats.reused, stats.waited) = (state.uses.total(), state.front.waited());
        stats
    }
}

impl<T: Connection> Entry<T> {
    /// Whether it is too old or can't be used any more.
    fn verdict(&mut self, now: Instant, check: Check) -> Option<Reason> {
        if now >= self.expires { Some(Reason::Lifetime) } else { self.liveness(check) }
    }

    fn liveness(&mut self, check: Check) -> Option<Reason> {
        match self.connection.liveness(check) {
            Liveness::Alive => None,
            Liveness::Closed => Some(Reason::Peer),
            Liveness::Unread => Some(Reason::Unread),
        }
    }
}

/// Connects for deadpool.
pub(super) struct Maker<C: Connector, K: Clock + 'static> {
    address: C::Address,
    common: Arc<Common<C, K>>,
}

impl<C: Connector, K: Clock + 'static> managed::Manager for Maker<C, K> {
    type Type = Entry<C::Connection>;
    type Error = C::Error;

    async fn create(&self) -> Result<Self::Type, C::Error> {
        let connection = self.common.connector.connect(&self.address).await?;
        Ok(Entry {
            connection,
            expires: Instant::ZERO,
            trusted_until: Instant::ZERO,
            uses: Uses::default(),
            _place: None,
        })
    }

    /// What a user drops is closed and what rests stays in front, so deadpool itself never holds one to give out again.
    async fn recycle(&self, _: &mut Self::Type, _: &managed::Metrics) -> managed::RecycleResult<C::Error> {
        Ok(())
    }
}
