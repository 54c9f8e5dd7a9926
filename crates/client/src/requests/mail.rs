//! What has come of requests.

use nyx_core::Clock as _;
use nyx_protocol::control::{Body, Reply, Request};
use nyx_protocol::requests::ROUND;

use crate::shared::Shared;

/// Requests, answers and cancellations that came together, to be handled together: with one lock and one wake-up for all of them.
#[derive(Debug, Default)]
pub(crate) struct Mail {
    requests: Vec<Request>,
    replies: Vec<Reply>,
    cancels: Vec<u64>,
}

impl Mail {
    /// Keeps a message that is about a request; another is handed back.
    pub(crate) fn take(&mut self, body: Body) -> Option<Body> {
        match body {
            Body::Request(request) => self.requests.push(request),
            Body::Reply(reply) => self.replies.push(reply),
            Body::Cancel(cancel) => self.cancels.push(cancel.id),
            other => return Some(other),
        }
        None
    }

    /// Whether so much is there that it is to be handled before more is taken.
    pub(crate) const fn is_full(&self) -> bool {
        self.requests.len() + self.replies.len() + self.cancels.len() >= ROUND
    }

    /// Does what all of it asks for. Handlers run here, so no lock may be held.
    pub(crate) fn handle(&mut self, shared: &Shared) {
        if !self.replies.is_empty() {
            shared.calls.replies(&mut self.replies, &shared.outgoing, shared.clock.now());
        }
        if self.requests.is_empty() && self.cancels.is_empty() {
            return;
        }
        let (work, tasks) = {
            let services = shared.services.lock();
            (services.find(&mut self.requests), services.tasks())
        };
        tasks.answer(work, &shared.outgoing, &shared.clock);
        // A request is cancelled after it was sent.
        self.cancels.drain(..).for_each(|id| tasks.cancel(id));
    }
}
