//! Putting items together, within bounds of memory and time.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use nyx_core::Instant;

use super::header::{Header, HeaderError};

/// Bounds of a [`Reassembler`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// The largest item in bytes; fragments of larger ones are dropped. Default 4 MiB.
    pub item_bytes: usize,
    /// Memory for items of which something is missing, in bytes. Default 16 MiB. Where it is full, the oldest makes room.
    pub bytes: usize,
    /// Items of which something is missing. Default 256. Where there are so many, the oldest makes room.
    pub items: usize,
    /// How long after its first fragment an item is given up. Default 1 s: several round trips of any path that is used in real time.
    pub timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { item_bytes: 4 << 20, bytes: 16 << 20, items: 256, timeout: Duration::from_secs(1) }
    }
}

/// An item that is whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its number with its sender.
    pub number: u32,
    /// Its bytes.
    pub bytes: Bytes,
}

/// Totals; every fragment that was taken in is in one of them, or on its way into an item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Items that became whole.
    pub items: u64,
    /// Items that were given up because something was missing for too long.
    pub expired: u64,
    /// Items that were given up because a newer one needed their room.
    pub overrun: u64,
    /// Fragments that had been here before, or whose item had.
    pub duplicates: u64,
    /// Fragments that contradict others of their item.
    pub contradictory: u64,
    /// Fragments of items that are larger than may be.
    pub too_large: u64,
    /// Datagrams that are no fragments.
    pub malformed: u64,
}

/// Puts the items of one sender together.
///
/// It takes memory as fragments come, in proportion to what their item will be, so a fragment that claims much costs as much as may be
/// claimed: [`Config::bytes`] bounds all of it. Drive it with [`handle`](Self::handle), and
/// [`handle_timeout`](Self::handle_timeout) at [`poll_timeout`](Self::poll_timeout).
#[derive(Debug)]
pub struct Reassembler {
    config: Config,
    partial: HashMap<u32, Partial>,
    /// Numbers of `partial` in order of arrival, with those that are gone left in.
    order: VecDeque<(Instant, u32)>,
    /// Memory of all of `partial`.
    bytes: usize,
    /// Items that are over, so that what comes late begins none of them anew.
    over: VecDeque<u32>,
    stats: Stats,
}

#[derive(Debug)]
struct Partial {
    began: Instant,
    total: u32,
    count: u16,
    missing: u16,
    bytes: BytesMut,
    /// A bit for each fragment.
    seen: Vec<u64>,
}

impl Reassembler {
    /// One that has nothing.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            partial: HashMap::new(),
            order: VecDeque::new(),
            bytes: 0,
            over: VecDeque::new(),
            stats: Stats::default(),
        }
    }

    /// Takes a datagram in, and returns its item where that is whole now.
    ///
    /// # Errors
    /// When it is no fragment. It changes nothing then but the count.
    pub fn handle(&mut self, now: Instant, datagram: &[u8]) -> Result<Option<Item>, HeaderError> {
        let (header, bytes) = Header::decode(datagram).inspect_err(|_| self.stats.malformed += 1)?;
        self.handle_timeout(now);
        if header.total as usize > self.config.item_bytes.min(self.config.bytes) {
            self.stats.too_large += 1;
            return Ok(None);
        }
        if self.over.contains(&header.item) {
            self.stats.duplicates += 1;
            return Ok(None);
        }
        if header.count == 1 && !self.partial.contains_key(&header.item) {
            return Ok(Some(self.finish(header.item, Bytes::copy_from_slice(bytes))));
        }
        if !self.partial.contains_key(&header.item) {
            self.begin(now, &header);
        }
        Ok(self.add(&header, bytes))
    }

    /// When the oldest item is given up.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let mut alive = self.order.iter().filter(|(began, item)| self.is_partial(*began, *item));
        alive.next().map(|(began, _)| *began + self.config.timeout)
    }

    /// Gives up what is too old.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(&(began, item)) = self.order.front() {
            let alive = self.is_partial(began, item);
            if alive && now < began + self.config.timeout {
                return;
            }
            self.order.pop_front();
            if alive {
                self.stats.expired += 1;
                self.give_up(item);
            }
        }
    }

    /// Memory of items of which something is missing.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Totals so far.
    pub const fn stats(&self) -> Stats {
        self.stats
    }

    fn is_partial(&self, began: Instant, item: u32) -> bool {
        self.partial.get(&item).is_some_and(|partial| partial.began == began)
    }

    fn begin(&mut self, now: Instant, header: &Header) {
        let total = header.total as usize;
        while self.partial.len() >= self.config.items.max(1) || self.bytes + total > self.config.bytes {
            let Some((began, item)) = self.order.pop_front() else { break };
            if self.is_partial(began, item) {
                self.stats.overrun += 1;
                self.give_up(item);
            }
        }
        self.bytes += total;
        self.order.push_back((now, header.item));
        self.partial.insert(
            header.item,
            Partial {
                began: now,
                total: header.total,
                count: header.count,
                missing: header.count,
                bytes: BytesMut::zeroed(total),
                seen: vec![0; usize::from(header.count).div_ceil(64)],
            },
        );
    }

    fn add(&mut self, header: &Header, bytes: &[u8]) -> Option<Item> {
        let partial = self.partial.get_mut(&header.item)?;
        if (partial.total, partial.count) != (header.total, header.count) {
            self.stats.contradictory += 1;
            return None;
        }
        let (word, bit) = (usize::from(header.index / 64), 1 << (header.index % 64));
        if partial.seen[word] & bit != 0 {
            self.stats.duplicates += 1;
            return None;
        }
        let start = usize::from(header.index) * header.piece();
        partial.bytes[start..start + bytes.len()].copy_from_slice(bytes);
        partial.seen[word] |= bit;
        partial.missing -= 1;
        if partial.missing > 0 {
            return None;
        }
        let whole = self.partial.remove(&header.item)?;
        self.bytes -= whole.total as usize;
        self.compact();
        Some(self.finish(header.item, whole.bytes.freeze()))
    }

    fn finish(&mut self, number: u32, bytes: Bytes) -> Item {
        self.stats.items += 1;
        self.remember(number);
        Item { number, bytes }
    }

    fn give_up(&mut self, item: u32) {
        if let Some(partial) = self.partial.remove(&item) {
            self.bytes -= partial.total as usize;
        }
        self.remember(item);
    }

    fn remember(&mut self, item: u32) {
        if self.over.len() == OVER {
            self.over.pop_front();
        }
        self.over.push_back(item);
    }

    /// Items become whole in any order, and must not leave more behind than there are others.
    fn compact(&mut self) {
        if self.order.len() > 2 * self.partial.len() + OVER {
            let partial = &self.partial;
            self.order
                .retain(|(began, item)| partial.get(item).is_some_and(|partial| partial.began == *began));
        }
    }
}

/// Items that are remembered as over: as many as may be under way at once, several times over, and few enough to look through.
const OVER: usize = 64;
