//! What a queue tells about itself.

use super::config::Config;
use super::fifo::Queue;
use crate::drops::Drops;

/// Each is O(1).
///
/// ```
/// use nyx_core::Instant;
/// use nyx_stream::{Reason, queue::{Config, Policy, Queue}};
///
/// let config = Config::new(2, 1 << 20, Policy::DropOldest);
/// let mut queue = Queue::new(config)?;
/// for text in ["one", "two", "three", "four"] {
///     queue.push(Instant::ZERO, text.as_bytes().to_vec())?;
/// }
/// queue.pop(Instant::ZERO)?;
/// assert_eq!((queue.pushed(), queue.popped(), queue.drops().get(Reason::Overrun)), (4, 1, 2));
/// assert_eq!((queue.len(), queue.bytes(), queue.is_empty(), queue.is_closed()), (1, 4, false, false));
/// assert_eq!((queue.config(), queue.bytes_per_second()), (&config, None));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
impl<T> Queue<T> {
    /// Items in the queue.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Bytes of all items in the queue.
    pub const fn bytes(&self) -> usize {
        self.config.bytes - self.room
    }

    /// What it may hold.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Whether it takes no more.
    pub const fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Items that were pushed, with those that were refused and counted.
    pub fn pushed(&self) -> u64 {
        // What went in is nowhere else, so it need not be counted apart.
        self.popped + self.drops.total() + self.slots.len() as u64
    }

    /// Items that were popped.
    pub const fn popped(&self) -> u64 {
        self.popped
    }

    /// Items that were pushed and will not be popped.
    pub const fn drops(&self) -> &Drops {
        &self.drops
    }

    /// What the consumer has been taking while it had anything to take; `None` when not known, or when the policy
    /// does not ask.
    pub fn bytes_per_second(&self) -> Option<u64> {
        self.drain.bytes_per_second()
    }
}
