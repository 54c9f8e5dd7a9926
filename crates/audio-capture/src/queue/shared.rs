//! What writer and reader share.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use crossbeam::queue::ArrayQueue;
use nyx_core::Instant;

use super::bell::Bell;
use super::buffers::Buffers;
use super::chunk::Head;
use super::metrics::Metrics;
use crate::histogram::Histogram;

/// A chunk in the queue.
pub(super) struct Slot {
    pub(super) head: Head,
    pub(super) samples: Vec<f32>,
    pub(super) pushed: Instant,
}

/// Two rings, of chunks and of empty buffers, between which a fixed set of buffers goes round.
pub(super) struct Shared {
    pub(super) full: ArrayQueue<Slot>,
    free: ArrayQueue<Vec<f32>>,
    buffers: Buffers,
    /// Chunks that were taken and still have their buffer.
    held: AtomicUsize,
    pub(super) bell: Bell,
    closed: AtomicBool,
    abandoned: AtomicBool,
    pub(super) counters: Counters,
}

/// The figures of [`Metrics`], each written by one side.
#[derive(Default)]
pub(super) struct Counters {
    pub(super) pushed: AtomicU64,
    pub(super) popped: AtomicU64,
    pub(super) dropped: AtomicU64,
    pub(super) skipped_silent: AtomicU64,
    pub(super) callbacks: AtomicU64,
    pub(super) late_callbacks: AtomicU64,
    pub(super) device_errors: AtomicU64,
    pub(super) wakeups: AtomicU64,
    pub(super) empty_wakeups: AtomicU64,
    pub(super) latency: Wait,
}

pub(super) struct Wait(pub(super) Histogram);

impl Default for Wait {
    fn default() -> Self {
        Self(Histogram::new())
    }
}

impl Shared {
    /// All memory that there will ever be.
    pub(super) fn new(buffers: Buffers, chunk_samples: usize) -> Self {
        let free = ArrayQueue::new(buffers.all());
        for _ in 0..buffers.all() {
            // Written to, so that the pages are there before the first sample, and memory does not grow while it is captured.
            let mut buffer = vec![f32::MIN_POSITIVE; chunk_samples];
            buffer.clear();
            let _ = free.push(buffer);
        }
        Self {
            full: ArrayQueue::new(buffers.capacity),
            free,
            buffers,
            held: AtomicUsize::new(0),
            bell: Bell::new(),
            closed: AtomicBool::new(false),
            abandoned: AtomicBool::new(false),
            counters: Counters::default(),
        }
    }

    /// An empty buffer: a free one, or that of the oldest chunk, which is dropped. `None` where the reader holds all there is.
    pub(super) fn buffer(&self) -> Option<Vec<f32>> {
        let buffer = self.free.pop().or_else(|| {
            let oldest = self.full.pop()?;
            count(&self.counters.dropped);
            Some(oldest.samples)
        });
        buffer.map(|mut buffer| {
            buffer.clear();
            buffer
        })
    }

    /// Gives a buffer back.
    pub(super) fn recycle(&self, buffer: Vec<f32>) {
        // There is room for all buffers, so that none is ever freed here, which may be the audio thread.
        let _ = self.free.push(buffer);
    }

    /// The oldest chunk, which its reader holds from now on.
    pub(super) fn take(&self) -> Option<Slot> {
        let slot = self.full.pop()?;
        self.held.fetch_add(1, Ordering::Relaxed);
        Some(slot)
    }

    /// The reader gives back a chunk's buffer.
    pub(super) fn give_back(&self, buffer: Vec<f32>) {
        self.recycle(buffer);
        // After it, so that a buffer that is not held is there.
        self.held.fetch_sub(1, Ordering::Release);
    }

    /// How many chunks there can be in the queue beside those that are held; 0: none before one of them is dropped.
    pub(super) fn possible(&self) -> usize {
        match self.buffers.all().saturating_sub(self.held.load(Ordering::Acquire)) {
            0 => 0,
            // One is being filled, for which the queue gives up its oldest if it must.
            left => (left - 1).clamp(1, self.buffers.capacity),
        }
    }

    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.bell.ring_last();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    pub(super) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Release);
    }

    pub(super) fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Acquire)
    }

    pub(super) fn metrics(&self) -> Metrics {
        let counters = &self.counters;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Metrics {
            pushed: read(&counters.pushed),
            popped: read(&counters.popped),
            dropped: read(&counters.dropped),
            depth: self.full.len(),
            skipped_silent: read(&counters.skipped_silent),
            callbacks: read(&counters.callbacks),
            late_callbacks: read(&counters.late_callbacks),
            device_errors: read(&counters.device_errors),
            wakeups: read(&counters.wakeups),
            empty_wakeups: read(&counters.empty_wakeups),
            latency: counters.latency.0.read(),
        }
    }
}

pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
