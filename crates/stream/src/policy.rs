//! What is right to send now, for each kind of item.
//!
//! Each policy looks at what lies ahead of a cursor, takes what should go, moves the cursor behind it, and counts what
//! it passed over. All that a policy drops, it drops before the first item that it takes: a gap always stands in front.

use std::time::Duration;

use bytes::Bytes;
use nyx_core::Instant;

use crate::drops::{Drops, Reason};
use crate::ring::{Cursor, Entry, Ring};

/// The circumstances of a pull.
///
/// ```
/// use std::time::Duration;
/// use nyx_core::Instant;
/// use nyx_stream::{Flight, flight::Mode, policy::Terms};
///
/// let flight = Flight::new(Mode::Fresh);
/// let terms = Terms {
///     now: Instant::ZERO,
///     max_age: Some(Duration::from_millis(150)),
///     budget: flight.allowance().unwrap(),
///     bytes_per_second: flight.bytes_per_second(),
/// };
/// assert!(terms.budget > 0 && terms.bytes_per_second.is_none());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// The present moment.
    pub now: Instant,
    /// Older items are not sent. `None`: items do not age.
    pub max_age: Option<Duration>,
    /// Bytes to take, about: one item is taken whatever its size, then none that would exceed this.
    pub budget: usize,
    /// What the path has been carrying lately; `None` when not known.
    pub bytes_per_second: Option<u64>,
}

impl Terms {
    /// Why an entry is not worth sending, if it is not: it is too old, or would be when it has arrived. The newest is
    /// never dropped by prediction: there is nothing fresher to send instead, and what a path carries shows only when
    /// it is used.
    fn fate(&self, ring: &Ring, entry: &Entry) -> Option<Reason> {
        let left = self.max_age?.checked_sub(self.now.since(entry.born));
        let Some(left) = left else { return Some(Reason::Expired) };
        let is_newest = entry.sequence + u64::from(entry.count) == ring.next_sequence();
        let late = !is_newest && self.time_for(entry.bytes.len()).is_some_and(|time| time > left);
        late.then_some(Reason::PredictedLate)
    }

    /// Whether `bytes` of which none is older than `born` will arrive in time, as far as is known.
    fn is_in_time(&self, born: Instant, bytes: usize) -> bool {
        let Some(max_age) = self.max_age else { return true };
        let left = max_age.checked_sub(self.now.since(born));
        left.is_some_and(|left| self.time_for(bytes).is_none_or(|time| time <= left))
    }

    fn time_for(&self, bytes: usize) -> Option<Duration> {
        let rate = self.bytes_per_second.filter(|rate| *rate > 0)?;
        Some(Duration::from_nanos((bytes as u64).saturating_mul(1_000_000_000) / rate))
    }
}

/// What a policy chose. Reuse it: it keeps its memory.
///
/// ```
/// use nyx_stream::{Reason, policy::Pull};
///
/// let mut pull = Pull::default();
/// pull.drops.add(Reason::Expired, 1);
/// pull.clear();
/// assert!(pull.chunks.is_empty() && pull.drops.is_empty());
/// ```
#[derive(Debug, Default)]
pub struct Pull {
    /// What to send, in order.
    pub chunks: Vec<Bytes>,
    /// Bytes of all chunks.
    pub bytes: usize,
    /// Items in all chunks.
    pub items: u64,
    /// What was passed over.
    pub drops: Drops,
    /// The number of the first item that was passed over, if any was.
    pub first_dropped: Option<u64>,
    /// When the oldest item that was taken came.
    pub oldest: Option<Instant>,
}

impl Pull {
    /// Empties it for the next use. O(chunks).
    pub fn clear(&mut self) {
        let Self { chunks, bytes, items, drops, first_dropped, oldest } = self;
        chunks.clear();
        (*bytes, *items, *first_dropped, *oldest) = (0, 0, None, None);
        *drops = Drops::default();
    }

    fn take(&mut self, cursor: &mut Cursor, entry: &Entry) {
        self.chunks.push(entry.bytes.clone());
        self.bytes += entry.bytes.len();
        self.items += u64::from(entry.count);
        self.oldest.get_or_insert(entry.born);
        cursor.pass(entry, true);
    }

    /// Takes all that is ahead where nothing speaks against any of it. The ring knows how much that is, and the first
    /// entry is the oldest, so this need not look at each. Says whether it did.
    fn take_all(&mut self, ring: &Ring, cursor: &mut Cursor, terms: &Terms) -> bool {
        let Some(first) = ring.next_to(cursor) else { return true };
        let ahead = ring.bytes_ahead(cursor);
        if self.bytes + ahead > terms.budget || !terms.is_in_time(first.born, ahead) {
            return false;
        }
        if cursor.is_at_last(ring) {
            self.chunks.push(first.bytes.clone());
        } else {
            self.chunks.extend(ring.ahead(cursor).map(|entry| entry.bytes.clone()));
        }
        self.bytes += ahead;
        self.items += ring.next_sequence() - cursor.sequence();
        self.oldest.get_or_insert(first.born);
        cursor.pass_all(ring);
        true
    }

    fn pass_over(&mut self, cursor: &mut Cursor, entry: &Entry, reason: Reason) {
        let first = cursor.sequence();
        cursor.pass(entry, false);
        self.drop(first, cursor.sequence() - first, reason);
    }

    fn drop(&mut self, first: u64, count: u64, reason: Reason) {
        if count > 0 {
            self.first_dropped.get_or_insert(first);
            self.drops.add(reason, count);
        }
    }

    fn catch_up(&mut self, ring: &Ring, cursor: &mut Cursor) {
        let first = cursor.sequence();
        let missed = cursor.catch_up(ring);
        self.drop(first, missed, Reason::Overrun);
    }

    const fn is_full(&self, terms: &Terms, entry: &Entry) -> bool {
        !self.chunks.is_empty() && self.bytes + entry.bytes.len() > terms.budget
    }
}

/// Every item in order. What the ring evicted is `overrun`; what is too old is `expired`; what would be on arrival is
/// `predicted_late`. O(entries passed).
///
/// ```
/// use bytes::Bytes;
/// use nyx_core::Instant;
/// use nyx_stream::{Cursor, Ring, policy::{self, Pull, Terms}, ring};
///
/// let mut ring = Ring::new(ring::Limits::default());
/// let mut cursor = Cursor::at_head(&ring);
/// for text in ["one", "two", "six"] {
///     ring.append(Instant::ZERO, Bytes::from(text), 1, true, text.len());
/// }
/// let terms = Terms { now: Instant::ZERO, max_age: None, budget: 6, bytes_per_second: None };
/// let mut pull = Pull::default();
/// policy::events(&ring, &mut cursor, &terms, &mut pull);
/// assert_eq!(pull.chunks, ["one", "two"]); // in order, as many as the budget allows
/// ```
pub fn events(ring: &Ring, cursor: &mut Cursor, terms: &Terms, pull: &mut Pull) {
    pull.catch_up(ring, cursor);
    if pull.take_all(ring, cursor, terms) {
        return;
    }
    for entry in ring.ahead(&cursor.clone()) {
        match terms.fate(ring, entry) {
            Some(reason) if pull.chunks.is_empty() => pull.pass_over(cursor, entry, reason),
            None if !pull.is_full(terms, entry) => pull.take(cursor, entry),
            _ => break,
        }
    }
}

/// The next chunk in order while it is in time. When it is not, the listener has fallen behind: go on with what is at
/// most half as old as allowed, so that one long gap is heard and not a row of short ones. O(entries passed).
///
/// ```
/// use bytes::Bytes;
/// use nyx_core::Instant;
/// use nyx_stream::{Cursor, Ring, policy::{self, Pull, Terms}, ring};
///
/// let mut ring = Ring::new(ring::Limits::default());
/// let mut cursor = Cursor::at_head(&ring);
/// for text in ["one", "two", "six"] {
///     ring.append(Instant::ZERO, Bytes::from(text), 1, true, text.len());
/// }
/// let terms = Terms { now: Instant::ZERO, max_age: None, budget: 6, bytes_per_second: None };
/// let mut pull = Pull::default();
/// policy::audio(&ring, &mut cursor, &terms, &mut pull);
/// assert_eq!((pull.chunks.len(), pull.items, pull.drops.total()), (2, 2, 0));
/// ```
pub fn audio(ring: &Ring, cursor: &mut Cursor, terms: &Terms, pull: &mut Pull) {
    pull.catch_up(ring, cursor);
    if pull.take_all(ring, cursor, terms) {
        return;
    }
    let mut behind = ring.ahead(cursor).next().and_then(|next| terms.fate(ring, next));
    let enough = terms.max_age.map_or(Duration::MAX, |max_age| max_age / 2);
    for entry in ring.ahead(&cursor.clone()) {
        behind = behind.filter(|_| terms.now.since(entry.born) > enough || terms.fate(ring, entry).is_some());
        if let Some(reason) = behind {
            pull.pass_over(cursor, entry, reason);
        } else if pull.is_full(terms, entry) {
            break;
        } else {
            pull.take(cursor, entry);
        }
    }
}

/// The newest frames: all that are ahead if the path carries them with no delay that can be seen, otherwise the newest
/// alone. A frame that depends on the one before it goes only when that has gone. O(entries ahead).
///
/// ```
/// use bytes::Bytes;
/// use nyx_core::Instant;
/// use nyx_stream::{Cursor, Ring, policy::{self, Pull, Terms}, ring};
///
/// let mut ring = Ring::new(ring::Limits::default());
/// let mut cursor = Cursor::at_head(&ring);
/// for text in ["one", "two", "six"] {
///     ring.append(Instant::ZERO, Bytes::from(text), 1, true, text.len());
/// }
/// let terms = Terms { now: Instant::ZERO, max_age: None, budget: 6, bytes_per_second: None };
/// let mut pull = Pull::default();
/// policy::frames(&ring, &mut cursor, &terms, &mut pull);
/// assert_eq!(pull.chunks, ["six"]); // how fast the path is nobody knows yet
/// assert_eq!((pull.first_dropped, pull.drops.total()), (Some(0), 2));
/// ```
pub fn frames(ring: &Ring, cursor: &mut Cursor, terms: &Terms, pull: &mut Pull) {
    pull.catch_up(ring, cursor);
    let one_by_one = terms.time_for(ring.bytes_ahead(cursor)).is_some_and(|time| time <= IN_ORDER_DELAY);
    // Where to go on: at the newest frame that can be decoded alone.
    let start = ring.ahead(cursor).rev().find(|entry| entry.keyframe).map(|entry| entry.sequence);
    for entry in ring.ahead(&cursor.clone()) {
        let decodable = entry.keyframe || cursor.is_in_step();
        let newest_start = start.is_none_or(|start| entry.sequence >= start);
        let fate = terms.fate(ring, entry);
        if fate.is_some() && !pull.chunks.is_empty() {
            break;
        } else if let Some(reason) = fate {
            pull.pass_over(cursor, entry, reason);
        } else if !decodable || !(one_by_one || newest_start) {
            pull.pass_over(cursor, entry, Reason::Conflated);
        } else {
            pull.take(cursor, entry);
            // On a slow path, frames of one group follow one at a time, each when the one before has arrived.
            if !one_by_one {
                break;
            }
        }
    }
}

/// How long a backlog of frames may take and still be sent whole: under the time of one frame at 50 Hz nobody sees that
/// it was late, and a fast subscriber that was held up for a moment misses nothing.
const IN_ORDER_DELAY: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ring::Limits;

    fn ms(millis: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(millis)
    }

    fn terms(now: Instant) -> Terms {
        Terms { now, max_age: Some(Duration::from_millis(100)), budget: 1 << 20, bytes_per_second: None }
    }

    /// A ring with one item of 100 bytes every 10 ms; those listed are keyframes.
    fn ring(items: u64, keyframes: &[u64]) -> Ring {
        let mut ring = Ring::new(Limits::new(usize::MAX, 1000));
        for i in 0..items {
            ring.append(ms(i * 10), Bytes::from(vec![i as u8; 100]), 1, keyframes.contains(&i), 100);
        }
        ring
    }

    fn start() -> Cursor {
        Cursor::at_head(&Ring::new(Limits::default()))
    }

    fn taken(pull: &Pull) -> Vec<u8> {
        pull.chunks.iter().map(|chunk| chunk[0]).collect()
    }

    #[test]
    fn events_that_aged_are_dropped_and_counted() {
        let (ring, mut cursor, mut pull) = (ring(20, &[]), start(), Pull::default());
        events(&ring, &mut cursor, &terms(ms(190)), &mut pull);
        assert_eq!(taken(&pull), (9..20).collect::<Vec<u8>>());
        assert_eq!((pull.drops.get(Reason::Expired), pull.first_dropped), (9, Some(0)));
    }

    #[test]
    fn events_stop_at_the_budget_but_take_one() {
        let (ring, mut cursor, mut pull) = (ring(5, &[]), start(), Pull::default());
        events(&ring, &mut cursor, &Terms { budget: 10, ..terms(ms(50)) }, &mut pull);
        assert_eq!(taken(&pull), [0]);
        pull.clear();
        events(&ring, &mut cursor, &Terms { budget: 250, ..terms(ms(50)) }, &mut pull);
        assert_eq!(taken(&pull), [1, 2]);
    }

    #[test]
    fn audio_that_fell_behind_jumps_once() {
        let (ring, mut cursor, mut pull) = (ring(20, &[]), start(), Pull::default());
        audio(&ring, &mut cursor, &Terms { budget: 100, ..terms(ms(190)) }, &mut pull);
        assert_eq!((taken(&pull), pull.drops.get(Reason::Expired)), (vec![14], 14));
        pull.clear();
        audio(&ring, &mut cursor, &Terms { budget: 100, ..terms(ms(240)) }, &mut pull);
        assert_eq!((taken(&pull), pull.drops.total()), (vec![15], 0));
    }

    #[test]
    fn a_slow_path_gets_the_newest_frame() {
        let (ring, mut cursor, mut pull) = (ring(8, &[0, 1, 2, 3, 4, 5, 6, 7]), start(), Pull::default());
        let slow = Terms { bytes_per_second: Some(10_000), ..terms(ms(75)) };
        frames(&ring, &mut cursor, &slow, &mut pull);
        assert_eq!((taken(&pull), pull.drops.get(Reason::Conflated)), (vec![7], 7));
    }

    #[test]
    fn a_fast_path_gets_every_frame() {
        let (ring, mut cursor, mut pull) = (ring(8, &[0, 1, 2, 3, 4, 5, 6, 7]), start(), Pull::default());
        let fast = Terms { bytes_per_second: Some(100_000_000), ..terms(ms(75)) };
        frames(&ring, &mut cursor, &fast, &mut pull);
        assert_eq!((taken(&pull), pull.drops.total()), ((0..8).collect(), 0));
    }

    #[test]
    fn a_frame_does_not_go_without_the_one_it_depends_on() {
        // Keyframes 0 and 5, the others depend on those before them.
        let (ring, mut cursor, mut pull) = (ring(8, &[0, 5]), start(), Pull::default());
        let slow = Terms { bytes_per_second: Some(10_000), ..terms(ms(75)) };
        let mut all = Vec::new();
        for _ in 0..5 {
            pull.clear();
            frames(&ring, &mut cursor, &slow, &mut pull);
            all.extend(taken(&pull));
        }
        assert_eq!(all, [5, 6, 7]);
    }

    #[test]
    fn late_frames_are_not_sent_even_to_a_fast_path() {
        let (ring, mut cursor, mut pull) = (ring(3, &[0, 1, 2]), start(), Pull::default());
        frames(&ring, &mut cursor, &terms(ms(500)), &mut pull);
        assert_eq!((taken(&pull), pull.drops.get(Reason::Expired)), (vec![], 3));
    }

    #[test]
    fn what_would_arrive_late_makes_way_for_what_will_not() {
        // Each item takes 40 ms. At 75 ms the first is 75 ms old: it would be 115 ms old on arrival, the second 105 ms.
        let slow = Terms { bytes_per_second: Some(2_500), budget: 100, ..terms(ms(75)) };
        for policy in [events, frames] {
            let (ring, mut cursor, mut pull) = (ring(8, &[0]), start(), Pull::default());
            policy(&ring, &mut cursor, &slow, &mut pull);
            assert!(pull.drops.get(Reason::PredictedLate) >= 2);
        }
        let (ring, mut cursor, mut pull) = (ring(8, &[]), start(), Pull::default());
        audio(&ring, &mut cursor, &slow, &mut pull);
        assert_eq!((taken(&pull), pull.drops.get(Reason::PredictedLate)), (vec![3], 3));
    }

    #[test]
    fn the_newest_is_sent_however_slow_the_path_seems() {
        let crawling = Terms { bytes_per_second: Some(1), budget: 100, ..terms(ms(75)) };
        for policy in [events, audio, frames] {
            let (ring, mut cursor, mut pull) = (ring(8, &[0, 1, 2, 3, 4, 5, 6, 7]), start(), Pull::default());
            policy(&ring, &mut cursor, &crawling, &mut pull);
            assert_eq!(taken(&pull), [7]);
        }
    }

    #[test]
    fn what_is_dropped_stands_in_front_of_items_without_bytes_too() {
        let mut ring = Ring::new(Limits::new(usize::MAX, 1000));
        for (at, bytes) in [(0, 0), (10, 100), (20, 1)] {
            ring.append(ms(at), Bytes::from(vec![7; bytes]), 1, true, bytes);
        }
        let (mut cursor, mut pull) = (start(), Pull::default());
        // The second takes 40 ms and has 35 left.
        let slow = Terms { bytes_per_second: Some(2_500), ..terms(ms(75)) };
        events(&ring, &mut cursor, &slow, &mut pull);
        assert_eq!((pull.items, pull.drops.total()), (1, 0));
        pull.clear();
        events(&ring, &mut cursor, &slow, &mut pull);
        assert_eq!((pull.items, pull.first_dropped), (1, Some(1)));
    }

    proptest! {
        /// Whatever is appended and pulled in whatever order: every item is delivered, dropped with a reason, or ahead.
        #[test]
        fn every_item_is_accounted_for(
            steps in prop::collection::vec((0u8..4, 1u32..5, any::<bool>(), 1u64..60), 1..100),
            which in 0u8..3,
            rate in prop::option::of(1u64..100_000),
        ) {
            let policy = [events, audio, frames][usize::from(which)];
            let mut ring = Ring::new(Limits::new(3_000, 20));
            let mut cursor = Cursor::at_head(&ring);
            let (mut now, mut delivered, mut dropped, mut pull) = (Instant::ZERO, 0, 0, Pull::default());
            for (step, count, keyframe, wait) in steps {
                now = now + Duration::from_millis(wait);
                if step > 0 {
                    ring.append(now, Bytes::from(vec![0; 60]), if which == 0 { count } else { 1 }, keyframe, 60);
                    continue;
                }
                pull.clear();
                policy(&ring, &mut cursor, &Terms { bytes_per_second: rate, budget: 200, ..terms(now) }, &mut pull);
                delivered += pull.items;
                dropped += pull.drops.total();
                prop_assert_eq!(delivered + dropped, cursor.sequence());
                prop_assert_eq!(pull.bytes, pull.chunks.iter().map(Bytes::len).sum::<usize>());
                prop_assert!(pull.oldest.is_none_or(|born| now.since(born) <= Duration::from_millis(100)));
            }
            prop_assert!(cursor.sequence() <= ring.next_sequence());
        }
    }
}
