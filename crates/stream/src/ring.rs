//! The store of a topic, and the positions of those who read it.

mod cursor;

use std::collections::VecDeque;

use bytes::Bytes;
use nyx_core::Instant;

pub use cursor::{Cursor, Read};

/// What a [`Ring`] may hold. Zero counts as one: the newest entry is always kept.
///
/// ```
/// use bytes::Bytes;
/// use nyx_core::Instant;
/// use nyx_stream::ring::{Limits, Ring};
///
/// let mut ring = Ring::new(Limits::new(0, 0));
/// for text in ["one", "two"] {
///     ring.append(Instant::ZERO, Bytes::from(text), 1, true, text.len());
/// }
/// assert_eq!((ring.first_sequence(), ring.next_sequence()), (1, 2));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of memory that its entries may pin. Default 8 MiB. The newest entry is kept whatever its size.
    pub bytes: usize,
    /// Entries. Default 65,536.
    pub entries: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 8 << 20, entries: 65_536 }
    }
}

impl Limits {
    /// Limits of `bytes` and `entries`; at least one entry is always kept.
    ///
    /// ```
    /// assert_eq!(nyx_stream::ring::Limits::new(1 << 20, 64).entries, 64);
    /// ```
    pub const fn new(bytes: usize, entries: usize) -> Self {
        Self { bytes, entries }
    }
}

/// A run of items that came together, stored as the bytes that travel.
///
/// ```
/// use bytes::Bytes;
/// use nyx_core::Instant;
/// use nyx_stream::{Ring, ring};
///
/// let mut ring = Ring::new(ring::Limits::default());
/// ring.append(Instant::ZERO, Bytes::from("onetwo"), 2, true, 6);
/// let entry = ring.latest().unwrap();
/// assert_eq!((&entry.bytes[..], entry.sequence, entry.count, entry.keyframe), (&b"onetwo"[..], 0, 2, true));
/// ```
#[derive(Clone, Debug)]
pub struct Entry {
    /// What is sent.
    pub bytes: Bytes,
    /// The number of its first item in the topic.
    pub sequence: u64,
    /// How many items it has, at least one.
    pub count: u32,
    /// When it came.
    pub born: Instant,
    /// Whether its item can be decoded without those before it.
    pub keyframe: bool,
    /// What [`Ring::appended_bytes`] was before it.
    offset: u64,
    /// Bytes of memory that go when it goes.
    cost: usize,
}

/// The latest entries of a topic, in order, each once.
///
/// An entry costs what it pins: a slice of a read buffer may keep the whole buffer alive. The caller says how much that
/// is; entries that lie next to each other in memory are taken to share it.
///
/// ```
/// use bytes::Bytes;
/// use nyx_core::Instant;
/// use nyx_stream::{Cursor, Ring, ring::{ENTRY_OVERHEAD, Limits}};
///
/// let mut ring = Ring::new(Limits::new(1 << 20, 2));
/// let cursor = Cursor::at_head(&ring);
/// for text in ["one", "two", "six"] {
///     ring.append(Instant::ZERO, Bytes::copy_from_slice(text.as_bytes()), 1, true, text.len());
/// }
/// assert_eq!((ring.first_sequence(), ring.next_sequence()), (1, 3));
/// assert_eq!(ring.containing(1).unwrap().bytes, "two");
/// assert_eq!(ring.ahead(&cursor).map(|entry| &entry.bytes[..]).collect::<Vec<_>>(), [b"two", b"six"]);
/// assert_eq!(ring.appended_bytes(), 3 * (3 + ENTRY_OVERHEAD as u64));
/// ```
#[derive(Debug)]
pub struct Ring {
    limits: Limits,
    entries: VecDeque<Entry>,
    /// The index of `entries[0]`, counting from the first that was ever appended.
    first_index: u64,
    next_sequence: u64,
    appended: u64,
    held: usize,
}

/// What an entry costs beside its bytes: its place in the deque and the owner's bookkeeping.
///
/// ```
/// use nyx_stream::ring::{ENTRY_OVERHEAD, Limits};
///
/// // Room for a thousand items of 100 bytes.
/// let limits = Limits::new(1_000 * (100 + ENTRY_OVERHEAD), 1_000);
/// assert_eq!(limits.bytes, 196_000);
/// ```
pub const ENTRY_OVERHEAD: usize = 96;

impl Ring {
    /// An empty ring. Allocates nothing.
    ///
    /// ```
    /// use nyx_stream::{Ring, ring};
    ///
    /// assert!(Ring::new(ring::Limits::default()).latest().is_none());
    /// ```
    pub const fn new(limits: Limits) -> Self {
        Self { limits, entries: VecDeque::new(), first_index: 0, next_sequence: 0, appended: 0, held: 0 }
    }

    /// Appends `count` items that came together, whose bytes pin `pinned` bytes of memory. Evicts the oldest entries
    /// that are over the limits. Amortised O(1).
    ///
    /// ```
    /// use bytes::Bytes;
    /// use nyx_core::Instant;
    /// use nyx_stream::{Ring, ring};
    ///
    /// let buffer = Bytes::from(vec![0; 1_000]);
    /// let mut ring = Ring::new(ring::Limits::default());
    /// // Two halves of one buffer: it is charged for once.
    /// ring.append(Instant::ZERO, buffer.slice(..500), 1, true, 1_000);
    /// ring.append(Instant::ZERO, buffer.slice(500..), 1, true, 1_000);
    /// assert_eq!(ring.held_bytes(), 1_000 + 2 * ring::ENTRY_OVERHEAD);
    /// ```
    pub fn append(&mut self, now: Instant, bytes: Bytes, count: u32, keyframe: bool, pinned: usize) {
        let adjoins = self.entries.back().is_some_and(|last| last.bytes.as_ptr_range().end == bytes.as_ptr());
        let cost = ENTRY_OVERHEAD + if adjoins { 0 } else { pinned.max(bytes.len()) };
        let weight = weight(&bytes);
        let (sequence, offset) = (self.next_sequence, self.appended);
        self.entries.push_back(Entry { bytes, sequence, count, born: now, keyframe, offset, cost });
        self.next_sequence += u64::from(count);
        self.appended += weight;
        self.held += cost;
        while self.entries.len() > 1
            && (self.held > self.limits.bytes || self.entries.len() > self.limits.entries)
        {
            self.evict();
        }
    }

    fn evict(&mut self) {
        let Some(oldest) = self.entries.pop_front() else { return };
        self.first_index += 1;
        // Its neighbour, if it lies in the same buffer, inherits what keeps that buffer alive.
        let end = oldest.bytes.as_ptr_range().end;
        match self.entries.front_mut() {
            Some(next) if next.cost == ENTRY_OVERHEAD && next.bytes.as_ptr() == end => {
                next.cost = oldest.cost;
                self.held -= ENTRY_OVERHEAD;
            }
            _ => self.held -= oldest.cost,
        }
    }

    /// Lets go of all entries, and of their memory. Whoever had not come to the end finds that it was overtaken.
    ///
    /// ```
    /// use bytes::Bytes;
    /// use nyx_core::Instant;
    /// use nyx_stream::{Ring, ring};
    ///
    /// let mut ring = Ring::new(ring::Limits::default());
    /// ring.append(Instant::ZERO, Bytes::from("one"), 1, true, 3);
    /// ring.clear();
    /// assert_eq!((ring.held_bytes(), ring.first_sequence(), ring.next_sequence()), (0, 1, 1));
    /// ```
    #[inline]
    pub fn clear(&mut self) {
        self.first_index = self.end_index();
        self.entries = VecDeque::new();
        self.held = 0;
    }

    /// The number that the next item will have.
    pub const fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    /// The number of the oldest item that is still held, or of the next one.
    pub fn first_sequence(&self) -> u64 {
        self.entries.front().map_or(self.next_sequence, |entry| entry.sequence)
    }

    /// Bytes of memory that the entries pin.
    pub const fn held_bytes(&self) -> usize {
        self.held
    }

    /// Bytes that were ever appended, with [`ENTRY_OVERHEAD`] for each entry: so those who read many small entries are as far
    /// behind as the memory says that holds them.
    pub const fn appended_bytes(&self) -> u64 {
        self.appended
    }

    /// The newest entry.
    pub fn latest(&self) -> Option<&Entry> {
        self.entries.back()
    }

    /// The entry that has the item with this number. O(log n).
    pub fn containing(&self, sequence: u64) -> Option<&Entry> {
        let after = self.entries.partition_point(|entry| entry.sequence <= sequence);
        let entry = self.entries.get(after.checked_sub(1)?)?;
        (sequence < entry.sequence + u64::from(entry.count)).then_some(entry)
    }

    /// The entries from a cursor on, oldest first.
    pub fn ahead(&self, cursor: &Cursor) -> impl DoubleEndedIterator<Item = &Entry> {
        self.entries.range(self.position(cursor)..)
    }

    /// The entry at a cursor.
    pub(crate) fn next_to(&self, cursor: &Cursor) -> Option<&Entry> {
        self.entries.get(self.position(cursor))
    }

    /// Bytes of the entries from a cursor on that has caught up. O(1).
    pub(crate) fn bytes_ahead(&self, cursor: &Cursor) -> usize {
        let overhead = (self.entries.len() - self.position(cursor)) * ENTRY_OVERHEAD;
        ((self.appended - cursor.offset) as usize).saturating_sub(overhead)
    }

    fn position(&self, cursor: &Cursor) -> usize {
        (cursor.index.saturating_sub(self.first_index) as usize).min(self.entries.len())
    }

    fn end_index(&self) -> u64 {
        self.first_index + self.entries.len() as u64
    }
}

const fn weight(bytes: &Bytes) -> u64 {
    (bytes.len() + ENTRY_OVERHEAD) as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn append(ring: &mut Ring, text: &'static str) {
        ring.append(Instant::ZERO, Bytes::from(text), 1, true, text.len());
    }

    #[test]
    fn the_oldest_go_first_and_the_newest_stays() {
        let mut ring = Ring::new(Limits::new(1, 100));
        for text in ["one", "two", "three"] {
            append(&mut ring, text);
        }
        assert_eq!(ring.entries.len(), 1);
        assert_eq!(ring.latest().map(|entry| &entry.bytes[..]), Some(&b"three"[..]));
        assert_eq!((ring.first_sequence(), ring.next_sequence()), (2, 3));
    }

    #[test]
    fn entries_of_one_buffer_are_charged_for_it_once() {
        let buffer = Bytes::from(vec![0; 1000]);
        let mut ring = Ring::new(Limits::new(10_000, 2));
        for i in 0..3 {
            ring.append(Instant::ZERO, buffer.slice(i * 100..(i + 1) * 100), 1, true, 1000);
        }
        // The first has been evicted; the buffer is alive all the same.
        assert_eq!(ring.held_bytes(), 1000 + 2 * ENTRY_OVERHEAD);
    }

    #[test]
    fn a_cursor_that_was_overtaken_knows_by_how_many() {
        let mut ring = Ring::new(Limits::new(usize::MAX, 2));
        let mut cursor = Cursor::at_head(&ring);
        for text in ["a", "b", "c", "d"] {
            append(&mut ring, text);
        }
        assert_eq!(cursor.catch_up(&ring), 2);
        assert_eq!(ring.ahead(&cursor).count(), 2);
    }

    #[test]
    fn resuming_finds_the_place_or_the_loss() {
        let mut ring = Ring::new(Limits::new(usize::MAX, 3));
        for text in ["a", "b", "c", "d", "e"] {
            append(&mut ring, text);
        }
        let next = |sequence| {
            let mut cursor = Cursor::after(&ring, sequence);
            let missed = cursor.catch_up(&ring);
            // Each entry has one byte: the offset counts those passed.
            assert_eq!(cursor.offset(), cursor.sequence() * (1 + ENTRY_OVERHEAD as u64));
            (missed, ring.ahead(&cursor).next().map(|entry| entry.sequence))
        };
        assert_eq!(next(0), (2, Some(2)));
        assert_eq!(next(2), (0, Some(2)));
        assert_eq!(next(4), (0, Some(4)));
        assert_eq!(next(5), (0, None));
    }

    #[test]
    fn who_begins_at_a_keyframe_gets_it_and_what_follows() {
        let mut ring = Ring::new(Limits::new(usize::MAX, 4));
        for keyframe in [true, true, true, false, false] {
            ring.append(Instant::ZERO, Bytes::from_static(b"f"), 1, keyframe, 1);
        }
        let cursor = Cursor::at_latest_keyframe(&ring);
        let ahead: Vec<_> = ring.ahead(&cursor).map(|entry| (entry.sequence, entry.keyframe)).collect();
        assert_eq!(ahead, [(2, true), (3, false), (4, false)]);
        assert_eq!((cursor.sequence(), cursor.offset()), (2, 2 * (1 + ENTRY_OVERHEAD as u64)));
    }

    #[test]
    fn limits_of_zero_keep_the_newest_entry_as_those_of_one_do() {
        for limits in [Limits::new(0, 0), Limits::new(1, 1)] {
            let mut ring = Ring::new(limits);
            append(&mut ring, "one");
            append(&mut ring, "two");
            assert_eq!((ring.entries.len(), ring.first_sequence()), (1, 1));
        }
    }

    proptest! {
        #[test]
        fn what_is_held_is_the_sum_of_what_entries_cost(
            appends in prop::collection::vec((1usize..2000, any::<bool>()), 1..200),
            limit in 1usize..20_000,
        ) {
            let mut ring = Ring::new(Limits::new(limit, 50));
            let mut buffer = Bytes::from(vec![0; 4000]);
            for (len, fresh) in appends {
                if fresh || buffer.len() < len {
                    buffer = Bytes::from(vec![0; 4000]);
                }
                let pinned = buffer.len();
                ring.append(Instant::ZERO, buffer.split_to(len), 1, true, pinned);
                prop_assert_eq!(ring.held, ring.entries.iter().map(|entry| entry.cost).sum::<usize>());
                prop_assert!(ring.held <= limit || ring.entries.len() == 1);
            }
        }
    }
}
