//! What stands in front of a service.

use nyx_core::Lane;

use super::{Cap, Queue};

/// Lets requests go while the cap allows it, in the order of a [`Queue`].
///
/// ```
/// use nyx_core::Lane;
/// use nyx_protocol::requests::{Cap, Gate, Outcome};
///
/// let mut gate = Gate::new(Cap::fixed(1), 100);
/// gate.push(Lane::Low, "log").unwrap();
/// gate.push(Lane::High, "stop").unwrap();
/// let (ticket, request) = gate.next().unwrap();
/// assert_eq!(request, "stop");
/// assert!(gate.next().is_none());
/// gate.finish(ticket, Outcome::Answered);
/// assert_eq!(gate.next().unwrap().1, "log");
/// ```
#[derive(Debug)]
pub struct Gate<T> {
    cap: Cap,
    queue: Queue<T>,
    waiting_max: usize,
    under_way: usize,
    next_number: u64,
}

/// A request that is under way. To be given back.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a request that is not finished keeps its place"]
pub struct Ticket(u64);

/// What became of a request, as far as the cap is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered, with a yes or a no of its own.
    Answered,
    /// There are too many, or it was not answered in time.
    Refused,
    /// Nobody wants the answer any more, or the connection was lost: that says nothing.
    Abandoned,
}

impl<T> Gate<T> {
    /// Nobody waits. At most `waiting_max` may.
    pub fn new(cap: Cap, waiting_max: usize) -> Self {
        Self { cap, queue: Queue::default(), waiting_max, under_way: 0, next_number: 0 }
    }

    /// Requests under way.
    pub const fn under_way(&self) -> usize {
        self.under_way
    }

    /// How many may be.
    pub const fn limit(&self) -> usize {
        self.cap.limit()
    }

    /// Requests that wait.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Whether any request waits.
    pub fn is_waiting(&self) -> bool {
        !self.queue.is_empty()
    }

    /// A request waits to go.
    ///
    /// # Errors
    /// Gives it back when too many wait.
    pub fn push(&mut self, lane: Lane, request: T) -> Result<(), T> {
        if self.queue.len() >= self.waiting_max {
            return Err(request);
        }
        self.queue.push(lane, request);
        Ok(())
    }

    /// The next that may go now. O(1).
    #[expect(clippy::should_implement_trait, reason = "what it yields depends on what is finished between")]
    pub fn next(&mut self) -> Option<(Ticket, T)> {
        if self.under_way >= self.cap.limit() {
            return None;
        }
        let request = self.queue.pop()?;
        let ticket = Ticket(self.next_number);
        (self.under_way, self.next_number) = (self.under_way + 1, self.next_number + 1);
        Some((ticket, request))
    }

    /// A request is under way no longer.
    pub fn finish(&mut self, ticket: Ticket, outcome: Outcome) {
        match outcome {
            Outcome::Answered => self.cap.handle_answer(self.under_way),
            Outcome::Refused => self.cap.handle_refusal(ticket.0, self.next_number),
            Outcome::Abandoned => {}
        }
        self.under_way = self.under_way.saturating_sub(1);
    }

    /// As [`Queue::skip`]: so that the [next](Self::next) is not one that is gone.
    pub fn skip(&mut self, is_gone: impl FnMut(&T) -> bool) {
        self.queue.skip(is_gone);
    }

    /// Those whom `keep` does not want wait no longer, and are handed out. O(those that wait).
    pub fn remove(&mut self, keep: impl FnMut(&T) -> bool) -> Vec<T> {
        self.queue.remove(keep)
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Reverse;
    use std::collections::{BinaryHeap, HashMap};
    use std::time::Duration;

    use nyx_core::Instant;

    use super::*;

    /// What happened to a request: when it was sent and answered, and how.
    struct Seen {
        request: usize,
        sent: Instant,
        done: Instant,
        outcome: Outcome,
    }

    /// What comes, in which lane, if it is time for it.
    type Next<'a> = &'a mut dyn FnMut(Instant) -> Option<(Lane, usize)>;

    /// Runs what is in `gate`, and what comes then, in front of a server in virtual time: it takes `room` at a time, for as long as `service`
    /// says of each, and refuses what is above that, of which the client knows after a round trip. Returns what happened to each, in the order
    /// of the answers, and the most that the server had at a time.
    fn run(
        gate: &mut Gate<usize>,
        room: usize,
        service: impl Fn(usize) -> Duration,
        come: Next<'_>,
    ) -> (Vec<Seen>, usize) {
        let (mut events, mut under_way) = (BinaryHeap::new(), HashMap::new());
        let (mut seen, mut busy, mut most) = (Vec::new(), 0, 0);
        let mut now = Instant::ZERO;
        loop {
            while let Some((ticket, request)) = gate.next() {
                let is_taken = busy < room;
                let (outcome, time) = if is_taken {
                    (Outcome::Answered, service(request))
                } else {
                    (Outcome::Refused, ROUND_TRIP)
                };
                busy += usize::from(is_taken);
                most = most.max(busy);
                events.push(Reverse((now + time, request)));
                under_way.insert(request, (ticket, now, outcome));
            }
            let mut came = false;
            while gate.queue.len() < 1_000
                && let Some((lane, request)) = come(now)
            {
                gate.push(lane, request).unwrap();
                came = true;
            }
            if came {
                continue;
            }
            let Some(Reverse((done, request))) = events.pop() else { return (seen, most) };
            now = done;
            let (ticket, sent, outcome) = under_way.remove(&request).unwrap();
            busy -= usize::from(outcome == Outcome::Answered);
            gate.finish(ticket, outcome);
            seen.push(Seen { request, sent, done, outcome });
        }
    }

    const ROUND_TRIP: Duration = Duration::from_millis(1);

    fn at(millis: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(millis)
    }

    #[test]
    fn never_more_are_under_way_than_the_cap_allows() {
        let mut gate = Gate::new(Cap::fixed(10), 1_000);
        let mut left = (0..1_000).map(|n| (Lane::Medium, n));
        let time = |n: usize| Duration::from_millis(10 + (n as u64 * 7919) % 190);
        let (mut seen, most) = run(&mut gate, usize::MAX, time, &mut |_| left.next());
        assert_eq!(most, 10);
        seen.sort_by_key(|seen| seen.request);
        assert!(seen.iter().map(|seen| seen.request).eq(0..1_000), "each once");
    }

    #[test]
    fn urgent_requests_go_first_and_the_others_all_the_same() {
        let mut gate = Gate::new(Cap::fixed(2), 100);
        (0..50).for_each(|n| gate.push(Lane::Low, n).unwrap());
        // They come when the first two of the others have gone.
        let mut urgent = (100..105).map(|n| (Lane::High, n));
        let (seen, _) = run(&mut gate, usize::MAX, |_| Duration::from_millis(50), &mut |_| urgent.next());
        let (high, low): (Vec<_>, Vec<_>) = seen.iter().partition(|seen| seen.request >= 100);
        assert_eq!((high.len(), low.len()), (5, 50));
        assert!(
            high.iter().all(|seen| seen.done <= at(230)),
            "{:?}",
            high.iter().map(|seen| seen.done).max()
        );
    }

    /// How many were answered and how many refused of what was sent from one time to another, with a server that takes 8 at a time and refuses more.
    fn tally(cap: Cap, windows: &[(Instant, Instant)]) -> Vec<(usize, usize)> {
        let end = windows.iter().map(|(_, end)| *end).max().unwrap();
        let mut requests = 0..;
        let mut come = |now| requests.next().filter(|_| now < end).map(|n| (Lane::Medium, n));
        let time = |n: usize| Duration::from_millis(10 + (n as u64 * 7919) % 81);
        let (seen, most) = run(&mut Gate::new(cap, 100_000), 8, time, &mut come);
        assert!(most <= 8);
        let count = |outcome, &(start, end): &(Instant, Instant)| {
            let is_counted = |seen: &&Seen| seen.outcome == outcome && (start..end).contains(&seen.sent);
            seen.iter().filter(is_counted).count()
        };
        let both = |window| (count(Outcome::Answered, window), count(Outcome::Refused, window));
        windows.iter().map(both).collect()
    }

    #[test]
    fn the_cap_finds_what_the_server_takes_and_seldom_tries_more() {
        let windows = [(at(5_000), at(6_000)), (at(5_000), at(30_000))];
        let fixed: Vec<_> = (1..=10).map(|cap| tally(Cap::fixed(cap), &windows)).collect();
        for (n, (answered, refused)) in tally(Cap::adaptive(1_000), &windows).into_iter().enumerate() {
            let best = fixed.iter().map(|windows| windows[n].0).max().unwrap();
            assert!(answered * 10 >= best * 8, "{answered} of {best}");
            assert!(refused * 50 <= refused + answered, "{refused} refused, {answered} answered");
        }
    }

    #[test]
    fn too_many_that_wait_are_handed_back() {
        let mut gate = Gate::new(Cap::fixed(1), 2);
        assert_eq!((0..3).map(|n| gate.push(Lane::High, n)).collect::<Vec<_>>(), [Ok(()), Ok(()), Err(2)]);
        assert_eq!(gate.remove(|n| *n == 1), [0]);
        assert_eq!(gate.next().map(|(_, n)| n), Some(1));
    }
}
