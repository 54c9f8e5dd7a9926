//! What waits on this side for a service.

use std::iter::Peekable;
use std::sync::Arc;
use std::time::Duration;

use nyx_core::Instant;
use nyx_protocol::control::{self, Request};
use nyx_protocol::requests::{Outcome, Ticket};
use parking_lot::Mutex;

use super::RequestError;
use super::calls::{Answer, Calls, Sent, Waiter};
use super::room::{Room, Turn, Waiting};
use crate::Name;
use crate::outgoing::{Outgoing, Reach};

/// What waits in front of a service. Locked alone, never with another lock inside.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) service: Name,
    room: Mutex<Room>,
}

impl Line {
    pub(super) const fn new(service: Name, room: Room) -> Self {
        Self { service, room: Mutex::new(room) }
    }

    /// Who finds too many waiting is told.
    pub(super) fn push(&self, waiting: impl Iterator<Item = Waiting>) {
        let refused: Vec<_> = {
            let mut room = self.room.lock();
            waiting.filter_map(|waiting| room.push(waiting).err()).collect()
        };
        tell_all(refused, &RequestError::Full);
    }

    /// Of those that were answered, the first ones that are of this line are under way no longer. Who waits for them is to be told.
    pub(super) fn finish_first<'a>(
        self: &'a Arc<Self>,
        answered: &'a mut Peekable<impl Iterator<Item = (Sent, Answer)>>,
    ) -> Vec<(Waiter, Answer)> {
        let mut room = self.room.lock();
        let mut finish = |(sent, answer): (Sent, Answer)| {
            let outcome = answer.as_ref().map_or_else(RequestError::outcome, |_| Outcome::Answered);
            room.finish(sent.ticket, outcome);
            (sent.waiter, answer)
        };
        std::iter::from_fn(|| answered.next_if(|(sent, _)| Arc::ptr_eq(&sent.line, self)).map(&mut finish))
            .collect()
    }

    pub(super) fn finish(&self, ticket: Ticket, outcome: Outcome) {
        self.room.lock().finish(ticket, outcome);
    }

    /// Those of these numbers that still wait are not sent.
    pub(super) fn withdraw(&self, numbers: &std::ops::Range<u64>) {
        let withdrawn = self.room.lock().withdraw(numbers.clone());
        // Outside the lock: wakers may do anything.
        drop(withdrawn);
    }

    /// How many may be under way now.
    pub(super) fn limit(&self) -> usize {
        self.room.lock().limit()
    }

    /// Whether anything waits.
    pub(super) fn is_waiting(&self) -> bool {
        self.room.lock().is_waiting()
    }

    /// Sends what may go, and gives up what has waited for too long. Without a connection it waits for one.
    pub(super) fn pump(self: &Arc<Self>, outgoing: &Outgoing, calls: &Calls, now: Instant) {
        loop {
            let reach = outgoing.reach();
            if reach == Reach::Closed {
                let left = self.room.lock().clear();
                return tell_all(left, &RequestError::Closed);
            }
            let Turn { late, next, watch } = self.room.lock().turn(now, reach == Reach::Connected);
            if let Some((before, at)) = watch
                && calls.watch(self, before, at)
            {
                // The connection's task sleeps for longer.
                outgoing.poke();
            }
            let is_done = late.is_empty() && next.is_empty();
            tell_all(late, &RequestError::Deadline);
            if !next.is_empty() {
                self.send(next, outgoing, calls, now);
            }
            // Should there be a connection after it was blocked, nobody would come back to this line.
            let is_blocked = || reach == Reach::Disconnected && self.is_waiting() && calls.block(self);
            if is_done && !is_blocked() {
                return;
            }
        }
    }

    fn send(
        self: &Arc<Self>,
        next: Vec<(Ticket, Waiting)>,
        outgoing: &Outgoing,
        calls: &Calls,
        now: Instant,
    ) {
        let mut requests = Vec::with_capacity(next.len());
        // Answers may be there before this returns.
        calls.insert(next.into_iter().map(|(ticket, waiting)| {
            let Waiting { number, body, lane, expires, waiter } = waiting;
            requests.push((number, body, lane, expires));
            (number, Sent { line: self.clone(), ticket, waiter }, expires)
        }));
        // The name is a string for each; made here, there is one at a time.
        let encoded = requests.iter_mut().map(|(number, body, lane, expires)| {
            let request = Request {
                id: *number,
                service: self.service.as_str().to_owned(),
                body: std::mem::take(body),
                deadline_ms: expires.map_or(0, |at| millis(at.since(now))),
                lane: control::Lane::from(*lane).into(),
                serve_id: 0,
            };
            (*lane, request)
        });
        if outgoing.put_requests(encoded) {
            return;
        }
        let numbers = requests.into_iter().map(|(number, ..)| number);
        for sent in numbers.filter_map(|number| calls.take(number)) {
            self.finish(sent.ticket, Outcome::Abandoned);
            sent.waiter.tell(Err(RequestError::Disconnected));
        }
    }
}

fn tell_all(waiting: Vec<Waiting>, error: &RequestError) {
    waiting.into_iter().for_each(|waiting| waiting.waiter.tell(Err(error.clone())));
}

/// What is left of a deadline, as the hub is told: rather a millisecond too long, as this side knows the end of it.
fn millis(left: Duration) -> u32 {
    left.as_nanos().div_ceil(1_000_000).clamp(1, u32::MAX.into()) as u32
}
