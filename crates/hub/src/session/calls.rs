//! Requests of this peer, and services that it serves.

use std::cmp::Reverse;
use std::collections::hash_map::Entry;
use std::collections::{BinaryHeap, HashMap};
use std::time::Duration;

use bytes::Bytes;
use nyx_core::Instant;
use nyx_protocol::control::{self, Body, ErrorCode, Reply, Request, Served, Status};
use nyx_protocol::requests::BODY_MAX;
use nyx_protocol::topic::Name;

use super::Session;
use crate::letters::Letters;
use crate::router::Asked;

/// What a session has under way.
#[derive(Default)]
pub(super) struct Calls {
    /// The router's number of each request that is not answered.
    open: HashMap<u64, u64>,
    /// When they are given up. Of those that were answered meanwhile, in vain.
    deadlines: BinaryHeap<Reverse<(Instant, u64, u64)>>,
    served: HashMap<u32, Name>,
    /// What came together, to be routed together. Kept for their memory.
    asked: Vec<Request>,
    /// The services that these are for, each with how many there are in a row.
    rows: Vec<(String, usize)>,
    answered: Vec<Reply>,
}

impl Calls {
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.peek().map(|Reverse((at, ..))| *at)
    }

    /// Requests and answers that wait to be routed.
    pub(super) const fn gathered(&self) -> usize {
        self.asked.len() + self.answered.len()
    }

    fn await_until(&mut self, deadline: Option<Instant>, id: u64, number: u64) {
        let Some(at) = deadline else { return };
        self.deadlines.push(Reverse((at, id, number)));
        // Those that were answered must not gather until their time has come.
        if self.deadlines.len() > 2 * self.open.len() + STALE_MAX {
            let Self { open, deadlines, .. } = self;
            deadlines.retain(|Reverse((_, id, number))| open.get(id) == Some(number));
        }
    }
}

/// Deadlines that may be kept in vain.
const STALE_MAX: usize = 64;

/// Requests that one server may have at a time, whatever it says.
const CONCURRENCY_MAX: u32 = 4096;

const NOT_TO_SERVE: &str =
    "your token does not allow to serve this: ask for one that may publish and read the service's name";

impl Session {
    pub(super) fn handle_serve(&mut self, now: Instant, serve: control::Serve) {
        let id = serve.id;
        let (code, message) = match self.serve(now, serve) {
            Ok(()) => (ErrorCode::Unspecified, String::new()),
            Err((code, message)) => {
                self.hub.inner.refusals.count(code);
                (code, message)
            }
        };
        control::put(&mut self.outbox, Served { id, code: code.into(), message });
    }

    fn serve(&mut self, now: Instant, serve: control::Serve) -> Result<(), (ErrorCode, String)> {
        let name = Name::new(&serve.service).map_err(|error| (ErrorCode::BadTopic, error.to_string()))?;
        if name.is_reserved() {
            let text = format!("service `{name}` is the hub's own: use a name that does not start with `$`");
            return Err((ErrorCode::BadTopic, text));
        }
        // Whoever serves reads what is asked, and speaks in the service's name.
        if !self.standing.may_publish(&name) || !self.standing.may_read(&name) {
            return Err((ErrorCode::Forbidden, NOT_TO_SERVE.to_owned()));
        }
        let limit = self.hub.inner.config.services;
        if self.calls.served.len() >= limit {
            return Err((ErrorCode::Limit, format!("a session serves at most {limit} services")));
        }
        if self.calls.served.contains_key(&serve.id) {
            return Err((ErrorCode::Unexpected, "the id is in use: choose another".to_owned()));
        }
        let concurrency = serve.concurrency.clamp(1, CONCURRENCY_MAX);
        if !self.hub.inner.router.serve(now, &self.shared, &name, serve.id, concurrency) {
            return Err((ErrorCode::Unexpected, format!("this session serves `{name}` already")));
        }
        self.calls.served.insert(serve.id, name);
        Ok(())
    }

    pub(super) fn handle_unserve(&mut self, id: u32) {
        if let Some(name) = self.calls.served.remove(&id) {
            self.hub.inner.router.unserve(&self.shared, &name);
        }
    }

    /// A request or an answer, which is routed with others that came with it.
    pub(super) fn gather(&mut self, body: Body) -> Option<Body> {
        match body {
            Body::Request(mut request) => {
                let service = std::mem::take(&mut request.service);
                self.calls.asked.push(request);
                match self.calls.rows.last_mut() {
                    Some((last, count)) if *last == service => *count += 1,
                    _ => self.calls.rows.push((service, 1)),
                }
            }
            Body::Reply(reply) => self.calls.answered.push(reply),
            other => return Some(other),
        }
        None
    }

    /// Routes what was gathered.
    pub(super) fn route_gathered(&mut self, now: Instant) {
        if !self.calls.answered.is_empty() {
            let mut answered = std::mem::take(&mut self.calls.answered);
            self.hub.inner.router.reply(now, &self.shared, answered.drain(..));
            self.calls.answered = answered;
        }
        if !self.calls.asked.is_empty() {
            let mut asked = std::mem::take(&mut self.calls.asked);
            let (mut requests, rows) = (asked.drain(..), std::mem::take(&mut self.calls.rows));
            for (service, count) in rows {
                self.route(now, &service, requests.by_ref().take(count));
            }
            drop(requests);
            self.calls.asked = asked;
        }
    }

    /// Requests for one service.
    fn route(&mut self, now: Instant, service: &str, requests: impl Iterator<Item = Request>) {
        let name = match self.service_of(service) {
            Ok(name) => name,
            Err(status) => return requests.for_each(|request| self.turn_away(service, request.id, status)),
        };
        let hub = self.hub.clone();
        let room = if hub.is_draining() { 0 } else { hub.inner.config.requests };
        let mut asked = Vec::with_capacity(requests.size_hint().0);
        for request in requests {
            let (id, is_full) = (request.id, self.calls.open.len() >= room);
            match self.calls.open.entry(id) {
                Entry::Occupied(_) => self.refuse(control::Error {
                    code: ErrorCode::Unexpected.into(),
                    message: format!("request {id} is not answered yet: give each a number of its own"),
                    ..Default::default()
                }),
                Entry::Vacant(_) if request.body.len() > BODY_MAX => {
                    self.turn_away(service, id, Status::BadRequest);
                }
                Entry::Vacant(_) if is_full => self.turn_away(service, id, Status::Overloaded),
                Entry::Vacant(place) => {
                    let number = *place.insert(hub.inner.router.number());
                    let time = Duration::from_millis(request.deadline_ms.into());
                    let deadline = (!time.is_zero()).then(|| now + time);
                    self.calls.await_until(deadline, id, number);
                    asked.push(Asked { number, request, deadline });
                }
            }
        }
        let (mut refused, waiting_max) = (Vec::new(), hub.inner.config.waiting_requests);
        let refuse = |id, status| refused.push((id, status));
        hub.inner.router.request(now, &self.shared, &name, &mut asked, waiting_max, refuse);
        for (id, status) in refused {
            self.calls.open.remove(&id);
            self.refuse_call(id, status);
        }
    }

    /// A service, if this peer may ask it.
    fn service_of(&self, name: &str) -> Result<Name, Status> {
        // Before anything is looked up: whether there is such a service is not for everybody.
        let name = Name::new(name).map_err(|_| Status::NoServer)?;
        if self.standing.may_publish(&name) { Ok(name) } else { Err(Status::Forbidden) }
    }

    /// A request that is not routed.
    fn turn_away(&mut self, service: &str, id: u64, status: Status) {
        self.hub.inner.router.refused(service, status);
        self.refuse_call(id, status);
    }

    fn refuse_call(&mut self, id: u64, status: Status) {
        let is_forbidden = status == Status::Forbidden;
        self.hub.inner.refusals.count(if is_forbidden { ErrorCode::Forbidden } else { ErrorCode::Limit });
        self.answer(id, status, Bytes::new());
    }

    pub(super) fn handle_cancel(&mut self, id: u64) {
        if let Some(number) = self.calls.open.remove(&id) {
            self.hub.inner.router.cancel(number, Status::Cancelled);
            self.answer(id, Status::Cancelled, Bytes::new());
        }
    }

    /// Gives up the requests whose time has passed.
    pub(super) fn expire_calls(&mut self, now: Instant) {
        while let Some(&Reverse((at, id, number))) = self.calls.deadlines.peek()
            && at <= now
        {
            self.calls.deadlines.pop();
            if self.calls.open.get(&id) == Some(&number) {
                self.calls.open.remove(&id);
                self.hub.inner.router.cancel(number, Status::Deadline);
                self.answer(id, Status::Deadline, Bytes::new());
            }
        }
    }

    /// What concerns requests has come from other sessions.
    pub(super) fn pass_on(&mut self, letters: &mut Letters) {
        // An answer may come after the request was given up.
        letters.deliver(&mut self.outbox, |id| self.calls.open.remove(&id).is_some());
    }

    /// There is room again for what waits for the services of this peer.
    pub(super) fn resume_services(&self, now: Instant) {
        self.hub.inner.router.resume(now, self.calls.served.values());
    }

    /// The session is over: what it waited for nobody wants, and what waited for it is told.
    pub(super) fn end_calls(&mut self) {
        let calls = std::mem::take(&mut self.calls);
        calls.open.into_values().for_each(|number| self.hub.inner.router.cancel(number, Status::Cancelled));
        if !calls.served.is_empty() {
            self.hub.inner.router.leave(&self.shared, calls.served.values());
        }
    }

    fn answer(&mut self, id: u64, status: Status, body: Bytes) {
        control::put(&mut self.outbox, Reply { id, status: status.into(), body });
    }
}
