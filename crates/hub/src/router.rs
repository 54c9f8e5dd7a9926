//! Which server gets a request, and who gets the answer.
//!
//! A service is a name that sessions serve. A request goes to the server that has the fewest under way, and waits by lane while all have
//! as many as they take. Each is answered once: by its server, or here, when there is none, when too many wait, or when the server
//! is lost. A server's place is free again when it has answered, also where nobody waits for that any more: so it never
//! has more than it takes.

mod ledger;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use foldhash::fast::RandomState;
use nyx_core::{Instant, Lane};
use nyx_protocol::control::{self, Body, Reply, Request, Status};
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
    /// By numbers that are our own.
    calls: HashMap<u64, Call, RandomState>,
    last_call: u64,
    ledger: Ledger,
}

/// A request as it came, and until when it is waited for.
pub(crate) struct Asked {
    pub(crate) request: Request,
    pub(crate) deadline: Option<Instant>,
}

#[derive(Default)]
struct Service {
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
        inside.ledger.open(name);
        let service = inside.services.entry(name.clone()).or_default();
        if service.servers.iter().any(|server| Arc::ptr_eq(&server.session, session)) {
            return false;
        }
        service.servers.push(Server { session: session.clone(), serve_id, concurrency, under_way: 0 });
        let mut bag = Bag::default();
        inside.dispatch(now, name, &mut bag);
        bag.deliver();
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
        let Inside { calls, ledger, .. } = inside;
        let lost = calls
            .extract_if(|_, call| matches!(call.place, Place::At { session: at, .. } if at == session.id));
        let mut bag = Bag::default();
        for (_, call) in lost {
            let told = bag.answer(call.requester, Status::ServerGone, Bytes::new());
            told.into_iter().for_each(|status| ledger.over(call.row, status));
        }
        bag.deliver();
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

    /// Requests for one service, of which at most `waiting_max` may wait. `done` is told for each, in order, its number here or,
    /// where it goes nowhere, the answer.
    pub(crate) fn request(
        &self,
        now: Instant,
        requester: &Arc<Shared>,
        name: &Name,
        asked: impl Iterator<Item = Asked>,
        waiting_max: usize,
        mut done: impl FnMut(u64, Option<Instant>, Result<u64, Status>),
    ) {
        let inside = &mut *self.0.lock();
        let row = inside.ledger.find(name.as_str());
        let mut bag = Bag::default();
        for Asked { request, deadline } in asked {
            let id = request.id;
            inside.ledger.asked(row);
            let result = inside.admit(now, name, waiting_max, &mut bag).map(|()| {
                let lane = request.lane().to_lane().unwrap_or(Lane::Medium);
                let place = Place::Waiting { body: request.body, lane, deadline };
                inside.add(Call {
                    service: name.clone(),
                    row,
                    begun: now,
                    requester: Some((requester.clone(), id)),
                    place,
                })
            });
            done(id, deadline, result.inspect_err(|status| inside.ledger.over(row, *status)));
        }
        inside.dispatch(now, name, &mut bag);
        bag.deliver();
    }

    /// A server's answers. What answers nothing that it has is passed over.
    pub(crate) fn reply(&self, now: Instant, session: &Arc<Shared>, replies: impl Iterator<Item = Reply>) {
        let inside = &mut *self.0.lock();
        let mut bag = Bag::default();
        let mut freed: Vec<Name> = Vec::new();
        for reply in replies {
            let Entry::Occupied(call) = inside.calls.entry(reply.id) else { continue };
            let Place::At { session: at, serve_id } = call.get().place else { continue };
            if at != session.id {
                continue;
            }
            let call = call.remove();
            if let Some(status) = bag.answer(call.requester, reply.status(), reply.body) {
                inside.ledger.over(call.row, status);
                inside.ledger.answered(call.row, now.since(call.begun));
            }
            let Some(service) = inside.services.get_mut(&call.service) else { continue };
            let mut servers = service.servers.iter_mut();
            let server = servers.find(|server| server.session.id == at && server.serve_id == serve_id);
            if let Some(server) = server {
                server.under_way = server.under_way.saturating_sub(1);
                if !service.waiting.is_empty() && freed.last() != Some(&call.service) {
                    freed.push(call.service);
                }
            }
        }
        freed.iter().for_each(|name| inside.dispatch(now, name, &mut bag));
        bag.deliver();
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
                    server.session.post_all(vec![control::Cancel { id: number }.into()]);
                }
            }
        }
    }
}

impl Service {
    /// The server to send a request to: the one of those that take more that has the fewest.
    fn free(&self) -> Option<usize> {
        let free = self.servers.iter().enumerate().filter(|(_, server)| {
            server.under_way < server.concurrency && server.session.has_room_for_calls()
        });
        free.min_by_key(|(_, server)| server.under_way).map(|(place, _)| place)
    }
}

impl Inside {
    /// Whether one more may wait for a service.
    fn admit(&mut self, now: Instant, name: &Name, waiting_max: usize, bag: &mut Bag) -> Result<(), Status> {
        let is_full = |service: &Service| {
            service.waiting.len() >= waiting_max || service.waiting_bytes >= WAITING_BYTES
        };
        let service = self.services.get(name).filter(|service| !service.servers.is_empty());
        if !is_full(service.ok_or(Status::NoServer)?) {
            return Ok(());
        }
        // Of the same batch others may be there that need not wait.
        self.dispatch(now, name, bag);
        let service = self.services.get(name).ok_or(Status::NoServer)?;
        if is_full(service) && service.free().is_none() { Err(Status::Overloaded) } else { Ok(()) }
    }

    /// A request waits for a service that there is. Returns its number.
    fn add(&mut self, call: Call) -> u64 {
        self.last_call += 1;
        let number = self.last_call;
        let service = self.services.get_mut(&call.service);
        if let (Place::Waiting { body, lane, .. }, Some(service)) = (&call.place, service) {
            service.waiting.push(*lane, number);
            service.waiting_bytes += body.len();
        }
        self.calls.insert(number, call);
        number
    }

    /// Sends what waits for a service to the servers that take more.
    fn dispatch(&mut self, now: Instant, name: &Name, bag: &mut Bag) {
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
            let bytes = body.len();
            let request = Request {
                id: number,
                body,
                deadline_ms: deadline.map_or(0, |at| millis(at.since(now))),
                lane: control::Lane::from(lane).into(),
                serve_id: server.serve_id,
                ..Request::default()
            };
            bag.put(&server.session, request.into(), bytes);
        }
    }

    fn unserve(&mut self, session: &Arc<Shared>, name: &Name) {
        let Self { services, calls, ledger, .. } = self;
        let Some(service) = services.get_mut(name) else { return };
        service.servers.retain(|server| !Arc::ptr_eq(&server.session, session));
        if !service.servers.is_empty() {
            return;
        }
        let mut bag = Bag::default();
        for call in service.waiting.remove(|_| false).iter().filter_map(|number| calls.remove(number)) {
            let told = bag.answer(call.requester, Status::NoServer, Bytes::new());
            told.into_iter().for_each(|status| ledger.over(call.row, status));
        }
        bag.deliver();
        services.remove(name);
    }
}

/// What is left of a deadline, and never 0, which would be none.
fn millis(left: Duration) -> u32 {
    u32::try_from(left.as_millis()).unwrap_or(u32::MAX).max(1)
}

/// What goes to other sessions, by session: each is locked and woken once, when all is there, or much of it. Delivered under the router's
/// lock, so that a cancellation does not overtake its request.
#[derive(Default)]
struct Bag(Vec<(Arc<Shared>, Parcel)>);

#[derive(Default)]
struct Parcel {
    bodies: Vec<Body>,
    bytes: usize,
}

/// Bytes that are held back for one session at most: what it has is asked for each request, and must not be far from the truth.
const PARCEL_BYTES: usize = 64 * 1024;

impl Bag {
    fn put(&mut self, to: &Arc<Shared>, body: Body, bytes: usize) {
        let place = self.0.iter().position(|(session, _)| Arc::ptr_eq(session, to));
        let place = place.unwrap_or_else(|| {
            self.0.push((to.clone(), Parcel::default()));
            self.0.len() - 1
        });
        let parcel = &mut self.0[place].1;
        parcel.bodies.push(body);
        parcel.bytes += bytes;
        if parcel.bytes >= PARCEL_BYTES {
            to.post_all(std::mem::take(parcel).bodies);
        }
    }

    /// Tells who asked, if anybody still waits. Returns what is told.
    fn answer(
        &mut self,
        requester: Option<(Arc<Shared>, u64)>,
        status: Status,
        body: Bytes,
    ) -> Option<Status> {
        let (session, id) = requester?;
        // Who does not read its answers must not fill memory with them.
        let (status, body) = match session.has_room_for_calls() {
            true => (status, body),
            false => (Status::Overloaded, Bytes::new()),
        };
        let bytes = body.len();
        self.put(&session, Reply { id, status: status.into(), body }.into(), bytes);
        Some(status)
    }

    fn deliver(self) {
        for (session, parcel) in self.0 {
            if !parcel.bodies.is_empty() {
                session.post_all(parcel.bodies);
            }
        }
    }
}
