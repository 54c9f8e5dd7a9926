//! Answering.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use nyx_core::Lane;
use nyx_protocol::control::{self, Reply, Request, Served, Status, Unserve};
use nyx_protocol::requests::BODY_MAX;
use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};
use tokio::task::AbortHandle;

use super::ServeError;
use crate::outgoing::Outgoing;
use crate::publish::Payload;
use crate::shared::Open;
use crate::{Name, Refusal};

/// A request to answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Incoming {
    /// What is asked.
    pub body: Bytes,
    /// How long whoever asks will wait from now; `None`: for ever. The handler's future is dropped when it is over.
    pub deadline: Option<Duration>,
    /// How urgent it is.
    pub lane: Lane,
}

/// How a service is served.
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

type Handling = Pin<Box<dyn Future<Output = Result<Bytes, String>> + Send>>;
type Handler = Arc<dyn Fn(Incoming) -> Handling + Send + Sync>;

/// What a client serves, and is answering.
#[derive(Default)]
pub(crate) struct Services {
    served: BTreeMap<u32, Service>,
    next: u32,
    /// By the hub's number, on the present connection.
    answering: Arc<Mutex<HashMap<u64, AbortHandle>>>,
}

struct Service {
    name: Name,
    concurrency: u32,
    handler: Handler,
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
        let handler: Handler = Arc::new(move |incoming| {
            let handling = handler(incoming);
            Box::pin(
                async move { handling.await.map(Payload::into_bytes).map_err(|error| error.to_string()) },
            )
        });
        let id = self.next;
        self.next = id.wrapping_add(1);
        let concurrency = options.concurrency;
        let (ended, over) = watch::channel(None);
        self.served.insert(id, Service { name, concurrency, handler, answer: Some(answer), ended });
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

    /// Answers a request of the hub, on a task of its own.
    pub(crate) fn handle(&self, request: Request, outgoing: &Arc<Outgoing>) {
        let (id, session) = (request.id, outgoing.session());
        let mut reply = Answer {
            outgoing: outgoing.clone(),
            answering: self.answering.clone(),
            session,
            reply: Some(Reply { id, status: Status::Cancelled.into(), body: Bytes::new() }),
        };
        let mut answering = self.answering.lock();
        // A hub sends no more than it was told to.
        let most: usize = self.served.values().map(|service| service.concurrency.max(1) as usize).sum();
        let service = self.served.get(&request.serve_id);
        let Some(service) = service.filter(|_| answering.len() < most) else {
            drop(answering);
            return reply.give(Status::Overloaded, Bytes::new());
        };
        let handler = service.handler.clone();
        let incoming = Incoming {
            deadline: (request.deadline_ms > 0).then(|| Duration::from_millis(request.deadline_ms.into())),
            lane: request.lane().to_lane().unwrap_or(Lane::Medium),
            body: request.body,
        };
        let task = tokio::spawn(async move {
            match handler(incoming).await {
                Ok(body) if body.len() > BODY_MAX => {
                    let text = format!("the answer of {} bytes is over the limit of {BODY_MAX}", body.len());
                    reply.give(Status::Failed, text.into());
                }
                Ok(body) => reply.give(Status::Ok, body),
                Err(text) => {
                    let end = text.floor_char_boundary(BODY_MAX);
                    reply.give(Status::Failed, Bytes::copy_from_slice(&text.as_bytes()[..end]));
                }
            }
        });
        // It can't have answered yet: that takes this lock.
        answering.insert(id, task.abort_handle());
    }

    /// Nobody waits for this answer any more.
    pub(crate) fn cancel(&self, id: u64) {
        let task = self.answering.lock().remove(&id);
        if let Some(task) = task {
            task.abort();
        }
    }

    /// The connection is lost: nobody can be told.
    pub(crate) fn disconnect(&self) {
        let answering = std::mem::take(&mut *self.answering.lock());
        answering.into_values().for_each(|task| task.abort());
    }

    /// The client is closed.
    pub(crate) fn close(&mut self) {
        self.served.clear();
        self.disconnect();
    }
}

/// The one answer to a request. If it is dropped before, the request was given up, or its handler has panicked.
struct Answer {
    outgoing: Arc<Outgoing>,
    answering: Arc<Mutex<HashMap<u64, AbortHandle>>>,
    session: u64,
    reply: Option<Reply>,
}

impl Answer {
    fn give(&mut self, status: Status, body: Bytes) {
        if let Some(reply) = self.reply.take() {
            self.answering.lock().remove(&reply.id);
            self.outgoing.put_reply(self.session, Reply { status: status.into(), body, ..reply });
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.give(Status::Failed, Bytes::from_static(b"the server failed"));
        } else {
            self.give(Status::Cancelled, Bytes::new());
        }
    }
}
