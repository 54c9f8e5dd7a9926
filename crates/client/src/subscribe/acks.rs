//! Acknowledged delivery: counting what the application has consumed (`docs/WIRE.md`, section 3.5).
//!
//! What is not acknowledged the hub does not follow up, so the memory that waits here is bounded by the hub's window.
//! A second bound is this side's own: past [`UNREAD_MAX`] nothing is read from the socket.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};

use crate::outgoing::Outgoing;

/// The count of one connection.
///
/// `paused` and `consumed` are each written by one side before it reads the other's, so all is sequentially consistent.
#[derive(Debug)]
pub(crate) struct Acks {
    outgoing: Arc<Outgoing>,
    received: AtomicU64,
    consumed: AtomicU64,
    /// Bytes that were unpacked and not consumed.
    unpacked: AtomicUsize,
    acknowledged: AtomicU64,
    /// Whether an acknowledgement is to be sent, and the writer has been told.
    due: AtomicBool,
    /// Whether the reader has stopped.
    paused: AtomicBool,
}

impl Acks {
    pub(crate) fn new(outgoing: Arc<Outgoing>) -> Self {
        Self {
            outgoing,
            received: AtomicU64::new(0),
            consumed: AtomicU64::new(0),
            unpacked: AtomicUsize::new(0),
            acknowledged: AtomicU64::new(0),
            due: AtomicBool::new(false),
            paused: AtomicBool::new(false),
        }
    }

    pub(crate) fn receive(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, SeqCst);
    }

    /// Something was unpacked, and waits to be consumed as so many bytes. They are not acknowledged.
    pub(crate) fn unpack(&self, bytes: usize) {
        self.unpacked.fetch_add(bytes, SeqCst);
    }

    /// The same was consumed.
    pub(crate) fn forget_unpacked(&self, bytes: usize) {
        self.unpacked.fetch_sub(bytes, SeqCst);
        self.consume(0, false);
    }

    /// Bytes that were received and not consumed.
    pub(crate) fn unconsumed(&self) -> u64 {
        self.received.load(SeqCst).saturating_sub(self.consumed.load(SeqCst))
    }

    /// Whether so much waits to be consumed that nothing more is to be unpacked.
    pub(crate) fn is_over(&self) -> bool {
        self.is_full(UNREAD_MAX)
    }

    /// Counts what was consumed; of a prompt topic that is told at once.
    pub(crate) fn consume(&self, bytes: usize, prompt: bool) {
        let consumed = self.consumed.fetch_add(bytes as u64, SeqCst) + bytes as u64;
        let is_due = prompt || consumed - self.acknowledged.load(SeqCst).min(consumed) >= ACK_EVERY;
        if is_due && !self.due.swap(true, SeqCst) {
            self.outgoing.poke();
        }
        if self.paused.load(SeqCst) && !self.is_full(UNREAD_MAX / 2) && self.paused.swap(false, SeqCst) {
            self.outgoing.poke();
        }
    }

    /// The total to acknowledge now; with `any`, whenever there is something.
    pub(crate) fn take_due(&self, any: bool) -> Option<u64> {
        if !(self.due.swap(false, SeqCst) || any) {
            return None;
        }
        let consumed = self.consumed.load(SeqCst);
        (self.acknowledged.swap(consumed, SeqCst) != consumed).then_some(consumed)
    }

    /// Whether the reader must stop. It is woken when it may go on.
    pub(crate) fn pause(&self) -> bool {
        if !self.is_full(UNREAD_MAX) {
            return false;
        }
        self.paused.store(true, SeqCst);
        // Someone may have consumed between the two; then nobody would wake the reader.
        self.is_full(UNREAD_MAX / 2) || !self.paused.swap(false, SeqCst)
    }

    fn is_full(&self, bound: u64) -> bool {
        let unread = self.received.load(SeqCst).saturating_sub(self.consumed.load(SeqCst));
        unread + self.unpacked.load(SeqCst) as u64 > bound
    }
}

/// Bytes consumed of topics that are not prompt, per acknowledgement. The protocol allows twice that; the earlier half
/// keeps a hub that counts in whole runs going.
const ACK_EVERY: u64 = 64 * 1024;

/// Bytes that may wait to be consumed before reading stops: some windows of a hub that behaves.
const UNREAD_MAX: u64 = 4 * 1024 * 1024;

/// Where the bytes of a run are counted once they are consumed. Whatever is not consumed in time is when this is dropped.
#[derive(Clone, Debug)]
pub(crate) enum Credit {
    /// One subscription has it: message by message.
    Own(Arc<Acks>),
    /// Several have it: all at once, when the slowest is done with it.
    Shared(#[expect(dead_code, reason = "it counts when it is dropped")] Arc<Share>),
}

/// A run that several subscriptions have.
#[derive(Debug)]
pub(crate) struct Share {
    pub(crate) acks: Arc<Acks>,
    pub(crate) bytes: usize,
    pub(crate) prompt: bool,
}

impl Drop for Share {
    fn drop(&mut self) {
        self.acks.consume(self.bytes, self.prompt);
    }
}

impl Credit {
    pub(crate) fn consume(&self, bytes: usize, prompt: bool) {
        if let Self::Own(acks) = self {
            acks.consume(bytes, prompt);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acks() -> Arc<Acks> {
        Arc::new(Acks::new(Arc::default()))
    }

    #[test]
    fn prompt_topics_are_acknowledged_at_once_and_others_in_bulk() {
        let acks = acks();
        acks.consume(100, false);
        assert_eq!(acks.take_due(false), None);
        acks.consume(10, true);
        assert_eq!(acks.take_due(false), Some(110));
        acks.consume(ACK_EVERY as usize, false);
        assert_eq!(acks.take_due(false), Some(110 + ACK_EVERY));
        assert_eq!(acks.take_due(true), None);
        acks.consume(1, false);
        assert_eq!(acks.take_due(true), Some(111 + ACK_EVERY));
    }

    #[test]
    fn a_shared_run_counts_when_the_slowest_is_done() {
        let acks = acks();
        let fast = Credit::Shared(Arc::new(Share { acks: acks.clone(), bytes: 50, prompt: true }));
        let slow = fast.clone();
        fast.consume(50, true);
        drop(fast);
        assert_eq!(acks.take_due(true), None);
        drop(slow);
        assert_eq!(acks.take_due(false), Some(50));
    }

    #[test]
    fn reading_stops_while_too_much_is_unconsumed() {
        let acks = acks();
        acks.receive(UNREAD_MAX as usize);
        assert!(!acks.pause());
        acks.receive(1);
        assert!(acks.pause());
        acks.consume(UNREAD_MAX as usize / 2, false);
        assert!(acks.paused.load(SeqCst));
        acks.consume(1, false);
        assert!(!acks.paused.load(SeqCst));
        assert!(!acks.pause());
    }
}
