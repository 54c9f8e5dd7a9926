//! What a queue has done.

use crate::histogram::Latency;

/// Figures of a capture's queue since its start.
///
/// Once the capture has ended, `pushed == popped + dropped + depth`; while it runs they are read one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metrics {
    /// Chunks that were captured and put in.
    pub pushed: u64,
    /// Chunks that the reader took.
    pub popped: u64,
    /// Chunks that were dropped, the oldest first, because the queue was full or its reader held all memory.
    pub dropped: u64,
    /// Chunks in the queue.
    pub depth: usize,
    /// Chunks that were left out because they were silent and the capture's configuration says so.
    pub skipped_silent: u64,
    /// How often the device delivered something.
    pub callbacks: u64,
    /// How often it delivered over a chunk's length later than it does at its quickest.
    pub late_callbacks: u64,
    /// How often the device or its server failed, be it that the capture went on after.
    pub device_errors: u64,
    /// How often a blocking reader was woken. One whose time was up woke by itself, and tasks are woken by what runs them: neither counts.
    pub wakeups: u64,
    /// How often it then found less than it waited for.
    pub empty_wakeups: u64,
    /// How long the chunks that were taken had waited in the queue.
    pub latency: Latency,
}
