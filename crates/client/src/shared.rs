//! What a client's handles and its connection's task share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};

use nyx_core::Clock as _;
use nyx_core::clock::Monotonic;
use nyx_protocol::control::{Resync, Unsubscribe, Welcome};
use nyx_transport::Address;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::outgoing::Outgoing;
use crate::registry::Registry;
use crate::requests::{Calls, RequestError, Services};
use crate::{Config, Name, Refusal};

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) address: Address,
    pub(crate) config: Config,
    pub(crate) clock: Monotonic,
    pub(crate) outgoing: Arc<Outgoing>,
    pub(crate) registry: Mutex<Registry>,
    pub(crate) calls: Calls,
    pub(crate) services: Mutex<Services>,
    pub(crate) history: Mutex<History>,
    max_message_bytes: AtomicUsize,
    /// The number of the hub that was there last; 0 where it told none.
    hub: AtomicU64,
    /// Whether a publisher has blocks made however fast the connection is.
    insists_on_blocks: AtomicBool,
    /// Bytes that were not written because blocks stood for them.
    saved: AtomicU64,
    /// No handle is left, or the client was closed: write what waits, and end.
    is_closing: AtomicBool,
    closing: Notify,
    ended: Notify,
}

/// For [`Stats`](crate::Stats).
#[derive(Debug, Default)]
pub(crate) struct History {
    pub(crate) reconnects: u64,
    pub(crate) maybe_lost: u64,
    pub(crate) lost: u64,
    pub(crate) last_error: Option<String>,
    /// What the hub said when it last ended the session or took none, until it takes one.
    pub(crate) refusal: Option<Refusal>,
}

impl Shared {
    pub(crate) fn new(address: Address, config: Config) -> Self {
        Self {
            address,
            outgoing: Arc::new(Outgoing::new(config.batch)),
            config,
            clock: Monotonic::new(),
            registry: Mutex::default(),
            calls: Calls::default(),
            services: Mutex::default(),
            history: Mutex::default(),
            max_message_bytes: AtomicUsize::new(16 * 1024 * 1024),
            hub: AtomicU64::new(0),
            insists_on_blocks: AtomicBool::new(false),
            saved: AtomicU64::new(0),
            is_closing: AtomicBool::new(false),
            closing: Notify::new(),
            ended: Notify::new(),
        }
    }

    /// Gives up the requests whose time has passed.
    pub(crate) fn expire_calls(&self) {
        if self.calls.next_deadline().is_some() {
            self.calls.expire(self.clock.now(), &self.outgoing);
        }
    }

    /// What the hub takes, as its `Welcome` says.
    pub(crate) fn max_message_bytes(&self) -> usize {
        self.max_message_bytes.load(Relaxed)
    }

    /// The number of the hub, if it tells one.
    pub(crate) fn hub(&self) -> Option<u64> {
        Some(self.hub.load(Relaxed)).filter(|hub| *hub != 0)
    }

    /// Keeps what the hub says of itself.
    pub(crate) fn welcome(&self, welcome: &Welcome) {
        self.hub.store(welcome.hub, Relaxed);
        if welcome.max_message_bytes > 0 {
            self.max_message_bytes.store(welcome.max_message_bytes as usize, Relaxed);
        }
    }

    pub(crate) fn insists_on_blocks(&self) -> bool {
        self.insists_on_blocks.load(Relaxed)
    }

    pub(crate) fn insist_on_blocks(&self) {
        self.insists_on_blocks.store(true, Relaxed);
    }

    /// So many bytes that wait need not be written.
    pub(crate) fn count_saved(&self, bytes: usize) {
        if bytes > 0 {
            self.saved.fetch_add(bytes as u64, Relaxed);
            self.outgoing.written(bytes);
        }
    }

    pub(crate) fn saved_bytes(&self) -> u64 {
        self.saved.load(Relaxed)
    }

    /// A subscriber's copy of a document does not follow.
    pub(crate) fn resync(&self, name: &Name) {
        let mut registry = self.registry.lock();
        if let Some(topic_id) = registry.dispatch.resync(name) {
            self.outgoing.put_control(Resync { topic_id });
        }
    }

    pub(crate) fn unsubscribe(&self, id: u32) {
        let mut registry = self.registry.lock();
        if registry.remove_subscription(id).is_some() {
            self.outgoing.put_control(Unsubscribe { id });
        }
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.is_closing.load(Relaxed)
    }

    /// Tells the task to end once all is written.
    pub(crate) fn begin_closing(&self) {
        self.is_closing.store(true, Relaxed);
        self.closing.notify_one();
        self.outgoing.poke();
    }

    /// Ready when [`begin_closing`](Self::begin_closing) was called. For the task alone.
    pub(crate) async fn closing(&self) {
        while !self.is_closing() {
            self.closing.notified().await;
        }
    }

    /// The task's last act.
    pub(crate) fn end(&self) {
        self.outgoing.close();
        self.calls.fail_all(&RequestError::Closed, &self.outgoing, self.clock.now());
        self.calls.unblock(&self.outgoing, self.clock.now());
        // Before the services: none is added then, which nobody would answer for.
        self.registry.lock().close();
        self.services.lock().close();
        self.ended.notify_waiters();
    }

    /// Ready when the task has ended.
    pub(crate) async fn ended(&self) {
        loop {
            let ended = self.ended.notified();
            if self.registry.lock().is_closed {
                return;
            }
            ended.await;
        }
    }
}

/// Held by every handle of a client; when the last one goes, the connection closes.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) shared: Arc<Shared>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.shared.begin_closing();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    #[test]
    fn nobody_can_add_a_service_that_the_end_has_passed() {
        let shared = Arc::new(Shared::new(Address::default(), Config::default()));
        let services = shared.services.lock();
        let ending = std::thread::spawn({
            let shared = shared.clone();
            move || shared.end()
        });
        // It waits for the services; who would add one asks the registry first.
        let start = shared.clock.now();
        while !shared.registry.lock().is_closed {
            assert!(shared.clock.now() - start < PATIENCE, "the registry is open while services are let go");
            std::thread::yield_now();
        }
        drop(services);
        ending.join().unwrap();
    }
}
