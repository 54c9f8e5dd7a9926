//! Asking.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use nyx_core::{Clock as _, Instant, Lane};
use nyx_protocol::requests::{BODY_MAX, Cap};
use tokio::sync::{mpsc, oneshot};

use super::RequestError;
use super::batch::Batch;
use super::calls::Waiter;
use super::line::Line;
use super::room::{Room, Waiting};
use crate::Name;
use crate::publish::Payload;
use crate::shared::Open;

/// How many requests are sent at a time, and how many may wait.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// How many may be under way. Default: [adaptive](Cap::adaptive), up to 1,024: as many as the service takes.
    pub cap: Cap,
    /// How many may wait on this side. Default 65,536.
    pub waiting: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { cap: Cap::adaptive(1_024), waiting: 65_536 }
    }
}

/// How a request is sent.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct SendOptions {
    /// How long the answer may take from when it is asked for: the time for which the request waits on this side, behind others or for a
    /// connection, counts too. One that is still here then is not sent; one that is sent takes along what is left, in milliseconds,
    /// rounded up. `None`: for ever. Default 30 s.
    pub deadline: Option<Duration>,
    /// Whom it goes before where requests wait, here and at the hub. None starves. Default medium.
    pub lane: Lane,
}

impl Default for SendOptions {
    fn default() -> Self {
        Self { deadline: Some(Duration::from_secs(30)), lane: Lane::Medium }
    }
}

/// Sends requests to a service. Cheap to clone; clones share the cap.
#[derive(Clone, Debug)]
pub struct Requests {
    open: Arc<Open>,
    line: Arc<Line>,
}

impl Requests {
    pub(crate) fn new(open: Arc<Open>, service: Name, options: Options) -> Self {
        let line = Line::new(service, Room::new(options.cap, options.waiting));
        Self { open, line: Arc::new(line) }
    }

    /// The service.
    pub fn service(&self) -> &Name {
        &self.line.service
    }

    /// How many requests may be under way now.
    pub fn limit(&self) -> usize {
        self.line.limit()
    }

    /// Sends a request and waits for its answer, which keeps what was read with it: copy what is kept for long.
    ///
    /// # Cancel safety
    /// A future that is dropped before it is ready cancels the request: it is not sent, or the server is told that nobody waits.
    ///
    /// # Errors
    /// When there is no answer; each error says what that means.
    pub async fn send<P: Payload>(&self, body: P) -> Result<Bytes, RequestError> {
        self.send_with(body, SendOptions::default()).await
    }

    /// As [`send`](Self::send), with a deadline and a lane. It is asked when the future is first polled.
    ///
    /// # Cancel safety
    /// As [`send`](Self::send).
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn send_with<P: Payload>(&self, body: P, options: SendOptions) -> Result<Bytes, RequestError> {
        let (waiter, answer) = oneshot::channel();
        let number = self.open.shared.calls.numbers(1);
        let under_way = UnderWay { requests: self.clone(), numbers: number..number + 1 };
        let now = self.open.shared.clock.now();
        let waiting = waiting(number, body, options, now, Waiter::One(waiter));
        self.line.push(waiting.into_iter());
        self.pump(now);
        let answer = answer.await.unwrap_or(Err(RequestError::Closed));
        // It has its answer, so there is nothing to cancel.
        under_way.forget();
        answer
    }

    /// Sends many requests at once. The batch yields the results in the order of the requests when it is awaited, or
    /// [one by one](Batch::next) as they come. One that fails fails alone. Dropping the batch cancels what is not answered.
    pub fn send_batch<P: Payload>(&self, bodies: impl IntoIterator<Item = P>) -> Batch {
        self.send_batch_with(bodies, SendOptions::default())
    }

    /// As [`send_batch`](Self::send_batch), with a deadline for each and a lane.
    pub fn send_batch_with<P: Payload>(
        &self,
        bodies: impl IntoIterator<Item = P>,
        options: SendOptions,
    ) -> Batch {
        let bodies: Vec<P> = bodies.into_iter().collect();
        self.ask(bodies, options, self.open.shared.clock.now())
    }

    fn ask<P: Payload>(&self, bodies: Vec<P>, options: SendOptions, now: Instant) -> Batch {
        let (waiter, answers) = mpsc::unbounded_channel();
        let count = bodies.len();
        let first = self.open.shared.calls.numbers(count as u64);
        let under_way = UnderWay { requests: self.clone(), numbers: first..first + count as u64 };
        let all = bodies.into_iter().enumerate().filter_map(|(place, body)| {
            waiting(first + place as u64, body, options, now, Waiter::OfBatch(waiter.clone(), place))
        });
        // What waits is made before the line is locked: bodies may be anybody's code.
        self.line.push(all.collect::<Vec<_>>().into_iter());
        self.pump(now);
        Batch::new(count, answers, under_way)
    }

    fn pump(&self, now: Instant) {
        let shared = &self.open.shared;
        self.line.pump(&shared.outgoing, &shared.calls, now);
    }
}

/// A request that is to be sent; `None`: it is too large, and who waits for it has been told.
fn waiting<P: Payload>(
    number: u64,
    body: P,
    options: SendOptions,
    now: Instant,
    waiter: Waiter,
) -> Option<Waiting> {
    let length = body.as_ref().len();
    if length > BODY_MAX {
        waiter.tell(Err(RequestError::TooLarge(length)));
        return None;
    }
    let SendOptions { deadline, lane } = options;
    let expires = deadline.map(|time| now + time);
    Some(Waiting { number, body: body.into_bytes(), lane, expires, waiter })
}

/// Requests that are cancelled when this is dropped.
#[derive(Debug)]
pub(super) struct UnderWay {
    requests: Requests,
    numbers: std::ops::Range<u64>,
}

impl UnderWay {
    /// There is nothing to cancel any more.
    pub(super) fn forget(mut self) {
        self.numbers = 0..0;
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if self.numbers.is_empty() {
            return;
        }
        let Requests { open, line } = &self.requests;
        line.withdraw(&self.numbers);
        let shared = &open.shared;
        for number in self.numbers.clone() {
            shared.calls.cancel(number, &shared.outgoing, shared.clock.now());
        }
    }
}

#[cfg(test)]
mod tests;
