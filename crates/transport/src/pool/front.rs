//! Who gets which connection: the decisions of one address as a value.
//!
//! It never does I/O and never calls a waker; it hands wakers out to be called when its lock is free. Two things hold
//! at all times: while somebody waits, nothing is idle and no slot is free; and whoever waits is served in order of
//! arrival. So nobody who comes later overtakes, and nobody waits for what is there.

use std::collections::VecDeque;
use std::task::Waker;
use std::time::Duration;

use nyx_core::Instant;

/// Connections that rest, tasks that wait, and how many may be open.
#[derive(Debug)]
pub(super) struct Front<T> {
    /// The one used last stands last, and is used first: so those that are not needed age, and are closed.
    idle: Vec<Parked<T>>,
    /// In order of arrival. The first `granted` of them have been served and not come for it yet.
    waiters: VecDeque<Waiter<T>>,
    granted: usize,
    next_ticket: u64,
    /// Connections that exist or are being made.
    open: usize,
    open_max: usize,
    waiters_max: usize,
}

/// A connection at rest. It is dated when somebody next looks at all of them: reading the clock would be a quarter of what giving it
/// back and taking it again cost.
#[derive(Debug)]
pub(super) struct Parked<T> {
    pub(super) connection: T,
    pub(super) since: Option<Instant>,
}

impl<T> Parked<T> {
    /// How long it has rested at least.
    pub(super) fn rested(&self, now: Instant) -> Duration {
        self.since.map_or(Duration::ZERO, |since| now - since)
    }
}

/// What somebody who asks for a connection is told.
#[derive(Debug)]
pub(super) enum Answer<T> {
    /// Here is one.
    Idle(Parked<T>),
    /// Make one; the place is reserved.
    Open,
    /// Come back with this ticket.
    Wait(u64),
    /// So many wait already that no more may.
    Full,
}

/// What somebody who waited gets.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Grant<T> {
    /// What another gave back this moment.
    Connection(T),
    /// A place: make a connection.
    Slot,
    /// The time is over.
    Expired,
}

#[derive(Debug)]
struct Waiter<T> {
    ticket: u64,
    deadline: Instant,
    state: State<T>,
}

#[derive(Debug)]
enum State<T> {
    Waiting(Waker),
    Granted(Grant<T>),
}

impl<T> Front<T> {
    pub(super) const fn new(open_max: usize, waiters_max: usize) -> Self {
        Self {
            idle: Vec::new(),
            waiters: VecDeque::new(),
            granted: 0,
            next_ticket: 0,
            open: 0,
            open_max,
            waiters_max,
        }
    }

    /// Connections that exist or are being made.
    pub(super) const fn open(&self) -> usize {
        self.open
    }

    pub(super) const fn idle(&self) -> usize {
        self.idle.len()
    }

    /// Tasks that wait, without those that have been served.
    pub(super) fn waiting(&self) -> usize {
        self.waiters.len() - self.granted
    }

    /// Takes the connection that was used last, if one rests.
    #[inline]
    pub(super) fn take_idle(&mut self) -> Option<Parked<T>> {
        self.idle.pop()
    }

    /// A place for one more connection, which the caller makes; `None` where all are taken.
    pub(super) const fn reserve(&mut self) -> Option<()> {
        if self.open >= self.open_max {
            return None;
        }
        self.open += 1;
        Some(())
    }

    /// Somebody wants a connection, and would wait until `deadline`.
    pub(super) fn acquire(&mut self, deadline: Instant, waker: &Waker) -> Answer<T> {
        if let Some(parked) = self.take_idle() {
            return Answer::Idle(parked);
        }
        if self.reserve().is_some() {
            return Answer::Open;
        }
        if self.waiting() >= self.waiters_max {
            return Answer::Full;
        }
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.waiters.push_back(Waiter { ticket, deadline, state: State::Waiting(waker.clone()) });
        Answer::Wait(ticket)
    }

    /// A connection comes back: to who waits longest, or to rest.
    #[inline]
    pub(super) fn release(&mut self, connection: T) -> Option<Waker> {
        if self.waiters.len() > self.granted {
            return self.grant(Grant::Connection(connection));
        }
        self.idle.push(Parked { connection, since: None });
        None
    }

    /// A connection rests that was elsewhere, while nobody waits.
    pub(super) fn park(&mut self, connection: T) {
        debug_assert!(self.waiting() == 0, "it goes to who waits");
        self.idle.push(Parked { connection, since: None });
    }

    /// A connection is gone, or could not be made: its place goes to who waits longest, or is free.
    pub(super) fn vacate(&mut self) -> Option<Waker> {
        if self.waiting() > 0 {
            return self.grant(Grant::Slot);
        }
        self.open -= 1;
        None
    }

    /// What the ticket has come to; `None`, and the waker is kept, while it has not.
    pub(super) fn poll(&mut self, ticket: u64, waker: &Waker) -> Option<Grant<T>> {
        let place = self.place(ticket)?;
        match &mut self.waiters[place].state {
            State::Granted(_) => self.collect(place),
            State::Waiting(kept) => {
                kept.clone_from(waker);
                None
            }
        }
    }

    /// Gives a ticket up. What it had come to is returned, and goes to somebody else.
    pub(super) fn cancel(&mut self, ticket: u64) -> Option<Grant<T>> {
        let place = self.place(ticket)?;
        self.collect(place)
    }

    /// When the first of those who wait has waited for long enough.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.waiters.get(self.granted).map(|waiter| waiter.deadline)
    }

    /// Tells the first of those who wait that its time is over, if it is.
    pub(super) fn expire(&mut self, now: Instant) -> Option<Waker> {
        let due = self.deadline().is_some_and(|deadline| deadline <= now);
        if due { self.grant(Grant::Expired) } else { None }
    }

    /// Dates those at rest that are not, and takes those of which `close` says so. Their places stay taken until [`vacate`](Self::vacate).
    pub(super) fn take_if(&mut self, now: Instant, mut close: impl FnMut(&mut Parked<T>) -> bool) -> Vec<T> {
        for parked in &mut self.idle {
            parked.since.get_or_insert(now);
        }
        self.idle.extract_if(.., |parked| close(parked)).map(|parked| parked.connection).collect()
    }

    /// Since when the longest unused connection rests, or the latest of times while that is not known.
    pub(super) fn oldest_idle(&self) -> Option<Instant> {
        self.idle.first().map(|parked| parked.since.unwrap_or(Instant::from_nanos(u64::MAX)))
    }

    /// Takes the longest unused connection. Its place stays taken until [`vacate`](Self::vacate).
    pub(super) fn take_oldest(&mut self) -> Option<T> {
        (!self.idle.is_empty()).then(|| self.idle.remove(0).connection)
    }

    /// Grants are in order of arrival, so those who have theirs stand in front.
    fn grant(&mut self, grant: Grant<T>) -> Option<Waker> {
        let waiter = self.waiters.get_mut(self.granted)?;
        self.granted += 1;
        match std::mem::replace(&mut waiter.state, State::Granted(grant)) {
            State::Waiting(waker) => Some(waker),
            State::Granted(_) => None,
        }
    }

    fn place(&self, ticket: u64) -> Option<usize> {
        self.waiters.binary_search_by_key(&ticket, |waiter| waiter.ticket).ok()
    }

    fn collect(&mut self, place: usize) -> Option<Grant<T>> {
        match self.waiters.remove(place)?.state {
            State::Granted(grant) => {
                self.granted -= 1;
                Some(grant)
            }
            State::Waiting(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ticket(answer: Answer<u32>) -> u64 {
        match answer {
            Answer::Wait(ticket) => ticket,
            other => panic!("{other:?}"),
        }
    }

    fn at(nanos: u64) -> Instant {
        Instant::from_nanos(nanos)
    }

    #[test]
    fn the_connection_used_last_is_used_first() {
        let mut front = Front::new(2, 10);
        assert!(matches!(front.acquire(at(9), Waker::noop()), Answer::Open));
        assert!(matches!(front.acquire(at(9), Waker::noop()), Answer::Open));
        assert!(front.release(1).is_none() && front.release(2).is_none());
        assert!(matches!(
            front.acquire(at(9), Waker::noop()),
            Answer::Idle(Parked { connection: 2, since: None })
        ));
    }

    #[test]
    fn who_came_first_is_served_first_and_nobody_overtakes() {
        let mut front = Front::new(1, 10);
        assert!(matches!(front.acquire(at(9), Waker::noop()), Answer::Open));
        let (first, second) =
            (ticket(front.acquire(at(9), Waker::noop())), ticket(front.acquire(at(9), Waker::noop())));
        front.release(7);
        // Served, but not yet there to take it: whoever asks now waits behind both.
        let third = ticket(front.acquire(at(9), Waker::noop()));
        assert_eq!(front.poll(second, Waker::noop()), None);
        assert_eq!(front.poll(first, Waker::noop()), Some(Grant::Connection(7)));
        front.release(7);
        front.vacate();
        assert_eq!(front.poll(second, Waker::noop()), Some(Grant::Connection(7)));
        assert_eq!(front.poll(third, Waker::noop()), Some(Grant::Slot));
    }

    #[test]
    fn only_who_waited_for_too_long_is_told_so() {
        let mut front: Front<u32> = Front::new(0, 10);
        let (first, second) =
            (ticket(front.acquire(at(10), Waker::noop())), ticket(front.acquire(at(20), Waker::noop())));
        front.expire(at(9));
        assert_eq!((front.waiting(), front.deadline()), (2, Some(at(10))));
        front.expire(at(10));
        front.expire(at(10));
        assert_eq!(front.poll(first, Waker::noop()), Some(Grant::Expired));
        assert_eq!(front.poll(second, Waker::noop()), None);
    }

    #[test]
    fn no_more_wait_than_may() {
        let mut front: Front<u32> = Front::new(0, 1);
        ticket(front.acquire(at(1), Waker::noop()));
        assert!(matches!(front.acquire(at(1), Waker::noop()), Answer::Full));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Acquire,
        Release(usize),
        Lose(usize),
        Poll(usize),
        Cancel(usize),
        Expire,
        Reap,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => Just(Step::Acquire),
            3 => (0usize..8).prop_map(Step::Release),
            1 => (0usize..8).prop_map(Step::Lose),
            3 => (0usize..8).prop_map(Step::Poll),
            1 => (0usize..8).prop_map(Step::Cancel),
            1 => Just(Step::Expire),
            1 => Just(Step::Reap),
        ];
        prop::collection::vec(step, 1..200)
    }

    /// Tasks with connections and tasks with tickets, as a pool has them.
    #[derive(Default)]
    struct World {
        held: Vec<u32>,
        tickets: Vec<u64>,
        made: u32,
        served: Vec<u64>,
    }

    impl World {
        fn make(&mut self) {
            self.made += 1;
            self.held.push(self.made);
        }

        fn take(&mut self, grant: Grant<u32>) {
            match grant {
                Grant::Connection(connection) => self.held.push(connection),
                Grant::Slot => self.make(),
                Grant::Expired => {}
            }
        }
    }

    proptest! {
        #[test]
        fn nothing_is_lost_doubled_or_overtaken(steps in steps(), max in 1usize..5) {
            let (mut front, mut world) = (Front::new(max, 6), World::default());
            for (step, now) in steps.into_iter().zip(1u64..) {
                match step {
                    Step::Acquire => match front.acquire(at(now + 20), Waker::noop()) {
                        Answer::Idle(parked) => world.held.push(parked.connection),
                        Answer::Open => world.make(),
                        Answer::Wait(ticket) => world.tickets.push(ticket),
                        Answer::Full => prop_assert_eq!(front.waiting(), 6),
                    },
                    Step::Release(n) if n < world.held.len() => {
                        front.release(world.held.swap_remove(n));
                    }
                    Step::Lose(n) if n < world.held.len() => {
                        world.held.swap_remove(n);
                        front.vacate();
                    }
                    Step::Poll(n) if n < world.tickets.len() => {
                        let ticket = world.tickets[n];
                        if let Some(grant) = front.poll(ticket, Waker::noop()) {
                            world.tickets.remove(n);
                            world.served.push(ticket);
                            world.take(grant);
                        }
                    }
                    Step::Cancel(n) if n < world.tickets.len() => {
                        match front.cancel(world.tickets.remove(n)) {
                            Some(Grant::Connection(connection)) => drop(front.release(connection)),
                            Some(Grant::Slot) => drop(front.vacate()),
                            Some(Grant::Expired) | None => {}
                        }
                    }
                    Step::Expire => drop(front.expire(at(now))),
                    Step::Reap => {
                        for _ in front.take_if(at(now), |parked| parked.rested(at(now)) > Duration::from_nanos(30)) {
                            front.vacate();
                        }
                    }
                    _ => {}
                }
                // What is open is held, rests, or has been granted.
                let granted = front.waiters.iter().filter(|waiter| {
                    matches!(waiter.state, State::Granted(Grant::Connection(_) | Grant::Slot))
                });
                prop_assert_eq!(front.open, world.held.len() + front.idle() + granted.count());
                prop_assert!(front.open <= max);
                prop_assert!(front.waiting() == 0 || front.idle() == 0 && front.open == max);
                let prefix = front.waiters.iter().take_while(|waiter| matches!(waiter.state, State::Granted(_)));
                prop_assert_eq!(prefix.count(), front.granted);
            }
        }
    }
}
