//! What waits on this side for a service.

use std::iter::Peekable;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use nyx_core::{Instant, Lane};
use nyx_protocol::control::{self, Request};
use nyx_protocol::requests::{Gate, Outcome, Ticket};
use parking_lot::Mutex;

use super::RequestError;
use super::calls::{Answer, Calls, Sent, Waiter};
use crate::Name;
use crate::outgoing::{Outgoing, Reach};

/// A gate in front of a service. Locked alone, never with another lock inside.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) service: Name,
    gate: Mutex<Gate<Waiting>>,
}

/// A request that was not sent yet.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) number: u64,
    pub(super) body: Bytes,
    pub(super) lane: Lane,
    /// From sending to the answer.
    pub(super) deadline: Option<Duration>,
    pub(super) waiter: Waiter,
}

impl Line {
    pub(super) const fn new(service: Name, gate: Gate<Waiting>) -> Self {
        Self { service, gate: Mutex::new(gate) }
    }

    /// Who finds too many waiting is told.
    pub(super) fn push(&self, waiting: impl Iterator<Item = Waiting>) {
        let refused: Vec<_> = {
            let mut gate = self.gate.lock();
            waiting.filter_map(|waiting| gate.push(waiting.lane, waiting).err()).collect()
        };
        refused.into_iter().for_each(|waiting| waiting.waiter.tell(Err(RequestError::Full)));
    }

    /// Of those that were answered, the first ones that are of this line are under way no longer. Who waits for them is to be told.
    pub(super) fn finish_first<'a>(
        self: &'a Arc<Self>,
        answered: &'a mut Peekable<impl Iterator<Item = (Sent, Answer)>>,
    ) -> Vec<(Waiter, Answer)> {
        let mut gate = self.gate.lock();
        let mut finish = |(sent, answer): (Sent, Answer)| {
            let outcome = answer.as_ref().map_or_else(RequestError::outcome, |_| Outcome::Answered);
            gate.finish(sent.ticket, outcome);
            (sent.waiter, answer)
        };
        std::iter::from_fn(|| answered.next_if(|(sent, _)| Arc::ptr_eq(&sent.line, self)).map(&mut finish))
            .collect()
    }

    pub(super) fn finish(&self, ticket: Ticket, outcome: Outcome) {
        self.gate.lock().finish(ticket, outcome);
    }

    /// Those of these numbers that still wait are not sent.
    pub(super) fn withdraw(&self, numbers: &std::ops::Range<u64>) {
        let withdrawn = self.gate.lock().remove(|waiting| !numbers.contains(&waiting.number));
        // Outside the lock: wakers may do anything.
        drop(withdrawn);
    }

    /// How many may be under way now.
    pub(super) fn limit(&self) -> usize {
        self.gate.lock().limit()
    }

    /// Whether anything waits.
    pub(super) fn is_waiting(&self) -> bool {
        self.gate.lock().is_waiting()
    }

    /// Sends what may go. Without a connection it waits for one.
    pub(super) fn pump(self: &Arc<Self>, outgoing: &Outgoing, calls: &Calls, now: Instant) {
        loop {
            match outgoing.reach() {
                Reach::Connected => {
                    let next: Vec<_> = {
                        let mut gate = self.gate.lock();
                        std::iter::from_fn(|| gate.next()).take(TOGETHER).collect()
                    };
                    if next.is_empty() {
                        return;
                    }
                    self.send(next, outgoing, calls, now);
                }
                // Should there be a connection by then, nobody would come back to this line.
                Reach::Disconnected if self.is_waiting() && calls.block(self) => {}
                Reach::Disconnected => return,
                Reach::Closed => {
                    let left = self.gate.lock().remove(|_| false);
                    left.into_iter().for_each(|waiting| waiting.waiter.tell(Err(RequestError::Closed)));
                    return;
                }
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
            let Waiting { number, body, lane, deadline, waiter } = waiting;
            requests.push((number, body, lane, deadline));
            (number, Sent { line: self.clone(), ticket, waiter }, deadline.map(|time| now + time))
        }));
        // The name is a string for each; made here, there is one at a time.
        let encoded = requests.iter_mut().map(|(number, body, lane, deadline)| {
            let millis = |time: Duration| time.as_millis().clamp(1, u32::MAX.into()) as u32;
            let request = Request {
                id: *number,
                service: self.service.as_str().to_owned(),
                body: std::mem::take(body),
                deadline_ms: deadline.map_or(0, millis),
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

/// Requests that are sent under one lock: enough that it costs nothing, few enough that others who wait for it don't notice.
const TOGETHER: usize = 256;
