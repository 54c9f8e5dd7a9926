//! Which server gets a request, and who gets the answer.
//!
//! A service is a name that sessions serve. A request goes to the server that has the fewest under way, and waits by lane while all have
//! as many as they take. Each is answered once: by its server, or here, when there is none, when too many wait, or when the server
//! is lost. A server's place is free again when it has answered, also where nobody waits for that any more: so it never
//! has more than it takes.

mod ledger;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use nyx_core::{Instant, Lane};
use nyx_protocol::control::{self, Reply, Request, Status};
use nyx_protocol::requests::Queue;
use nyx_protocol::topic::Name;
use parking_lot::Mutex;

use crate::shared::Shared;
use crate::stats;
use ledger::Ledger;

/// All services and the requests under way.
#[derive(Default)]
pub(crate) struct Router(Mutex<Inside>);

#[derive(Default)]
struct Inside {
    services: HashMap<Name, Service>,
    calls: HashMap<u64, Call>,
    last_call: u64,
    ledger: Ledger,
}

struct Service {
    /// Where it is counted.
    row: usize,
    servers: Vec<Server>,
    waiting: Queue<u64>,
    waiting_bytes: usize,
}

struct Server {
    session: Arc<Shared>,
    serve_id: u32,
    concurrency: u32,
    under_way: u32,
}

/// A request that its server has not answered.
struct Call {
    service: Name,
    /// Where it is counted.
    row: usize,
    begun: Instant,
    /// Who gets the answer under which number; `None`: nobody any more.
    requester: Option<(Arc<Shared>, u64)>,
    place: Place,
}

enum Place {
    Waiting { body: Bytes, lane: Lane, deadline: Option<Instant> },
    At { session: u64, serve_id: u32 },
}

/// Bytes of requests that may wait for one service.
const WAITING_BYTES: usize = 4 << 20;

impl Router {
    /// `session` takes requests for a service. `false`: it does already.
    pub(crate) fn serve(
        &self,
        now: Instant,
        session: &Arc<Shared>,
        name: &Name,
        serve_id: u32,
        concurrency: u32,
    ) -> bool {
        let inside = &mut *self.0.lock();
        let Inside { services, ledger, .. } = inside;
        let service = services.entry(name.clone()).or_insert_with(|| Service::new(ledger.open(name)));
        if service.servers.iter().any(|server| Arc::ptr_eq(&server.session, session)) {
            return false;
        }
        service.servers.push(Server { session: session.clone(), serve_id, concurrency, under_way: 0 });
        inside.dispatch(now, name);
        true
    }

    /// `session` takes no more. What it has it may still answer.
    pub(crate) fn unserve(&self, session: &Arc<Shared>, name: &Name) {
        self.0.lock().unserve(session, name);
    }

    /// `session` is gone, which served these services.
    pub(crate) fn leave<'a>(&self, session: &Arc<Shared>, served: impl Iterator<Item = &'a Name>) {
        let inside = &mut *self.0.lock();
        served.for_each(|name| inside.unserve(session, name));
        let lost = inside
            .calls
            .extract_if(|_, call| matches!(call.place, Place::At { session: at, .. } if at == session.id));
        for (_, call) in lost {
            let told = answer(call.requester, Status::ServerGone, Bytes::new());
            told.into_iter().for_each(|status| inside.ledger.over(call.row, status));
        }
    }

    /// A request that was refused before it came here.
    pub(crate) fn refused(&self, name: &str, status: Status) {
        let ledger = &mut self.0.lock().ledger;
        let row = ledger.find(name);
        ledger.asked(row);
        ledger.over(row, status);
    }

    /// What became of the requests to each service so far, the services in the order in which they were first served.
    pub(crate) fn stats(&self) -> Vec<stats::Service> {
        let Inside { services, ledger, .. } = &*self.0.lock();
        let rows = ledger.rows().filter(|row| row.name.is_some() || row.requests > 0);
        let of_row = |row: &ledger::Row| {
            let service = row.name.as_ref().and_then(|name| services.get(name));
            let servers = || service.into_iter().flat_map(|service| &service.servers);
            stats::Service {
                name: row.name.clone(),
                requests: row.requests,
                outcomes: row.outcomes(),
                times: row.times.clone(),
                servers: servers().count(),
                waiting: service.map_or(0, |service| service.waiting.len()),
                in_flight: servers().map(|server| server.under_way as usize).sum(),
            }
        };
        rows.map(of_row).collect()
    }

    /// A request, of which at most `waiting_max` may wait for its service. Returns its number here.
    ///
    /// # Errors
    /// When it goes nowhere: the answer.
    pub(crate) fn request(
        &self,
        now: Instant,
        requester: &Arc<Shared>,
        request: Request,
        deadline: Option<Instant>,
        waiting_max: usize,
    ) -> Result<u64, Status> {
        let inside = &mut *self.0.lock();
        let row = inside.ledger.find(&request.service);
        inside.ledger.asked(row);
        let routed = inside.request(now, requester, request, deadline, waiting_max);
        routed.inspect_err(|status| inside.ledger.over(row, *status))
    }

    /// A server's answer. What answers nothing that it has is passed over.
    pub(crate) fn reply(&self, now: Instant, session: &Arc<Shared>, reply: Reply) {
        let inside = &mut *self.0.lock();
        let Some(call) = inside.calls.get(&reply.id) else { return };
        let Place::At { session: at, serve_id } = call.place else { return };
        if at != session.id {
            return;
        }
        let Some(call) = inside.calls.remove(&reply.id) else { return };
        if let Some(status) = answer(call.requester, reply.status(), reply.body) {
            inside.ledger.over(call.row, status);
            inside.ledger.answered(call.row, now.since(call.begun));
        }
        let Some(service) = inside.services.get_mut(&call.service) else { return };
        let server =
            service.servers.iter_mut().find(|server| server.session.id == at && server.serve_id == serve_id);
        if let Some(server) = server {
            server.under_way = server.under_way.saturating_sub(1);
            inside.dispatch(now, &call.service);
        }
    }

    /// Nobody waits for this answer any more, for the reason that `status` is.
    pub(crate) fn cancel(&self, number: u64, status: Status) {
        let inside = &mut *self.0.lock();
        let Some(call) = inside.calls.get_mut(&number) else { return };
        if call.requester.is_some() {
            inside.ledger.over(call.row, status);
        }
        match &call.place {
            Place::Waiting { body, .. } => {
                let bytes = body.len();
                if let Some(service) = inside.services.get_mut(&call.service) {
                    service.waiting.remove(|waiting| *waiting != number);
                    service.waiting_bytes = service.waiting_bytes.saturating_sub(bytes);
                }
                inside.calls.remove(&number);
            }
            Place::At { session, .. } => {
                call.requester = None;
                let service = inside.services.get(&call.service);
                let mut servers = service.into_iter().flat_map(|service| &service.servers);
                if let Some(server) = servers.find(|server| server.session.id == *session) {
                    server.session.post(control::Cancel { id: number });
                }
            }
        }
    }
}

impl Service {
    fn new(row: usize) -> Self {
        Self { row, servers: Vec::new(), waiting: Queue::default(), waiting_bytes: 0 }
    }

    /// The server to send a request to: the one of those that take more that has the fewest.
    fn free(&self) -> Option<usize> {
        let free = self.servers.iter().enumerate().filter(|(_, server)| {
            server.under_way < server.concurrency && server.session.has_room_for_calls()
        });
        free.min_by_key(|(_, server)| server.under_way).map(|(place, _)| place)
    }
}

impl Inside {
    fn request(
        &mut self,
        now: Instant,
        requester: &Arc<Shared>,
        request: Request,
        deadline: Option<Instant>,
        waiting_max: usize,
    ) -> Result<u64, Status> {
        let (name, service) =
            self.services.get_key_value(request.service.as_str()).ok_or(Status::NoServer)?;
        if service.servers.is_empty() {
            return Err(Status::NoServer);
        }
        let is_full = service.waiting.len() >= waiting_max || service.waiting_bytes >= WAITING_BYTES;
        if is_full && service.free().is_none() {
            return Err(Status::Overloaded);
        }
        let row = service.row;
        let (name, lane) = (name.clone(), request.lane().to_lane().unwrap_or(Lane::Medium));
        self.last_call += 1;
        let number = self.last_call;
        let bytes = request.body.len();
        let call = Call {
            service: name.clone(),
            row,
            begun: now,
            requester: Some((requester.clone(), request.id)),
            place: Place::Waiting { body: request.body, lane, deadline },
        };
        self.calls.insert(number, call);
        if let Some(service) = self.services.get_mut(&name) {
            service.waiting.push(lane, number);
            service.waiting_bytes += bytes;
        }
        self.dispatch(now, &name);
        Ok(number)
    }

    /// Sends what waits for a service to the servers that take more.
    fn dispatch(&mut self, now: Instant, name: &Name) {
        let Self { services, calls, .. } = self;
        let Some(service) = services.get_mut(name) else { return };
        while !service.waiting.is_empty()
            && let Some(place) = service.free()
        {
            let Some(number) = service.waiting.pop() else { return };
            let Some(call) = calls.get_mut(&number) else { continue };
            let server = &mut service.servers[place];
            let at = Place::At { session: server.session.id, serve_id: server.serve_id };
            let Place::Waiting { body, lane, deadline } = std::mem::replace(&mut call.place, at) else {
                continue;
            };
            service.waiting_bytes = service.waiting_bytes.saturating_sub(body.len());
            server.under_way += 1;
            server.session.post(Request {
                id: number,
                body,
                deadline_ms: deadline.map_or(0, |at| millis(at.since(now))),
                lane: control::Lane::from(lane).into(),
                serve_id: server.serve_id,
                ..Request::default()
            });
        }
    }

    fn unserve(&mut self, session: &Arc<Shared>, name: &Name) {
        let Self { services, calls, ledger, .. } = self;
        let Some(service) = services.get_mut(name) else { return };
        service.servers.retain(|server| !Arc::ptr_eq(&server.session, session));
        if !service.servers.is_empty() {
            return;
        }
        for number in service.waiting.remove(|_| false) {
            if let Some(call) = calls.remove(&number) {
                let told = answer(call.requester, Status::NoServer, Bytes::new());
                told.into_iter().for_each(|status| ledger.over(call.row, status));
            }
        }
        services.remove(name);
    }
}

/// What is left of a deadline, and never 0, which would be none.
fn millis(left: Duration) -> u32 {
    u32::try_from(left.as_millis()).unwrap_or(u32::MAX).max(1)
}

/// Tells who asked, if anybody still waits. Returns what was told.
fn answer(requester: Option<(Arc<Shared>, u64)>, status: Status, body: Bytes) -> Option<Status> {
    let (session, id) = requester?;
    // Who does not read its answers must not fill memory with them.
    let (status, body) = match session.has_room_for_calls() {
        true => (status, body),
        false => (Status::Overloaded, Bytes::new()),
    };
    session.post(Reply { id, status: status.into(), body });
    Some(status)
}
