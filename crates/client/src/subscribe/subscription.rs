//! The consumer's end of a subscription.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use nyx_protocol::state::{Document, Limits};
use nyx_protocol::wire::{Flags, Kind, Message};

use super::{
    Audio, Batch, Delivery, Event, Frame, Gap, Inbox, Item, Messages, Missing, RecvError, Replica, Run,
    Update,
};
use crate::shared::Open;
use crate::{Name, Pattern};

/// Receives what is published on the topics that a pattern selects.
///
/// Dropping it ends the subscription. Several subscriptions share their client's connection: the hub sends to all of them
/// only while none leaves too much unconsumed, so drop one that is not read, or give it a client of its own.
#[derive(Debug)]
pub struct Subscription {
    id: u32,
    open: Arc<Open>,
    inbox: Arc<Inbox>,
    pattern: Pattern,
    limits: Limits,
    /// The run that is being consumed.
    current: Option<Run>,
    /// Bytes of `current` that were handed out, and count as consumed when more is asked for.
    owed: usize,
    replicas: HashMap<Name, Replica>,
}

impl Subscription {
    pub(crate) fn new(id: u32, open: Arc<Open>, inbox: Arc<Inbox>, pattern: Pattern, limits: Limits) -> Self {
        Self { id, open, inbox, pattern, limits, current: None, owed: 0, replicas: HashMap::new() }
    }

    /// What selects the topics.
    pub const fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    /// The document of a state topic, as the last [`Item::State`] of it left it.
    pub fn document(&self, topic: &Name) -> Option<&Document> {
        self.replicas.get(topic)?.document()
    }

    /// The next item. What was returned before counts as consumed now.
    ///
    /// # Cancel safety
    /// A future that is dropped before it is ready has taken nothing: the next call returns the item.
    ///
    /// # Errors
    /// When nothing will come any more.
    pub async fn recv(&mut self) -> Result<Item, RecvError> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// As [`recv`](Self::recv), for use in a `Stream` or `Future` of one's own.
    ///
    /// # Errors
    /// When nothing will come any more.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<Item, RecvError>> {
        loop {
            if let Some(delivery) = ready!(self.poll_run(cx))? {
                return Poll::Ready(Ok(delivery));
            }
            if let Some(item) = self.next_item() {
                return Poll::Ready(Ok(item));
            }
        }
    }

    /// The next messages that came together. What was returned before counts as consumed now. State comes as an item, as
    /// by [`recv`](Self::recv).
    ///
    /// # Cancel safety
    /// A future that is dropped before it is ready has taken nothing.
    ///
    /// # Errors
    /// When nothing will come any more.
    pub async fn recv_batch(&mut self) -> Result<Batch, RecvError> {
        poll_fn(|cx| self.poll_recv_batch(cx)).await
    }

    /// As [`recv_batch`](Self::recv_batch), for use in a `Stream` or `Future` of one's own.
    ///
    /// # Errors
    /// When nothing will come any more.
    pub fn poll_recv_batch(&mut self, cx: &mut Context<'_>) -> Poll<Result<Batch, RecvError>> {
        loop {
            if let Some(item) = ready!(self.poll_run(cx))? {
                return Poll::Ready(Ok(Batch::Item(item)));
            }
            let Some(run) = self.current.as_mut() else { continue };
            if run.topic.kind != Kind::State {
                let bytes = std::mem::take(&mut run.bytes);
                self.owed = bytes.len();
                let messages = Messages { topic: run.topic.clone(), first_sequence: run.sequence, bytes };
                return Poll::Ready(Ok(Batch::Messages(messages)));
            }
            if let Some(item) = self.next_item() {
                return Poll::Ready(Ok(Batch::Item(item)));
            }
        }
    }

    /// Makes `current` a run with something in it, or returns what is no run.
    fn poll_run(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Item>, RecvError>> {
        self.settle();
        if self.current.is_some() {
            return Poll::Ready(Ok(None));
        }
        Poll::Ready(Ok(match ready!(self.inbox.poll_pop(cx))? {
            Delivery::Gap(gap) => Some(Item::Gap(gap)),
            Delivery::Reconnected(reconnected) => Some(Item::Reconnected(reconnected)),
            Delivery::Refused(refusal) => Some(Item::Refused(refusal)),
            Delivery::Run(run) => {
                self.current = Some(run);
                None
            }
        }))
    }

    /// Counts what was handed out as consumed.
    fn settle(&mut self) {
        let Some(run) = &mut self.current else { return };
        run.consume(std::mem::take(&mut self.owed));
        if run.bytes.is_empty() {
            self.current = None;
        }
    }

    /// Takes the next message of the current run, if it makes an item.
    fn next_item(&mut self) -> Option<Item> {
        let run = self.current.as_mut()?;
        let Some(message) = run.front() else {
            // Only whole messages make a run; were it otherwise, the rest would be unreadable for good.
            self.owed = run.bytes.len();
            run.bytes.clear();
            return None;
        };
        let len = message.header.message_len();
        let item = if run.topic.kind == Kind::State {
            let name = &run.topic.name;
            let keeps = if self.open.shared.address.is_udp() { VERSIONS } else { 0 };
            if !self.replicas.contains_key(name) {
                self.replicas.insert(name.clone(), Replica::new(self.limits.clone(), keeps));
            }
            let replica = self.replicas.get_mut(name)?;
            let update = replica.update(&run.topic, &message, run.size);
            if replica.needs_snapshot() {
                self.open.shared.resync(name);
            }
            match update {
                Update::Changed(state) => Some(Item::State(state)),
                Update::Passed => None,
                Update::Refused(reason) => Some(Item::Gap(Gap {
                    topic: run.topic.clone(),
                    first_sequence: run.sequence,
                    missing: vec![Missing { reason, count: 1 }],
                })),
            }
        } else {
            Some(item(run, &message))
        };
        run.advance(len);
        self.owed = len;
        item
    }
}

/// Versions of a document that are kept over datagrams, where deltas start from what the hub knows to have arrived (docs/WIRE.md,
/// section 9).
const VERSIONS: usize = 16;

fn item(run: &Run, message: &Message<'_>) -> Item {
    let (topic, sequence, unix_micros) = (run.topic.clone(), run.sequence, message.unix_micros);
    let payload = message.owned_payload(&run.bytes);
    match run.topic.kind {
        Kind::Frame => Item::Frame(Frame {
            topic,
            sequence,
            codec: message.header.codec.into(),
            keyframe: message.header.flags.contains(Flags::KEYFRAME),
            unix_micros,
            payload,
        }),
        Kind::Audio => {
            Item::Audio(Audio { topic, sequence, samples: message.header.codec.into(), unix_micros, payload })
        }
        Kind::Event | Kind::State => {
            Item::Event(Event { topic, sequence, codec: message.header.codec.into(), unix_micros, payload })
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.open.shared.unsubscribe(self.id);
        self.inbox.abandon();
    }
}
