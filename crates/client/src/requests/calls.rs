//! The requests of a client that are under way.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytes::Bytes;
use foldhash::fast::RandomState;
use nyx_core::Instant;
use nyx_protocol::control::{Cancel, Reply};
use nyx_protocol::requests::Ticket;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use super::RequestError;
use super::deadlines::{Deadlines, Watches};
use super::line::Line;
use crate::outgoing::Outgoing;

pub(super) type Answer = Result<Bytes, RequestError>;

/// Who waits for an answer.
#[derive(Debug)]
pub(super) enum Waiter {
    One(oneshot::Sender<Answer>),
    /// The request has this place in its batch.
    OfBatch(mpsc::UnboundedSender<(usize, Answer)>, usize),
}

impl Waiter {
    /// Nobody may wait any more.
    pub(super) fn tell(self, answer: Answer) {
        match self {
            Self::One(waiter) => drop(waiter.send(answer)),
            Self::OfBatch(waiter, place) => drop(waiter.send((place, answer))),
        }
    }
}

/// Requests by number. Deadlines count here, from when a request is asked, and at the hub; whoever notices first tells.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    last: AtomicU64,
    inside: Mutex<Inside>,
}

#[derive(Debug, Default)]
struct Inside {
    /// By numbers that are our own.
    sent: HashMap<u64, Sent, RandomState>,
    /// Of what was sent.
    deadlines: Deadlines,
    /// Of what was not.
    watches: Watches,
    /// Where requests wait for a connection.
    blocked: Vec<Arc<Line>>,
}

/// A request under way.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) line: Arc<Line>,
    pub(super) ticket: Ticket,
    pub(super) waiter: Waiter,
}

impl Sent {
    fn end(self, answer: Answer, outgoing: &Outgoing, calls: &Calls, now: Instant) {
        let outcome =
            answer.as_ref().map_or_else(RequestError::outcome, |_| nyx_protocol::requests::Outcome::Answered);
        self.line.finish(self.ticket, outcome);
        self.waiter.tell(answer);
        self.line.pump(outgoing, calls, now);
    }
}

impl Calls {
    /// Numbers for so many requests: the first of them.
    pub(super) fn numbers(&self, count: u64) -> u64 {
        self.last.fetch_add(count, Relaxed)
    }

    /// Requests that are about to be sent: number, who waits, and until when.
    pub(super) fn insert(&self, sent: impl Iterator<Item = (u64, Sent, Option<Instant>)>) {
        let inside = &mut *self.inside.lock();
        for (number, sent, deadline) in sent {
            inside.sent.insert(number, sent);
            inside.deadlines.add(deadline, number);
        }
        let Inside { sent, deadlines, .. } = inside;
        deadlines.prune(sent.len(), |number| sent.contains_key(&number));
    }

    /// The first of a line's requests that wait is given up then; `before` was said before. Whether that is the first deadline of all.
    pub(super) fn watch(&self, line: &Arc<Line>, before: Option<Instant>, at: Instant) -> bool {
        let inside = &mut *self.inside.lock();
        inside.watches.set(line, before, at) && inside.deadlines.first().is_none_or(|first| at < first)
    }

    /// Requests of this line wait for a connection. `false`: that was known.
    pub(super) fn block(&self, line: &Arc<Line>) -> bool {
        let blocked = &mut self.inside.lock().blocked;
        let is_new = !blocked.iter().any(|known| Arc::ptr_eq(known, line));
        if is_new {
            blocked.push(line.clone());
        }
        is_new
    }

    /// There is a connection, or there will be none: goes on with what has waited for it.
    pub(crate) fn unblock(&self, outgoing: &Outgoing, now: Instant) {
        let blocked = std::mem::take(&mut self.inside.lock().blocked);
        blocked.iter().for_each(|line| line.pump(outgoing, self, now));
    }

    pub(super) fn take(&self, number: u64) -> Option<Sent> {
        self.inside.lock().sent.remove(&number)
    }

    /// The hub's answers. One that comes after its request was given up is passed over.
    pub(crate) fn replies(&self, replies: &mut Vec<Reply>, outgoing: &Outgoing, now: Instant) {
        let answered: Vec<_> = {
            let sent = &mut self.inside.lock().sent;
            let replies = replies.drain(..);
            replies.filter_map(|reply| Some((sent.remove(&reply.id)?, RequestError::result(reply)))).collect()
        };
        let mut answered = answered.into_iter().peekable();
        while let Some(line) = answered.peek().map(|(sent, _)| sent.line.clone()) {
            let told = line.finish_first(&mut answered);
            told.into_iter().for_each(|(waiter, answer)| waiter.tell(answer));
            line.pump(outgoing, self, now);
        }
    }

    /// It can't be sent, or it is of no use any more.
    pub(super) fn fail(&self, number: u64, error: RequestError, outgoing: &Outgoing, now: Instant) -> bool {
        let sent = self.take(number);
        let found = sent.is_some();
        if let Some(sent) = sent {
            sent.end(Err(error), outgoing, self, now);
        }
        found
    }

    /// Nobody waits for it any more.
    pub(super) fn cancel(&self, number: u64, outgoing: &Outgoing, now: Instant) {
        if self.fail(number, RequestError::Cancelled, outgoing, now) {
            outgoing.put_control(Cancel { id: number });
        }
    }

    /// The next deadline, which may be that of a request that was answered meanwhile.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let inside = self.inside.lock();
        [inside.deadlines.first(), inside.watches.first()].into_iter().flatten().min()
    }

    /// Gives up the requests whose time has passed.
    pub(crate) fn expire(&self, now: Instant, outgoing: &Outgoing) {
        while let Some(line) = self.pop_line(now) {
            line.pump(outgoing, self, now);
        }
        while let Some(number) = self.pop_number(now) {
            if self.fail(number, RequestError::Deadline, outgoing, now) {
                outgoing.put_control(Cancel { id: number });
            }
        }
    }

    fn pop_line(&self, now: Instant) -> Option<Arc<Line>> {
        self.inside.lock().watches.pop_due(now)
    }

    fn pop_number(&self, now: Instant) -> Option<u64> {
        self.inside.lock().deadlines.pop_due(now)
    }

    /// The connection is lost, or the client is closed.
    pub(crate) fn fail_all(&self, error: &RequestError, outgoing: &Outgoing, now: Instant) {
        let sent = {
            let inside = &mut *self.inside.lock();
            inside.deadlines.clear();
            std::mem::take(&mut inside.sent)
        };
        for sent in sent.into_values() {
            sent.end(Err(error.clone()), outgoing, self, now);
        }
    }
}
