//! Answering what has come: at once where the handler can, on a task of its own where it has to wait.
//!
//! Requests come in rounds, of what one read of the socket has brought at most. Each handler is polled once where it was read. What is ready then is answered
//! with the rest of its batch; a task for each, with its wake-ups, would cost more than the whole way through the hub. A handler that
//! computes for long would hold up its connection there, so how long that first poll takes is measured.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use nyx_core::clock::Monotonic;
use nyx_core::{Clock as _, Lane};
use nyx_protocol::control::{Reply, Request, Status};
use nyx_protocol::requests::BODY_MAX;
use parking_lot::Mutex;
use tokio::task::AbortHandle;

use super::serve::Incoming;
use crate::outgoing::Outgoing;

type Handled = Result<Bytes, String>;
type Handling = Pin<Box<dyn Future<Output = Handled> + Send>>;

/// What answers the requests of a service.
pub(super) struct Responder {
    handler: Box<dyn Fn(Incoming) -> Handling + Send + Sync>,
    /// Whether the last first poll took long.
    is_slow: AtomicBool,
}

impl Responder {
    pub(super) fn new(handler: impl Fn(Incoming) -> Handling + Send + Sync + 'static) -> Self {
        Self { handler: Box::new(handler), is_slow: AtomicBool::new(false) }
    }

    fn observe(&self, first_poll: Duration) {
        let is_slow = first_poll > SLOW;
        if is_slow != self.is_slow.load(Relaxed) {
            self.is_slow.store(is_slow, Relaxed);
        }
    }

    /// Polls a handler once.
    fn try_answer(&self, incoming: Incoming) -> Result<Reply, Handling> {
        let id = incoming.id;
        let poll = catch_unwind(AssertUnwindSafe(|| {
            let mut handling = (self.handler)(incoming);
            // Should it have to wait, a task polls it anew at once.
            match handling.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(handled) => Ok(handled),
                Poll::Pending => Err(handling),
            }
        }));
        match poll {
            Ok(Ok(handled)) => Ok(reply_of(id, handled)),
            Ok(Err(handling)) => Err(handling),
            Err(_) => Ok(Reply { id, status: Status::Failed.into(), body: Bytes::from_static(PANICKED) }),
        }
    }

    /// The whole of it, on a task.
    async fn handle(self: Arc<Self>, incoming: Incoming, clock: Monotonic) -> Handled {
        let mut handling = pin!(async { (self.handler)(incoming).await });
        let first = std::future::poll_fn(|cx| {
            let start = clock.now();
            let poll = handling.as_mut().poll(cx);
            self.observe(clock.now() - start);
            Poll::Ready(poll)
        });
        match first.await {
            Poll::Ready(handled) => handled,
            Poll::Pending => handling.await,
        }
    }
}

/// A request, and what answers it; `None`: nobody, or more came than may.
pub(crate) struct Work {
    pub(super) request: Request,
    pub(super) responder: Option<Arc<Responder>>,
}

/// Requests that are answered on tasks of their own, by the hub's number, on the present connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tasks(Arc<Mutex<HashMap<u64, Running>>>);

#[derive(Debug)]
struct Running {
    serve_id: u32,
    /// Absent until the task is there.
    task: Option<AbortHandle>,
}

impl Tasks {
    /// How many there are of a service.
    pub(super) fn count(&self, serve_id: u32) -> usize {
        self.0.lock().values().filter(|running| running.serve_id == serve_id).count()
    }

    /// Nobody waits for this answer any more.
    pub(crate) fn cancel(&self, id: u64) {
        let running = self.0.lock().remove(&id);
        if let Some(task) = running.and_then(|running| running.task) {
            task.abort();
        }
    }

    /// The connection is lost: nobody can be told.
    pub(super) fn abort_all(&self) {
        let tasks = std::mem::take(&mut *self.0.lock());
        tasks.into_values().filter_map(|running| running.task).for_each(|task| task.abort());
    }

    /// Answers a round of requests.
    pub(crate) fn answer(&self, work: Vec<Work>, outgoing: &Arc<Outgoing>, clock: &Monotonic) {
        let (session, began) = (outgoing.session(), clock.now());
        let (mut replies, mut before) = (Vec::with_capacity(work.len()), began);
        for Work { request, responder } in work {
            let (id, serve_id) = (request.id, request.serve_id);
            let Some(responder) = responder else {
                replies.push(Reply { id, status: Status::Overloaded.into(), body: Bytes::new() });
                continue;
            };
            let incoming = Incoming::new(request);
            let promise = || Answer::new(outgoing.clone(), self.clone(), session, id);
            if responder.is_slow.load(Relaxed) || before - began > TURN {
                self.spawn(serve_id, promise(), responder.handle(incoming, clock.clone()));
                continue;
            }
            match responder.try_answer(incoming) {
                Ok(reply) => replies.push(reply),
                Err(handling) => self.spawn(serve_id, promise(), handling),
            }
            let now = clock.now();
            responder.observe(now - before);
            before = now;
        }
        outgoing.put_replies(session, replies);
    }

    fn spawn(
        &self,
        serve_id: u32,
        mut answer: Answer,
        handling: impl Future<Output = Handled> + Send + 'static,
    ) {
        let id = answer.id;
        self.0.lock().insert(id, Running { serve_id, task: None });
        // Without the lock, which the answer takes: a runtime that is shutting down drops it here.
        let task = tokio::spawn(async move {
            let handled = handling.await;
            answer.give(reply_of(id, handled));
        });
        if let Some(running) = self.0.lock().get_mut(&id) {
            running.task = Some(task.abort_handle());
        }
    }
}

fn reply_of(id: u64, handled: Handled) -> Reply {
    let (status, body) = match handled {
        Ok(body) if body.len() <= BODY_MAX => (Status::Ok, body),
        Ok(body) => {
            let text = format!("the answer of {} bytes is over the limit of {BODY_MAX}", body.len());
            (Status::Failed, text.into())
        }
        Err(text) => {
            let end = text.floor_char_boundary(BODY_MAX);
            (Status::Failed, Bytes::copy_from_slice(&text.as_bytes()[..end]))
        }
    };
    Reply { id, status: status.into(), body }
}

impl Incoming {
    fn new(request: Request) -> Self {
        Self {
            id: request.id,
            deadline: (request.deadline_ms > 0).then(|| Duration::from_millis(request.deadline_ms.into())),
            lane: request.lane().to_lane().unwrap_or(Lane::Medium),
            body: request.body,
        }
    }
}

/// The one answer of a task. If it is dropped before, the request was given up, or its handler has panicked.
struct Answer {
    outgoing: Arc<Outgoing>,
    tasks: Tasks,
    session: u64,
    id: u64,
    is_given: bool,
}

impl Answer {
    const fn new(outgoing: Arc<Outgoing>, tasks: Tasks, session: u64, id: u64) -> Self {
        Self { outgoing, tasks, session, id, is_given: false }
    }

    fn give(&mut self, reply: Reply) {
        if !std::mem::replace(&mut self.is_given, true) {
            self.tasks.0.lock().remove(&self.id);
            self.outgoing.put_replies(self.session, vec![reply]);
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        let (status, body) = match std::thread::panicking() {
            true => (Status::Failed, Bytes::from_static(PANICKED)),
            false => (Status::Cancelled, Bytes::new()),
        };
        self.give(Reply { id: self.id, status: status.into(), body });
    }
}

const PANICKED: &[u8] = b"the server failed";

/// A first poll that takes longer moves its service to tasks: ten of these are a millisecond for whatever else comes on the connection.
const SLOW: Duration = Duration::from_micros(100);

/// How long one batch may be answered where it was read; the rest goes to tasks.
const TURN: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn incoming() -> Incoming {
        Incoming::new(Request { id: 7, ..Request::default() })
    }

    #[test]
    fn a_service_has_tasks_from_when_its_first_poll_takes_long_until_it_does_not() {
        let responder = Responder::new(|_| Box::pin(async { Ok(Bytes::new()) }));
        for (micros, is_slow) in [(1, false), (101, true), (300, true), (99, false)] {
            responder.observe(Duration::from_micros(micros));
            assert_eq!(responder.is_slow.load(Relaxed), is_slow, "{micros} µs");
        }
    }

    #[test]
    fn what_is_ready_is_answered_and_what_waits_is_handed_back_unharmed() {
        let ready = Responder::new(|_| Box::pin(async { Ok(Bytes::from_static(b"yes")) }));
        let reply = ready.try_answer(incoming()).ok().unwrap();
        assert_eq!((reply.id, reply.status(), &reply.body[..]), (7, Status::Ok, &b"yes"[..]));
        let waits = Responder::new(|_| {
            Box::pin(async {
                tokio::task::yield_now().await;
                Ok(Bytes::new())
            })
        });
        let mut handling = waits.try_answer(incoming()).err().unwrap();
        assert!(handling.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
    }

    #[test]
    fn a_panic_is_an_answer() {
        let responder = Responder::new(|_| panic!("as the test wants"));
        let reply = responder.try_answer(incoming()).ok().unwrap();
        assert_eq!((reply.status(), &reply.body[..]), (Status::Failed, PANICKED));
    }
}
