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

    /// Those whom `keep` does not want wait no longer, and are handed out. O(those that wait).
    pub fn remove(&mut self, keep: impl FnMut(&T) -> bool) -> Vec<T> {
        self.queue.remove(keep)
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Reverse;
    use std::collections::BinaryHeap;
    use std::time::Duration;

    use nyx_core::Instant;

    use super::*;

    /// A server in virtual time: refuses at once above `room` at a time, otherwise answers after a time of its own for each.
    struct Server {
        room: usize,
        busy: BinaryHeap<Reverse<(Instant, usize, usize)>>,
    }

    /// What happened to each request: number, when it was sent and answered, and whether it was refused.
    struct Seen {
        sent: Instant,
        done: Instant,
        refused: bool,
    }

    /// Runs `requests`, of which `service` says how long each takes, through `gate`. Returns what happened to each, in the order of
    /// the answers, and the most that were at the server at a time.
    fn run(
        gate: &mut Gate<usize>,
        room: usize,
        service: impl Fn(usize) -> Duration,
        mut more: impl FnMut(Instant) -> Option<usize>,
    ) -> (Vec<(usize, Seen)>, usize) {
        let mut server = Server { room, busy: BinaryHeap::new() };
        let (mut tickets, mut seen, mut most) = (std::collections::HashMap::new(), Vec::new(), 0);
        let mut now = Instant::ZERO;
        loop {
            while gate.queue.len() < 1_000
                && let Some(request) = more(now)
            {
                gate.push(Lane::Medium, request).unwrap();
            }
            while let Some((ticket, request)) = gate.next() {
                if server.busy.len() < server.room {
                    server.busy.push(Reverse((now + service(request), request, 0)));
                    tickets.insert(request, (ticket, now));
                    most = most.max(server.busy.len());
                } else {
                    gate.finish(ticket, Outcome::Refused);
                    seen.push((request, Seen { sent: now, done: now, refused: true }));
                }
            }
            let Some(Reverse((done, request, _))) = server.busy.pop() else { return (seen, most) };
            now = done;
            let (ticket, sent) = tickets.remove(&request).unwrap();
            gate.finish(ticket, Outcome::Answered);
            seen.push((request, Seen { sent, done, refused: false }));
        }
    }

    #[test]
    fn never_more_are_under_way_than_the_cap_allows() {
        let mut gate = Gate::new(Cap::fixed(10), 1_000);
        let mut left = 0..1_000;
        let time = |n: usize| Duration::from_millis(10 + (n as u64 * 7919) % 190);
        let (seen, most) = run(&mut gate, usize::MAX, time, |_| left.next());
        assert_eq!((seen.len(), most), (1_000, 10));
    }

    #[test]
    fn urgent_requests_go_first_and_the_others_all_the_same() {
        let mut gate = Gate::new(Cap::fixed(2), 100);
        (0..50).for_each(|n| gate.push(Lane::Low, n).unwrap());
        let two = [gate.next().unwrap(), gate.next().unwrap()];
        (100..105).for_each(|n| gate.push(Lane::High, n).unwrap());
        two.into_iter().for_each(|(ticket, _)| gate.finish(ticket, Outcome::Answered));
        let (seen, _) = run(&mut gate, usize::MAX, |_| Duration::from_millis(50), |_| None);
        let high: Vec<_> = seen.iter().filter(|(n, _)| *n >= 100).collect();
        assert!(high.iter().all(|(_, seen)| seen.done <= Instant::ZERO + Duration::from_millis(150)));
        assert_eq!((high.len(), seen.len()), (5, 53));
    }

    #[test]
    fn the_cap_finds_what_the_server_takes_and_seldom_tries_more() {
        let mut gate = Gate::new(Cap::adaptive(1_000), 100_000);
        let end = Instant::ZERO + Duration::from_secs(60);
        let mut requests = 0..;
        let time = |_| Duration::from_millis(50);
        let (seen, most) = run(&mut gate, 8, time, |now| requests.next().filter(|_| now < end));
        assert_eq!(most, 8);
        let later = |seen: &&(usize, Seen)| {
            seen.1.sent >= Instant::ZERO + Duration::from_secs(5) && seen.1.done < end
        };
        let (refused, answered): (Vec<_>, Vec<_>) =
            seen.iter().filter(later).partition(|(_, seen)| seen.refused);
        // Eight at a time, 50 ms each.
        let best = 55.0 * 8.0 / 0.05;
        assert!(answered.len() as f64 >= 0.8 * best, "{} of {best}", answered.len());
        assert!(refused.len() * 50 <= refused.len() + answered.len(), "{} refused", refused.len());
    }

    #[test]
    fn too_many_that_wait_are_handed_back() {
        let mut gate = Gate::new(Cap::fixed(1), 2);
        assert_eq!((0..3).map(|n| gate.push(Lane::High, n)).collect::<Vec<_>>(), [Ok(()), Ok(()), Err(2)]);
        assert_eq!(gate.remove(|n| *n == 1), [0]);
        assert_eq!(gate.next().map(|(_, n)| n), Some(1));
    }
}
