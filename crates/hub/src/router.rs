//! Which server gets a request, and who gets the answer.
//!
//! A service is a name that sessions serve. A request goes to the server that has the fewest under way, and waits by lane while all have
//! as many as they take. Each is answered once: by its server, or here, when there is none, when too many wait, or when the server
//! is lost. A server's place is free again when it has answered, also where nobody waits for that any more: so it never
//! has more than it takes.

mod bag;
mod ledger;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use foldhash::fast::RandomState;
use nyx_core::{Instant, Lane};
use nyx_protocol::control::{self, Reply, Request, Status};
use nyx_protocol::requests::Queue;
use nyx_protocol::topic::Name;
use parking_lot::Mutex;

use crate::letters::Letters;
use crate::shared::Shared;
use crate::stats;
use bag::Bag;
use ledger::Ledger;

/// All services and the requests under way.
#[derive(Default)]
pub(crate) struct Router {
    inside: Mutex<Inside>,
    numbers: AtomicU64,
}

#[derive(Default)]
struct Inside {
    /// The keys of services. A key is used once.
    names: HashMap<Name, u64>,
    services: HashMap<u64, Service, RandomState>,
    last_service: u64,
    /// By numbers that are our own.
    calls: HashMap<u64, Call, RandomState>,
    ledger: Ledger,
}

/// A request as it came, its number here, and until when it is waited for.
pub(crate) struct Asked {
    pub(crate) number: u64,
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
    service: u64,
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
        let inside = &mut *self.inside.lock();
        inside.ledger.open(name);
        let key = inside.key_of(name);
        let service = inside.services.entry(key).or_default();
        if service.servers.iter().any(|server| Arc::ptr_eq(&server.session, session)) {
            return false;
        }
        service.servers.push(Server { session: session.clone(), serve_id, concurrency, under_way: 0 });
        let mut bag = Bag::default();
        inside.dispatch(now, key, &mut bag);
        bag.deliver();
        true
    }

    /// A server of these services takes requests again, which took none as it had not read those before.
    pub(crate) fn resume<'a>(&self, now: Instant, names: impl Iterator<Item = &'a Name>) {
        let inside = &mut *self.inside.lock();
        let mut bag = Bag::default();
        for name in names {
            if let Some(key) = inside.names.get(name).copied() {
                inside.dispatch(now, key, &mut bag);
            }
        }
        bag.deliver();
    }

    /// `session` takes no more. What it has it may still answer.
    pub(crate) fn unserve(&self, session: &Arc<Shared>, name: &Name) {
        self.inside.lock().unserve(session, name);
    }

    /// `session` is gone, which served these services.
    pub(crate) fn leave<'a>(&self, session: &Arc<Shared>, served: impl Iterator<Item = &'a Name>) {
        let inside = &mut *self.inside.lock();
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
        let ledger = &mut self.inside.lock().ledger;
        let row = ledger.find(name);
        ledger.asked(row);
        ledger.over(row, status);
    }

    /// What became of the requests to each service so far, the services in the order in which they were first served.
    pub(crate) fn stats(&self) -> Vec<stats::Service> {
        let Inside { names, services, ledger, .. } = &*self.inside.lock();
        let rows = ledger.rows().filter(|row| row.name.is_some() || row.requests > 0);
        let of_row = |row: &ledger::Row| {
            let service = row.name.as_ref().and_then(|name| services.get(names.get(name)?));
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

    /// A number for a request.
    pub(crate) fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// Requests for one service, of which at most `waiting_max` may wait. `refuse` is told which go nowhere, and why.
    pub(crate) fn request(
        &self,
        now: Instant,
        requester: &Arc<Shared>,
        name: &Name,
        asked: &mut [Asked],
        waiting_max: usize,
        mut refuse: impl FnMut(u64, Status),
    ) {
        let inside = &mut *self.inside.lock();
        let (key, row) = (inside.names.get(name).copied(), inside.ledger.find(name.as_str()));
        let mut bag = Bag::default();
        for Asked { number, request, deadline } in &mut *asked {
            inside.ledger.asked(row);
            let lane = request.lane().to_lane().unwrap_or(Lane::Medium);
            let place = Place::Waiting { body: std::mem::take(&mut request.body), lane, deadline: *deadline };
            match key.ok_or(Status::NoServer).and_then(|key| inside.admit(now, key, waiting_max, &mut bag)) {
                Ok(service) => {
                    let requester = Some((requester.clone(), request.id));
                    inside.add(*number, Call { service, row, begun: now, requester, place });
                }
                Err(status) => {
                    inside.ledger.over(row, status);
                    refuse(request.id, status);
                }
            }
        }
        if let Some(key) = key {
            inside.dispatch(now, key, &mut bag);
            inside.keep_waiting(key, asked);
        }
        bag.deliver();
    }

    /// A server's answers. What answers nothing that it has is passed over.
    pub(crate) fn reply(&self, now: Instant, session: &Arc<Shared>, replies: impl Iterator<Item = Reply>) {
        let inside = &mut *self.inside.lock();
        let mut bag = Bag::default();
        let mut freed: Vec<u64> = Vec::new();
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
        freed.iter().for_each(|key| inside.dispatch(now, *key, &mut bag));
        bag.deliver();
    }

    /// Nobody waits for this answer any more, for the reason that `status` is.
    pub(crate) fn cancel(&self, number: u64, status: Status) {
        let inside = &mut *self.inside.lock();
        let Some(call) = inside.calls.get_mut(&number) else { return };
        if call.requester.is_some() {
            inside.ledger.over(call.row, status);
        }
        call.requester = None;
        match &call.place {
            Place::Waiting { body, .. } => {
                let bytes = body.len();
                if let Some(service) = inside.services.get_mut(&call.service) {
                    service.waiting.remove(|waiting| *waiting != number);
                    service.waiting_bytes = service.waiting_bytes.saturating_sub(bytes);
                }
                inside.calls.remove(&number);
            }
            Place::At { session, serve_id } => {
                let service = inside.services.get(&call.service);
                let mut servers = service.into_iter().flat_map(|service| &service.servers);
                match servers.find(|server| server.session.id == *session && server.serve_id == *serve_id) {
                    Some(server) => {
                        let mut letters = Letters::default();
                        letters.put(control::Cancel { id: number });
                        server.session.post(&mut letters);
                    }
                    // Its place is gone, so nothing is to be kept for it.
                    None => drop(inside.calls.remove(&number)),
                }
            }
        }
    }
}

impl Service {
    /// The server to send a request to: the one of those that take more that has the fewest.
    fn free(&self) -> Option<usize> {
        let free = self.servers.iter().enumerate().filter(|(_, server)| {
            server.under_way < server.concurrency && server.session.has_room_for_letters()
        });
        free.min_by_key(|(_, server)| server.under_way).map(|(place, _)| place)
    }
}

impl Inside {
    /// The key of a service that is served, or is about to be.
    fn key_of(&mut self, name: &Name) -> u64 {
        *self.names.entry(name.clone()).or_insert_with(|| {
            self.last_service += 1;
            self.last_service
        })
    }

    /// Whether one more may wait for a service, which is returned.
    fn admit(&mut self, now: Instant, key: u64, waiting_max: usize, bag: &mut Bag) -> Result<u64, Status> {
        let is_full = |service: &Service| {
            service.waiting.len() >= waiting_max || service.waiting_bytes >= WAITING_BYTES
        };
        if !is_full(self.services.get(&key).ok_or(Status::NoServer)?) {
            return Ok(key);
        }
        // Of the same batch others may be there that need not wait.
        self.dispatch(now, key, bag);
        let service = self.services.get(&key).ok_or(Status::NoServer)?;
        if is_full(service) && service.free().is_none() { Err(Status::Overloaded) } else { Ok(key) }
    }

    /// A request waits for a service that there is.
    fn add(&mut self, number: u64, call: Call) {
        let service = self.services.get_mut(&call.service);
        if let (Place::Waiting { body, lane, .. }, Some(service)) = (&call.place, service) {
            service.waiting.push(*lane, number);
            service.waiting_bytes += body.len();
        }
        self.calls.insert(number, call);
    }

    /// Those of these requests that have to wait must not keep the memory of all that came with them.
    fn keep_waiting(&mut self, key: u64, asked: &[Asked]) {
        let Self { services, calls, .. } = self;
        if services.get(&key).is_none_or(|service| service.waiting.is_empty()) {
            return;
        }
        for Asked { number, .. } in asked {
            if let Some(Call { place: Place::Waiting { body, .. }, .. }) = calls.get_mut(number) {
                *body = Bytes::copy_from_slice(body);
            }
        }
    }

    /// Sends what waits for a service to the servers that take more.
    fn dispatch(&mut self, now: Instant, key: u64, bag: &mut Bag) {
        let Self { services, calls, .. } = self;
        let Some(service) = services.get_mut(&key) else { return };
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
            let request = Request {
                id: number,
                body,
                deadline_ms: deadline.map_or(0, |at| millis(at.since(now))),
                lane: control::Lane::from(lane).into(),
                serve_id: server.serve_id,
                ..Request::default()
            };
            bag.put(&server.session, request);
        }
    }

    fn unserve(&mut self, session: &Arc<Shared>, name: &Name) {
        let Self { names, services, calls, ledger, .. } = self;
        let Some(key) = names.get(name).copied() else { return };
        let Some(service) = services.get_mut(&key) else { return };
        let left = service.servers.extract_if(.., |server| Arc::ptr_eq(&server.session, session));
        if left.map(|server| server.under_way).sum::<u32>() > 0 {
            // What nobody waits for was kept for the sake of its place.
            calls.retain(|_, call| {
                let is_its = matches!(call.place, Place::At { session: at, .. } if at == session.id);
                call.requester.is_some() || call.service != key || !is_its
            });
        }
        if !service.servers.is_empty() {
            return;
        }
        let mut bag = Bag::default();
        for call in service.waiting.remove(|_| false).iter().filter_map(|number| calls.remove(number)) {
            let told = bag.answer(call.requester, Status::NoServer, Bytes::new());
            told.into_iter().for_each(|status| ledger.over(call.row, status));
        }
        bag.deliver();
        names.remove(name);
        services.remove(&key);
    }
}

/// What is left of a deadline, and never 0, which would be none.
fn millis(left: Duration) -> u32 {
    u32::try_from(left.as_millis()).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests;
