//! The capturing side.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use nyx_core::Clock as _;
use nyx_core::clock::Monotonic;

use super::chunk::Head;
use super::metrics::Metrics;
use super::shared::{Shared, Slot, count};

/// Puts chunks in. Closes the queue when it is dropped.
pub(crate) struct Writer {
    shared: Arc<Shared>,
    clock: Monotonic,
}

impl Writer {
    pub(super) const fn new(shared: Arc<Shared>, clock: Monotonic) -> Self {
        Self { shared, clock }
    }

    /// An empty buffer with room for a chunk; `None` where the reader holds all of them.
    pub(crate) fn buffer(&self) -> Option<Vec<f32>> {
        self.shared.buffer()
    }

    /// Puts a chunk in, in the place of the oldest if need be.
    pub(crate) fn push(&self, head: Head, samples: Vec<f32>) {
        let slot = Slot { head, samples, pushed: self.clock.now() };
        // Before the chunk can be taken, so that nobody ever sees more popped than pushed.
        count(&self.shared.counters.pushed);
        if let Some(oldest) = self.shared.full.force_push(slot) {
            count(&self.shared.counters.dropped);
            self.shared.recycle(oldest.samples);
        }
        self.shared.bell.ring(|| self.shared.full.len());
    }

    /// A chunk for which there was no memory.
    pub(crate) fn lose(&self) {
        count(&self.shared.counters.pushed);
        count(&self.shared.counters.dropped);
    }

    /// Gives back a buffer with nothing to push.
    pub(crate) fn recycle(&self, buffer: Vec<f32>) {
        self.shared.recycle(buffer);
    }

    pub(crate) fn count_skipped(&self) {
        count(&self.shared.counters.skipped_silent);
    }

    pub(crate) fn count_callback(&self, late: bool) {
        count(&self.shared.counters.callbacks);
        self.shared.counters.late_callbacks.fetch_add(late.into(), Ordering::Relaxed);
    }

    pub(crate) fn count_error(&self) {
        count(&self.shared.counters.device_errors);
    }

    /// Whether nobody reads any more.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.shared.is_abandoned()
    }

    /// What the capture's handle reads the figures by.
    pub(crate) fn probe(&self) -> Probe {
        Probe(Arc::clone(&self.shared))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.close();
    }
}

/// Reads the figures of a queue from anywhere.
#[derive(Clone)]
pub(crate) struct Probe(Arc<Shared>);

impl Probe {
    pub(crate) fn metrics(&self) -> Metrics {
        self.0.metrics()
    }
}
