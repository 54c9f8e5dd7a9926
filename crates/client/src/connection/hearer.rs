//! A client that hears what it is given and sends nothing, for the fuzz target `client_stream`; compiled with the feature `fuzzing` alone.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::BytesMut;
use nyx_transport::Address;
use tokio::sync::oneshot;

use super::messages::{self, Taken};
use super::packing::Packing;
use crate::shared::{Open, Shared};
use crate::subscribe::{Acks, Options};
use crate::{Config, Item, Pattern, Subscription};

/// Subscriptions to `**` and `a/*`, and a connection without a socket.
#[derive(Debug)]
pub struct Hearer {
    open: Arc<Open>,
    acks: Arc<Acks>,
    packing: Packing,
    buffer: BytesMut,
    subscriptions: Vec<Subscription>,
}

impl Default for Hearer {
    fn default() -> Self {
        Self::new(false)
    }
}

impl Hearer {
    /// A client that has just been welcomed; `is_unordered`: over datagrams.
    pub fn new(is_unordered: bool) -> Self {
        let shared = Arc::new(Shared::new(Address::default(), Config::default()));
        shared.registry.lock().dispatch.is_unordered = is_unordered;
        shared.outgoing.begin(1, Vec::new(), shared.max_message_bytes());
        let acks = Arc::new(Acks::new(shared.outgoing.clone()));
        let packing = Packing::new(shared.clock.clone(), true);
        let open = Arc::new(Open { shared });
        let mut hearer = Self { open, acks, packing, buffer: BytesMut::new(), subscriptions: Vec::new() };
        hearer.subscribe("**");
        hearer.subscribe("a/*");
        hearer
    }

    /// Adds a subscription.
    pub fn subscribe(&mut self, pattern: &str) {
        let Ok(pattern) = Pattern::new(pattern) else { return };
        let (answer, _) = oneshot::channel();
        let mut registry = self.open.shared.registry.lock();
        let (id, inbox) = registry.subscribe(pattern.clone(), None, answer);
        registry.dispatch.subscribe(id, &pattern, &inbox);
        drop(registry);
        let limits = Options::default().limits;
        self.subscriptions.push(Subscription::new(id, self.open.clone(), inbox, pattern, limits));
    }

    /// Ends the oldest subscription.
    pub fn unsubscribe(&mut self) {
        if !self.subscriptions.is_empty() {
            self.subscriptions.remove(0);
        }
    }

    /// Takes bytes of the hub. `false`: the connection is over.
    pub fn hear(&mut self, bytes: &[u8]) -> bool {
        self.buffer.extend_from_slice(bytes);
        loop {
            match messages::take(&self.open.shared, &self.acks, (&mut self.packing, true), &mut self.buffer) {
                Ok(Taken::More) => {}
                Ok(Taken::HeldBack | Taken::Needs(_)) => break,
                Err(_) => {
                    self.reconnect();
                    return false;
                }
            }
        }
        // What it would say is written at once.
        self.open.shared.outgoing.take(true, &mut Vec::new());
        true
    }

    /// Loses the connection, and has another one.
    pub fn reconnect(&mut self) {
        self.buffer.clear();
        let mut registry = self.open.shared.registry.lock();
        registry.disconnect(0);
        registry.prelude();
        self.acks = Arc::new(Acks::new(self.open.shared.outgoing.clone()));
    }

    /// What each subscription has got since.
    pub fn read(&mut self) -> Vec<Vec<Item>> {
        let mut cx = Context::from_waker(Waker::noop());
        let read = self.subscriptions.iter_mut().map(|subscription| {
            std::iter::from_fn(|| match subscription.poll_recv(&mut cx) {
                Poll::Ready(Ok(item)) => Some(item),
                _ => None,
            })
            .collect()
        });
        read.collect()
    }

    /// Bytes that have come on this connection and were not consumed.
    pub fn unconsumed(&self) -> u64 {
        self.acks.unconsumed()
    }
}
