//! Where those are who read a ring.

use super::{Entry, Ring, weight};

/// What a [`Cursor`] has [read](Cursor::read).
///
/// ```
/// use bytes::Bytes;
/// use nyx_core::Instant;
/// use nyx_stream::{Cursor, Ring, ring};
///
/// let mut ring = Ring::new(ring::Limits::new(1 << 20, 1));
/// let mut cursor = Cursor::at_head(&ring);
/// for text in ["one", "two"] {
///     ring.append(Instant::ZERO, Bytes::from(text), 1, true, text.len());
/// }
/// let ring::Read { entry, missed } = cursor.read(&ring).unwrap();
/// assert_eq!((&entry.bytes[..], missed), (&b"two"[..], 1));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Read<'a> {
    /// The entry, lent by the ring: clone its bytes to keep them.
    pub entry: &'a Entry,
    /// Items that were evicted before the cursor came to them, right in front of this entry.
    pub missed: u64,
}

/// A reader's place in a [`Ring`].
///
/// ```
/// use bytes::Bytes;
/// use nyx_core::Instant;
/// use nyx_stream::{Cursor, Ring, ring};
///
/// let mut ring = Ring::new(ring::Limits::default());
/// for (text, keyframe) in [("I1", true), ("p1", false), ("I2", true), ("p2", false)] {
///     ring.append(Instant::ZERO, Bytes::from(text), 1, keyframe, 2);
/// }
/// assert!(Cursor::at_head(&ring).is_at_head(&ring));
/// let mut cursor = Cursor::at_latest_keyframe(&ring);
/// assert_eq!(cursor.read(&ring).unwrap().entry.bytes, "I2");
/// assert_eq!((cursor.sequence(), cursor.offset()), (3, 3 * (2 + ring::ENTRY_OVERHEAD as u64)));
/// assert_eq!(Cursor::after(&ring, 1).read(&ring).unwrap().entry.bytes, "p1");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub(super) index: u64,
    sequence: u64,
    pub(super) offset: u64,
    /// Whether the item before the cursor's was delivered, so that one that depends on it can be decoded.
    in_step: bool,
}

impl Cursor {
    /// At the end: what is there is passed over, what comes is read. O(1).
    pub fn at_head(ring: &Ring) -> Self {
        Self { index: ring.end_index(), sequence: ring.next_sequence, offset: ring.appended, in_step: false }
    }

    /// At the newest item that can be decoded alone, if there is one; otherwise at the end. O(entries behind it).
    pub fn at_latest_keyframe(ring: &Ring) -> Self {
        let back = ring.entries.iter().rev().position(|entry| entry.keyframe);
        match back {
            None => Self::at_head(ring),
            Some(back) => {
                let index = ring.entries.len() - 1 - back;
                let entry = &ring.entries[index];
                Self {
                    index: ring.first_index + index as u64,
                    sequence: entry.sequence,
                    offset: entry.offset,
                    in_step: false,
                }
            }
        }
    }

    /// At the entry after that which has item `sequence - 1`, or, if that has gone, where it was: what is missing then
    /// shows as overrun. O(log n).
    pub fn after(ring: &Ring, sequence: u64) -> Self {
        let after = ring.entries.partition_point(|entry| entry.sequence < sequence);
        let (at, offset) = ring
            .entries
            .get(after)
            .map_or((ring.next_sequence, ring.appended), |entry| (entry.sequence, entry.offset));
        if after == 0 && sequence < at {
            let index = ring.first_index.saturating_sub(1);
            return Self { index, sequence, offset, in_step: false };
        }
        Self { index: ring.first_index + after as u64, sequence: at, offset, in_step: false }
    }

    /// Reads the next entry, whatever its age, and moves behind it. O(1). `None`: there is none yet.
    ///
    /// For readers that take everything as it comes; those who want what is right to send *now* use a
    /// [`policy`](crate::policy).
    ///
    /// ```
    /// use bytes::Bytes;
    /// use nyx_core::Instant;
    /// use nyx_stream::{Cursor, Ring, ring};
    ///
    /// let mut ring = Ring::new(ring::Limits::new(1 << 20, 2));
    /// let mut cursor = Cursor::at_head(&ring);
    /// for text in ["one", "two", "three"] {
    ///     ring.append(Instant::ZERO, Bytes::from(text), 1, true, text.len());
    /// }
    /// let read = cursor.read(&ring).unwrap();
    /// assert_eq!((read.missed, &read.entry.bytes[..]), (1, &b"two"[..]));
    /// assert_eq!(cursor.read(&ring).unwrap().entry.bytes, "three");
    /// assert!(cursor.read(&ring).is_none());
    /// ```
    #[inline]
    pub fn read<'a>(&mut self, ring: &'a Ring) -> Option<Read<'a>> {
        let missed = self.catch_up(ring);
        let entry = ring.entries.get(self.index.saturating_sub(ring.first_index) as usize)?;
        self.pass(entry, true);
        Some(Read { entry, missed })
    }

    /// The number of the next item that it has not passed.
    pub const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Of the [bytes that were ever appended](Ring::appended_bytes), those that it has passed.
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// Whether nothing is ahead.
    pub const fn is_at_head(&self, ring: &Ring) -> bool {
        self.sequence == ring.next_sequence
    }

    /// What was passed last did not arrive after all: of frames, the next one that is taken can be decoded alone.
    ///
    /// ```
    /// use nyx_stream::{Cursor, Ring, ring};
    ///
    /// let mut cursor = Cursor::at_head(&Ring::new(ring::Limits::default()));
    /// cursor.lose_step();
    /// assert_eq!(cursor.sequence(), 0);
    /// ```
    pub const fn lose_step(&mut self) {
        self.in_step = false;
    }

    pub(crate) const fn is_in_step(&self) -> bool {
        self.in_step
    }

    /// Moves behind what the ring has evicted. Returns how many items that passed over.
    #[inline]
    pub(crate) fn catch_up(&mut self, ring: &Ring) -> u64 {
        if self.index >= ring.first_index { 0 } else { self.skip_evicted(ring) }
    }

    #[cold]
    fn skip_evicted(&mut self, ring: &Ring) -> u64 {
        let first = ring.first_sequence();
        let missed = first.saturating_sub(self.sequence);
        let offset = ring.entries.front().map_or(ring.appended, |entry| entry.offset);
        *self = Self { index: ring.first_index, sequence: first, offset, in_step: false };
        missed
    }

    /// Whether one entry is ahead.
    pub(crate) fn is_at_last(&self, ring: &Ring) -> bool {
        self.index + 1 == ring.end_index()
    }

    /// Moves to the end; all that was ahead was delivered.
    pub(crate) fn pass_all(&mut self, ring: &Ring) {
        *self = Self { in_step: true, ..Self::at_head(ring) };
    }

    /// Moves behind `entry`, the next one, which was delivered or passed over.
    #[inline]
    pub(crate) fn pass(&mut self, entry: &Entry, delivered: bool) {
        self.index += 1;
        self.sequence = entry.sequence + u64::from(entry.count);
        self.offset = entry.offset + weight(&entry.bytes);
        self.in_step = delivered;
    }
}
