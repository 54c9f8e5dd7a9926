//! Answering.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use nyx_core::Lane;
use nyx_protocol::control::{self, Request, Served, Unserve};
use tokio::sync::{oneshot, watch};

use super::ServeError;
use super::answer::{Responder, Tasks, Work};
use crate::publish::Payload;
use crate::shared::Open;
use crate::{Name, Refusal};

/// A request to answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Incoming {
    /// The hub's number.
    pub(super) id: u64,
    /// What is asked. It keeps what was read with it: copy what is kept for long.
    pub body: Bytes,
    /// How long whoever asks will wait from now; `None`: for ever. The handler's future is dropped when it is over.
    pub deadline: Option<Duration>,
    /// How urgent it is.
    pub lane: Lane,
}

/// How a service is served.
///
/// A handler that is ready at once is answered where it was read, with the others of its round. One that waits, or computes for more
/// than 100 µs before it first waits, runs on a task of its own.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServeOptions {
    /// Requests that are answered at a time; the hub sends no more. Default 256, at most 4,096.
    pub concurrency: u32,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self { concurrency: 256 }
    }
}

/// A service that is served until this is dropped. What is being answered then still is.
#[derive(Debug)]
#[must_use = "dropping it ends the service"]
pub struct Serving {
    id: u32,
    open: Arc<Open>,
    ended: watch::Receiver<Option<ServeError>>,
}

impl Serving {
    pub(crate) const fn new(id: u32, open: Arc<Open>, ended: watch::Receiver<Option<ServeError>>) -> Self {
        Self { id, open, ended }
    }

    /// Waits until the service is over without having been dropped, and says why: the hub, having been lost and found again, refuses it now, or the
    /// client was closed. It is served for as long as this does not return; a connection that is lost ends nothing.
    ///
    /// # Cancel safety
    /// A future that is dropped has taken nothing: the next call says the same.
    pub async fn ended(&self) -> ServeError {
        let mut ended = self.ended.clone();
        let told = ended.wait_for(Option::is_some).await;
        told.ok().and_then(|error| error.clone()).unwrap_or(ServeError::Closed)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let shared = &self.open.shared;
        if shared.services.lock().served.remove(&self.id).is_some() {
            shared.outgoing.put_control(Unserve { id: self.id });
        }
    }
}

/// What a client serves, and is answering.
#[derive(Default)]
pub(crate) struct Services {
    served: BTreeMap<u32, Service>,
    next: u32,
    tasks: Tasks,
}

struct Service {
    name: Name,
    concurrency: u32,
    responder: Arc<Responder>,
    answer: Option<oneshot::Sender<Result<(), ServeError>>>,
    /// Tells the handle that it is over.
    ended: watch::Sender<Option<ServeError>>,
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.served.values().map(|service| &service.name)).finish()
    }
}

pub(crate) fn serve_message(id: u32, name: &Name, concurrency: u32) -> control::Serve {
    control::Serve { id, service: name.as_str().to_owned(), concurrency }
}

impl Services {
    /// Adds a service. Returns its number, and what tells that it is over.
    pub(crate) fn add<F, Fut, P, E>(
        &mut self,
        name: Name,
        options: &ServeOptions,
        handler: F,
        answer: oneshot::Sender<Result<(), ServeError>>,
    ) -> (u32, watch::Receiver<Option<ServeError>>)
    where
        F: Fn(Incoming) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<P, E>> + Send + 'static,
        P: Payload + 'static,
        E: fmt::Display + 'static,
    {
        let responder = Arc::new(Responder::new(move |incoming| {
            let handling = handler(incoming);
            Box::pin(
                async move { handling.await.map(Payload::into_bytes).map_err(|error| error.to_string()) },
            )
        }));
        let id = self.next;
        self.next = id.wrapping_add(1);
        let concurrency = options.concurrency;
        let (ended, over) = watch::channel(None);
        self.served.insert(id, Service { name, concurrency, responder, answer: Some(answer), ended });
        (id, over)
    }

    /// What a new connection is told.
    pub(crate) fn prelude(&self) -> impl Iterator<Item = control::Serve> {
        self.served.iter().map(|(id, service)| serve_message(*id, &service.name, service.concurrency))
    }

    /// The hub says yes or no.
    pub(crate) fn served(&mut self, served: Served) {
        let Some(service) = self.served.get_mut(&served.id) else { return };
        let answer = service.answer.take();
        let result = match served.code() {
            control::ErrorCode::Unspecified => Ok(()),
            _ => {
                let error =
                    control::Error { code: served.code, message: served.message, ..Default::default() };
                Err(ServeError::Refused(Refusal::new(error, service.name.as_str())))
            }
        };
        if let Err(error) = &result
            && let Some(service) = self.served.remove(&served.id)
        {
            service.ended.send_replace(Some(error.clone()));
        }
        if let Some(answer) = answer {
            // Who does not wait for it is told nothing.
            let _ = answer.send(result);
        }
    }

    /// Who answers these requests.
    pub(crate) fn find(&self, requests: &mut Vec<Request>) -> Vec<Work> {
        // A hub sends no more than it was told to, and what is left of a service that was dropped is nobody else's.
        let mut room = BTreeMap::new();
        let find = |request: Request| {
            let id = request.serve_id;
            let service = self.served.get(&id).filter(|service| {
                let left = room.entry(id).or_insert_with(|| {
                    (service.concurrency.max(1) as usize).saturating_sub(self.tasks.count(id))
                });
                let has_room = *left > 0;
                *left = left.saturating_sub(1);
                has_room
            });
            Work { responder: service.map(|service| service.responder.clone()), request }
        };
        requests.drain(..).map(find).collect()
    }

    /// What is being answered on tasks of its own.
    pub(crate) fn tasks(&self) -> Tasks {
        self.tasks.clone()
    }

    /// The connection is lost: nobody can be told.
    pub(crate) fn disconnect(&self) {
        self.tasks.abort_all();
    }

    /// The client is closed.
    pub(crate) fn close(&mut self) {
        self.served.clear();
        self.disconnect();
    }
}
