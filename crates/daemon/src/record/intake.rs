//! Several patterns as one stream of what arrives.

use std::future::poll_fn;
use std::task::{Context, Poll};

use nyx_client::subscribe::Options;
use nyx_client::{Batch, Client, Item, Name, Pattern, RecvError, SubscribeError, Subscription};
use nyx_protocol::state::{DEPTH_MAX, Limits, Value};

/// One subscription for each pattern. What several select comes once.
pub(super) struct Intake {
    subscriptions: Vec<Subscription>,
    /// Who is asked first, so that a busy one does not silence the others.
    next: usize,
}

/// What arrived.
pub(super) struct Received {
    pub(super) batch: Batch,
    /// The document, where the batch is an item of state.
    pub(super) document: Option<Value>,
}

impl Intake {
    pub(super) async fn subscribe(client: &Client, patterns: &[Pattern]) -> Result<Self, SubscribeError> {
        let mut options = Options::default();
        options.limits = limits();
        let mut subscriptions = Vec::new();
        for pattern in patterns {
            subscriptions.push(client.subscribe(pattern.clone(), options.clone()).await?);
        }
        Ok(Self { subscriptions, next: 0 })
    }

    /// What arrives next. Cancel safe, as what it waits for is.
    pub(super) async fn recv(&mut self) -> Result<Received, RecvError> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<Received, RecvError>> {
        let count = self.subscriptions.len();
        let mut idle = 0;
        while idle < count {
            let index = self.next;
            self.next = (index + 1) % count;
            let Poll::Ready(batch) = self.subscriptions[index].poll_recv_batch(cx)? else {
                idle += 1;
                continue;
            };
            idle = 0;
            if self.is_first(index, &batch) {
                let document = match &batch {
                    Batch::Item(Item::State(state)) => {
                        self.subscriptions[index].document(&state.topic.name).map(|document| document.value())
                    }
                    _ => None,
                };
                return Poll::Ready(Ok(Received { batch, document }));
            }
        }
        Poll::Pending
    }

    /// Whether no earlier subscription gets the same.
    fn is_first(&self, index: usize, batch: &Batch) -> bool {
        match topic(batch) {
            Some(name) => !self.subscriptions[..index].iter().any(|earlier| earlier.pattern().matches(name)),
            None => index == 0,
        }
    }
}

/// What a hub's documents may take where its limits were raised far: who records or prints them takes what there is.
pub(crate) fn limits() -> Limits {
    let mut limits = Limits::default();
    (limits.bytes, limits.depth) = (64 << 20, DEPTH_MAX);
    (limits.keys, limits.nodes) = (1 << 20, 1 << 22);
    limits
}

/// Which topic it is about; `None`: the connection.
fn topic(batch: &Batch) -> Option<&Name> {
    Some(match batch {
        Batch::Messages(messages) => &messages.topic().name,
        Batch::Item(Item::Event(event)) => &event.topic.name,
        Batch::Item(Item::Frame(frame)) => &frame.topic.name,
        Batch::Item(Item::Audio(audio)) => &audio.topic.name,
        Batch::Item(Item::State(state)) => &state.topic.name,
        Batch::Item(Item::Gap(gap)) => &gap.topic.name,
        Batch::Item(_) => return None,
    })
}
