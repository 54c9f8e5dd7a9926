//! Who gets which connection: the decisions of one address as a value.
//!
//! It never does I/O and never tells anybody anything: it hands out who is to be told, when its lock is free. Two things hold at all times: while
//! somebody waits, nothing is idle and no slot is free; and whoever waits is served in order of arrival. So nobody who comes later
//! overtakes, and nobody waits for what is there.

use std::collections::VecDeque;
use std::time::Duration;

use nyx_core::Instant;

/// Connections `T` that rest, those who wait, each told through its `W`, and how many may be open.
#[derive(Debug)]
pub(super) struct Front<T, W> {
    /// The one used last stands last, and is used first: so those that are not needed age, and are closed.
    idle: Vec<Parked<T>>,
    /// In order of arrival, and so of tickets.
    waiters: VecDeque<Waiter<W>>,
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
    /// You will be told. With this ticket the wish can be taken back.
    Wait(u64),
    /// So many wait already that no more may.
    Full,
}

#[derive(Debug)]
struct Waiter<W> {
    ticket: u64,
    deadline: Instant,
    who: W,
}

impl<T, W> Front<T, W> {
    pub(super) const fn new(open_max: usize, waiters_max: usize) -> Self {
        Self { idle: Vec::new(), waiters: VecDeque::new(), next_ticket: 0, open: 0, open_max, waiters_max }
    }

    /// Connections that exist or are being made.
    pub(super) const fn open(&self) -> usize {
        self.open
    }

    pub(super) const fn idle(&self) -> usize {
        self.idle.len()
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiters.len()
    }

    /// How many have waited, those who still do included.
    pub(super) const fn waited(&self) -> u64 {
        self.next_ticket
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

    /// `who` wants a connection, and would wait until `deadline`.
    pub(super) fn acquire(&mut self, deadline: Instant, who: W) -> Answer<T> {
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
        self.waiters.push_back(Waiter { ticket, deadline, who });
        Answer::Wait(ticket)
    }

    /// A connection comes back: to rest, or, where that is returned, to who waits longest.
    #[inline]
    pub(super) fn release(&mut self, connection: T) -> Option<(W, T)> {
        let Some(who) = self.next() else {
            self.idle.push(Parked { connection, since: None });
            return None;
        };
        Some((who, connection))
    }

    /// A connection rests that was elsewhere, while nobody waits.
    pub(super) fn park(&mut self, connection: T) {
        debug_assert!(self.waiting() == 0, "it goes to who waits");
        self.idle.push(Parked { connection, since: None });
    }

    /// A connection is gone, or could not be made: its place is free, or, where that is returned, who waits longest has it.
    pub(super) fn vacate(&mut self) -> Option<W> {
        let next = self.next();
        if next.is_none() {
            self.open -= 1;
        }
        next
    }

    /// Takes a wish back. `false`: its turn has come.
    pub(super) fn cancel(&mut self, ticket: u64) -> bool {
        let place = self.waiters.binary_search_by_key(&ticket, |waiter| waiter.ticket);
        place.is_ok_and(|place| self.waiters.remove(place).is_some())
    }

    /// When the first of those who wait has waited for long enough.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.waiters.front().map(|waiter| waiter.deadline)
    }

    /// The first of those who wait, if its time is over.
    pub(super) fn expire(&mut self, now: Instant) -> Option<W> {
        self.deadline().filter(|deadline| *deadline <= now).and_then(|_| self.next())
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

    fn next(&mut self) -> Option<W> {
        self.waiters.pop_front().map(|waiter| waiter.who)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(nanos: u64) -> Instant {
        Instant::from_nanos(nanos)
    }

    #[test]
    fn the_connection_used_last_is_used_first() {
        let mut front = Front::new(2, 10);
        assert!(matches!(front.acquire(at(9), ()), Answer::Open));
        assert!(matches!(front.acquire(at(9), ()), Answer::Open));
        assert!(front.release(1).is_none() && front.release(2).is_none());
        assert!(matches!(front.acquire(at(9), ()), Answer::Idle(Parked { connection: 2, since: None })));
    }

    #[test]
    fn who_came_first_is_served_first() {
        let mut front = Front::new(1, 10);
        assert!(matches!(front.acquire(at(9), "maker"), Answer::Open));
        for who in ["first", "second", "third"] {
            assert!(matches!(front.acquire(at(9), who), Answer::Wait(_)));
        }
        assert_eq!(front.release(7), Some(("first", 7)));
        assert_eq!(front.vacate(), Some("second"));
        assert_eq!((front.waiting(), front.open()), (1, 1));
    }

    #[test]
    fn only_who_waited_for_too_long_is_told_so() {
        let mut front: Front<u32, _> = Front::new(0, 10);
        front.acquire(at(10), "first");
        front.acquire(at(20), "second");
        assert_eq!((front.expire(at(9)), front.deadline()), (None, Some(at(10))));
        assert_eq!(front.expire(at(10)), Some("first"));
        assert_eq!((front.expire(at(10)), front.waiting()), (None, 1));
    }

    #[test]
    fn no_more_wait_than_may() {
        let mut front: Front<u32, _> = Front::new(0, 1);
        assert!(matches!(front.acquire(at(1), ()), Answer::Wait(_)));
        assert!(matches!(front.acquire(at(1), ()), Answer::Full));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Acquire,
        Release(usize),
        Lose(usize),
        Cancel(usize),
        Expire,
        Reap,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => Just(Step::Acquire),
            3 => (0usize..8).prop_map(Step::Release),
            1 => (0usize..8).prop_map(Step::Lose),
            1 => (0usize..8).prop_map(Step::Cancel),
            1 => Just(Step::Expire),
            1 => Just(Step::Reap),
        ];
        prop::collection::vec(step, 1..200)
    }

    /// Tasks with connections, and tasks that wait, by their tickets.
    #[derive(Default)]
    struct World {
        held: Vec<u32>,
        waiting: VecDeque<(u64, u64)>,
        made: u32,
    }

    impl World {
        fn make(&mut self) {
            self.made += 1;
            self.held.push(self.made);
        }

        /// Whether it is the turn of who waits longest.
        fn serve(&mut self, who: u64) -> bool {
            self.waiting.pop_front().is_some_and(|(_, first)| first == who)
        }
    }

    proptest! {
        #[test]
        fn nothing_is_lost_doubled_or_overtaken(steps in steps(), max in 1usize..5) {
            let (mut front, mut world) = (Front::new(max, 6), World::default());
            for (step, now) in steps.into_iter().zip(1u64..) {
                match step {
                    Step::Acquire => match front.acquire(at(now + 20), now) {
                        Answer::Idle(parked) => world.held.push(parked.connection),
                        Answer::Open => world.make(),
                        Answer::Wait(ticket) => world.waiting.push_back((ticket, now)),
                        Answer::Full => prop_assert_eq!(front.waiting(), 6),
                    },
                    Step::Release(n) if n < world.held.len() => {
                        if let Some((who, connection)) = front.release(world.held.swap_remove(n)) {
                            prop_assert!(world.serve(who));
                            world.held.push(connection);
                        }
                    }
                    Step::Lose(n) if n < world.held.len() => {
                        world.held.swap_remove(n);
                        if let Some(who) = front.vacate() {
                            prop_assert!(world.serve(who));
                            world.make();
                        }
                    }
                    Step::Cancel(n) if n < world.waiting.len() => {
                        let ticket = world.waiting.remove(n).map_or(0, |(ticket, _)| ticket);
                        prop_assert!(front.cancel(ticket));
                        prop_assert!(!front.cancel(ticket));
                    }
                    Step::Expire => {
                        if let Some(who) = front.expire(at(now)) {
                            prop_assert!(world.serve(who) && who + 20 <= now);
                        }
                    }
                    Step::Reap => {
                        for _ in front.take_if(at(now), |parked| parked.rested(at(now)) > Duration::from_nanos(30)) {
                            front.vacate();
                        }
                    }
                    _ => {}
                }
                // What is open is held or rests.
                prop_assert_eq!(front.open(), world.held.len() + front.idle());
                prop_assert!(front.open() <= max);
                prop_assert_eq!(front.waiting(), world.waiting.len());
                prop_assert!(front.waiting() == 0 || front.idle() == 0 && front.open() == max);
            }
        }
    }
}
