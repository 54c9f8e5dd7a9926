//! What a proxy has done so far.

use std::sync::atomic::{AtomicU64, Ordering};

/// Totals of a [`Proxy`](crate::Proxy) since it was bound, taken at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Connections accepted from clients, also those that came to nothing.
    pub accepted: u64,
    /// Connections that are open now, those still being connected upstream included.
    pub open: u64,
    /// Connections closed because there were [`connections_max`](crate::proxy::Config::connections_max) already.
    pub over_limit: u64,
    /// Connections closed because upstream refused, or did not answer in time.
    pub unreachable: u64,
    /// Connections closed by [`Handle::cut`](crate::Handle::cut) or while the link is [down](crate::Handle::down).
    pub cut: u64,
    /// Connections that one side reset; the other side was reset, too.
    pub reset: u64,
    /// Bytes from clients to upstream.
    pub to_upstream: Flow,
    /// Bytes from upstream to clients.
    pub to_client: Flow,
}

/// Bytes in one direction. The difference is in the proxy now, or was when its connection was cut or reset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Flow {
    /// Bytes read from the sender.
    pub received: u64,
    /// Bytes written to the receiver.
    pub delivered: u64,
}

/// The live counters behind [`Counters`].
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) accepted: AtomicU64,
    pub(crate) closed: AtomicU64,
    pub(crate) over_limit: AtomicU64,
    pub(crate) unreachable: AtomicU64,
    pub(crate) cut: AtomicU64,
    pub(crate) reset: AtomicU64,
    pub(crate) to_upstream: FlowTally,
    pub(crate) to_client: FlowTally,
}

impl Tally {
    pub(crate) fn snapshot(&self) -> Counters {
        // Read before `accepted`, so that their difference is never negative.
        let closed = get(&self.closed);
        let accepted = get(&self.accepted);
        Counters {
            accepted,
            open: accepted - closed,
            over_limit: get(&self.over_limit),
            unreachable: get(&self.unreachable),
            cut: get(&self.cut),
            reset: get(&self.reset),
            to_upstream: self.to_upstream.snapshot(),
            to_client: self.to_client.snapshot(),
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct FlowTally {
    pub(crate) received: AtomicU64,
    pub(crate) delivered: AtomicU64,
}

impl FlowTally {
    fn snapshot(&self) -> Flow {
        let delivered = get(&self.delivered);
        Flow { received: get(&self.received), delivered }
    }
}

/// Adds to a counter. Release, so that whoever reads `closed` also sees the `accepted` before it.
pub(crate) fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Release);
}

fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Acquire)
}
