//! Which shard of a metric a thread may write to alone.
//!
//! A thread takes a number when it first counts something, and gives it back when it ends. While it has it, nobody else writes to the
//! shards of that number: an addition is then a load and a store, with no locked instruction. Threads that find no number free share
//! shard zero, with atomic additions. What the last owner of a number wrote is seen by the next one, because giving it back releases
//! and taking it acquires.

use std::cell::Cell;
use std::sync::OnceLock;

use crate::sync::atomic::AtomicU64;
use crate::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// A value on cache lines of its own: two, since processors fetch them in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Padded<T>(pub(super) T);

/// Where threads without a number of their own count.
pub(super) const SHARED: usize = 0;

/// How many shards a metric has, the shared one included.
///
/// Twice as many as there are processors, for runtimes have threads that mostly wait, up to the 63 that a word can tell apart.
pub(super) fn shards() -> usize {
    static SHARDS: OnceLock<usize> = OnceLock::new();
    if cfg!(loom) {
        return 2;
    }
    *SHARDS.get_or_init(|| {
        let processors = std::thread::available_parallelism().map_or(4, usize::from);
        (2 * processors).clamp(4, 63) + 1
    })
}

/// The number of this thread, which is no shard's if it has none.
#[inline]
pub(super) fn current() -> usize {
    SLOT.try_with(Cell::get).unwrap_or(NONE)
}

/// The number of this thread, after an attempt to get one.
pub(super) fn claim() -> usize {
    let current = current();
    if current != UNCLAIMED {
        return current;
    }
    // A thread that ends has no place any more to remember what it would have to give back.
    let claimed = CLAIM.try_with(|claim| {
        let taken = taken();
        let slot = taken.claim(shards())?;
        claim.0.set(Some((taken, slot)));
        Some(slot)
    });
    let slot = claimed.ok().flatten().unwrap_or(NONE);
    let _ = SLOT.try_with(|current| current.set(slot));
    slot
}

const UNCLAIMED: usize = usize::MAX;
const NONE: usize = usize::MAX - 1;

#[cfg(not(loom))]
thread_local! {
    // Constant and without a destructor, so that reading it is one load.
    static SLOT: Cell<usize> = const { Cell::new(UNCLAIMED) };
    static CLAIM: Claim = const { Claim(Cell::new(None)) };
}

#[cfg(loom)]
loom::thread_local! {
    static SLOT: Cell<usize> = Cell::new(UNCLAIMED);
    static CLAIM: Claim = Claim(Cell::new(None));
}

/// Gives the thread's number back when the thread ends.
struct Claim(Cell<Option<(Taken, usize)>>);

impl Drop for Claim {
    fn drop(&mut self) {
        let Some((taken, slot)) = self.0.take() else { return };
        let _ = SLOT.try_with(|current| current.set(NONE));
        taken.release(slot);
    }
}

#[cfg(not(loom))]
type Taken = &'static Slots;

#[cfg(not(loom))]
fn taken() -> Taken {
    static TAKEN: Slots = Slots(AtomicU64::new(0));
    &TAKEN
}

// Loom's statics end with the model's main thread, before the other threads do.
#[cfg(loom)]
type Taken = std::sync::Arc<Slots>;

#[cfg(loom)]
fn taken() -> Taken {
    loom::lazy_static! {
        static ref TAKEN: Taken = Taken::new(Slots(AtomicU64::new(0)));
    }
    TAKEN.clone()
}

/// Numbers that are taken, a bit each; bit 0 is number 1.
struct Slots(AtomicU64);

impl Slots {
    /// The lowest free number below `shards`.
    fn claim(&self, shards: usize) -> Option<usize> {
        let free = |taken: u64| Some(taken.trailing_ones() as usize + 1).filter(|slot| *slot < shards);
        let claim = |taken| free(taken).map(|slot| taken | bit(slot));
        self.0.fetch_update(Acquire, Relaxed, claim).ok().and_then(free)
    }

    fn release(&self, slot: usize) {
        self.0.fetch_and(!bit(slot), Release);
    }
}

const fn bit(slot: usize) -> u64 {
    1 << (slot - 1)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_given_once_and_again_when_free() {
        let slots = Slots(AtomicU64::new(0));
        assert_eq!(
            [slots.claim(4), slots.claim(4), slots.claim(4), slots.claim(4)],
            [Some(1), Some(2), Some(3), None]
        );
        slots.release(2);
        assert_eq!([slots.claim(4), slots.claim(4)], [Some(2), None]);
    }

    #[test]
    fn a_word_has_room_for_all() {
        let slots = Slots(AtomicU64::new(0));
        assert!((1..64).all(|number| slots.claim(64) == Some(number)));
        assert_eq!(slots.claim(64), None);
    }
}
