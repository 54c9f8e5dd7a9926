//! What every message carries, and what a subscriber makes of it.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

/// Bytes at the front of each payload: sequence and publish time.
pub const STAMP_BYTES: usize = 16;

/// Nanoseconds of the machine's monotonic clock, the same in all its processes.
pub fn now_nanos() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}

/// A payload that is numbered anew for each message.
#[derive(Debug)]
pub struct Template {
    bytes: Vec<u8>,
    next: u64,
}

impl Template {
    /// A payload of `size` bytes, at least [`STAMP_BYTES`], that no compression helps.
    pub fn new(size: usize) -> Self {
        let mut x = 0x9e37_79b9_7f4a_7c15_u64;
        let noise = std::iter::repeat_with(|| {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            x as u8
        });
        Self { bytes: noise.take(size.max(STAMP_BYTES)).collect(), next: 0 }
    }

    /// The next message. With `timed` it carries the present moment.
    ///
    /// A clock read is a quarter of the floor's whole cost per message, so saturated runs go without.
    pub fn next(&mut self, timed: bool) -> &[u8] {
        let at = if timed { now_nanos() } else { 0 };
        self.bytes[..8].copy_from_slice(&self.next.to_be_bytes());
        self.bytes[8..STAMP_BYTES].copy_from_slice(&at.to_be_bytes());
        self.next += 1;
        &self.bytes
    }

    /// How many messages were made.
    pub const fn count(&self) -> u64 {
        self.next
    }
}

/// What one subscriber has received. Clones share it; only one thread at a time may [`record`](Self::record).
#[derive(Clone, Debug)]
pub struct Tally(Arc<Counters>);

/// Alone on its cache lines: subscribers on different cores must not slow each other down here.
#[derive(Debug)]
#[repr(align(128))]
struct Counters {
    size: usize,
    timed: bool,
    first: AtomicU64,
    next: AtomicU64,
    received: AtomicU64,
    wrong: AtomicU64,
    measuring: AtomicBool,
    ages_nanos: Mutex<Vec<u64>>,
}

impl Tally {
    /// An empty tally of messages of `size` bytes. With `timed` their ages are kept too, while
    /// [`measure`](Self::measure) says so.
    pub fn new(size: usize, timed: bool) -> Self {
        Self(Arc::new(Counters {
            size,
            timed,
            first: AtomicU64::new(NONE),
            next: AtomicU64::new(NONE),
            received: AtomicU64::new(0),
            wrong: AtomicU64::new(0),
            measuring: AtomicBool::new(false),
            ages_nanos: Mutex::new(Vec::new()),
        }))
    }

    /// Takes one message: its length, and its first 16 bytes at least.
    pub fn record(&self, length: usize, front: &[u8]) {
        let tally = &*self.0;
        let Some(stamp) = front.first_chunk::<STAMP_BYTES>().filter(|_| length == tally.size) else {
            bump(&tally.wrong);
            return;
        };
        let (sequence, at) = black_box(split(stamp));
        if sequence == tally.next.load(Ordering::Relaxed) {
            tally.next.store(sequence + 1, Ordering::Relaxed);
            bump(&tally.received);
        } else {
            tally.jump(sequence);
        }
        if tally.timed && tally.measuring.load(Ordering::Relaxed) {
            tally.ages_nanos.lock().push(now_nanos().saturating_sub(at));
        }
    }

    /// Messages received so far.
    pub fn received(&self) -> u64 {
        self.0.received.load(Ordering::Relaxed)
    }

    /// Messages of the wrong length, repeated, or out of order.
    pub fn wrong(&self) -> u64 {
        self.0.wrong.load(Ordering::Relaxed)
    }

    /// Messages missing, from the first one received until `sent` of them.
    pub fn missing(&self, sent: u64) -> u64 {
        let first = self.0.first.load(Ordering::Relaxed);
        sent.saturating_sub(first.min(sent)).saturating_sub(self.received())
    }

    /// Whether the last of `sent` messages has come.
    pub fn complete(&self, sent: u64) -> bool {
        let next = self.0.next.load(Ordering::Relaxed);
        next != NONE && next >= sent
    }

    /// From now on ages are kept, or no longer.
    pub fn measure(&self, on: bool) {
        self.0.measuring.store(on, Ordering::Relaxed);
    }

    /// The ages kept, in nanoseconds.
    pub fn take_ages(&self) -> Vec<u64> {
        std::mem::take(&mut self.0.ages_nanos.lock())
    }
}

impl Counters {
    #[cold]
    fn jump(&self, sequence: u64) {
        let next = self.next.load(Ordering::Relaxed);
        if next == NONE {
            self.first.store(sequence, Ordering::Relaxed);
        } else if sequence < next {
            bump(&self.wrong);
            return;
        }
        self.next.store(sequence + 1, Ordering::Relaxed);
        bump(&self.received);
    }
}

/// A sequence that never occurs: nothing was received yet.
const NONE: u64 = u64::MAX;

/// Adds one; there is a single writer, so the locked instruction of `fetch_add` would buy nothing.
fn bump(counter: &AtomicU64) {
    counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

fn split(stamp: &[u8; STAMP_BYTES]) -> (u64, u64) {
    let value = u128::from_be_bytes(*stamp);
    ((value >> 64) as u64, value as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(sequence: u64) -> Vec<u8> {
        let mut template = Template { bytes: vec![0; 64], next: sequence };
        template.next(true).to_vec()
    }

    #[test]
    fn losses_inside_and_at_the_end_are_counted() {
        let tally = Tally::new(64, false);
        for sequence in [3, 4, 7, 8] {
            tally.record(64, &message(sequence));
        }
        assert_eq!((tally.received(), tally.wrong()), (4, 0));
        assert_eq!(tally.missing(11), 4);
        assert!(tally.complete(9) && !tally.complete(11));
    }

    #[test]
    fn repeated_and_cut_messages_are_wrong_not_received() {
        let tally = Tally::new(64, false);
        tally.record(64, &message(0));
        tally.record(64, &message(0));
        tally.record(63, &message(1)[..63]);
        assert_eq!((tally.received(), tally.wrong()), (1, 2));
    }

    #[test]
    fn ages_are_kept_only_while_measuring() {
        let tally = Tally::new(64, true);
        tally.record(64, &message(0));
        tally.measure(true);
        tally.record(64, &message(1));
        assert_eq!(tally.take_ages().len(), 1);
    }
}
