//! Read buffers that are carved up and come back by themselves.
//!
//! A reader fills a [`BytesMut`], splits messages off its front and hands them on without a copy. The memory may be
//! used again once all of them are gone. [`ReadPool`] keeps the handles of the buffers that are out, oldest first,
//! and asks the oldest whether its parts have been dropped ([`BytesMut::try_reclaim`]); streams release in the order
//! in which they were filled, so asking a few is enough. Fresh memory costs a page fault for every 4 KiB, which at
//! 256 KiB is more than the copy from the socket; a reused buffer is warm.

use std::collections::VecDeque;

use bytes::BytesMut;

/// What a [`ReadPool`] holds back and hands out.
///
/// ```
/// use nyx_core::pool::read::{Config, ReadPool};
///
/// let mut config = Config::default();
/// config.buffer_bytes = 64 * 1024;
/// config.retain = 8;
/// assert_eq!(ReadPool::new(config).take().capacity(), 64 * 1024);
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Capacity of a buffer in bytes, at least 1: zero is taken as that. Default 256 KiB.
    pub buffer_bytes: usize,
    /// How many buffers are remembered for reuse, at most. Default 64; each may hold `buffer_bytes` while idle. With zero none is
    /// used again.
    pub retain: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { buffer_bytes: 256 * 1024, retain: 64 }
    }
}

/// A pool of equally large read buffers, for one thread.
///
/// ```
/// use nyx_core::pool::read::{Config, ReadPool};
///
/// let mut pool = ReadPool::new(Config::default());
/// let mut buffer = pool.take();
/// buffer.extend_from_slice(b"one two");
/// let message = buffer.split_to(3).freeze();
/// pool.put(buffer);
/// assert_eq!(pool.take().capacity(), 256 * 1024); // `message` still lives: another buffer
/// drop(message);
/// ```
#[derive(Debug)]
pub struct ReadPool {
    config: Config,
    out: VecDeque<BytesMut>,
    hits: u64,
    misses: u64,
}

impl ReadPool {
    /// An empty pool.
    ///
    /// ```
    /// # use nyx_core::pool::read::{Config, ReadPool};
    /// let pool = ReadPool::new(Config::default());
    /// assert_eq!(pool.hits_and_misses(), (0, 0));
    /// ```
    pub const fn new(mut config: Config) -> Self {
        // A reader with no room would take the empty read for the end of the stream.
        if config.buffer_bytes == 0 {
            config.buffer_bytes = 1;
        }
        Self { config, out: VecDeque::new(), hits: 0, misses: 0 }
    }

    /// Capacity of the buffers that [`take`](Self::take) returns.
    ///
    /// ```
    /// # use nyx_core::pool::read::{Config, ReadPool};
    /// assert_eq!(ReadPool::new(Config::default()).buffer_bytes(), 256 * 1024);
    /// ```
    pub const fn buffer_bytes(&self) -> usize {
        self.config.buffer_bytes
    }

    /// An empty buffer of full capacity, a used one if one has come back. O(1).
    ///
    /// ```
    /// # use nyx_core::pool::read::{Config, ReadPool};
    /// let mut pool = ReadPool::new(Config::default());
    /// let buffer = pool.take();
    /// assert_eq!((buffer.len(), buffer.capacity()), (0, 256 * 1024));
    /// ```
    pub fn take(&mut self) -> BytesMut {
        for _ in 0..self.out.len().min(PROBES) {
            let Some(mut buffer) = self.out.pop_front() else { break };
            if buffer.try_reclaim(self.config.buffer_bytes) {
                self.hits += 1;
                return buffer;
            }
            self.out.push_back(buffer);
        }
        self.misses += 1;
        BytesMut::with_capacity(self.config.buffer_bytes)
    }

    /// Gives a buffer back, whether or not parts of it still live elsewhere. What it holds is discarded. O(1).
    ///
    /// ```
    /// # use nyx_core::pool::read::{Config, ReadPool};
    /// let mut pool = ReadPool::new(Config::default());
    /// let buffer = pool.take();
    /// let address = buffer.as_ptr();
    /// pool.put(buffer);
    /// assert_eq!(pool.take().as_ptr(), address);
    /// ```
    pub fn put(&mut self, mut buffer: BytesMut) {
        buffer.clear();
        if self.out.len() < self.config.retain {
            self.out.push_back(buffer);
        }
    }

    /// How many of the buffers taken were used ones, and how many were new.
    ///
    /// ```
    /// # use nyx_core::pool::read::{Config, ReadPool};
    /// let mut pool = ReadPool::new(Config::default());
    /// let buffer = pool.take();
    /// pool.put(buffer);
    /// pool.take();
    /// assert_eq!(pool.hits_and_misses(), (1, 1));
    /// ```
    pub const fn hits_and_misses(&self) -> (u64, u64) {
        (self.hits, self.misses)
    }
}

/// Buffers asked before a new one is made: more would walk a long list whenever a slow reader holds the oldest.
const PROBES: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(retain: usize) -> ReadPool {
        ReadPool::new(Config { buffer_bytes: 1024, retain })
    }

    #[test]
    fn a_buffer_is_reused_once_its_parts_are_gone() {
        let mut pool = pool(4);
        let mut buffer = pool.take();
        buffer.extend_from_slice(&[7; 1000]);
        let address = buffer.as_ptr();
        let part = buffer.split_to(600).freeze();
        pool.put(buffer);

        let other = pool.take();
        assert_ne!(other.as_ptr(), address);
        drop(part);
        let again = pool.take();
        assert_eq!((again.as_ptr(), again.len(), again.capacity()), (address, 0, 1024));
        assert_eq!(pool.hits_and_misses(), (1, 2));
    }

    #[test]
    fn no_more_is_retained_than_configured() {
        let mut pool = pool(2);
        let taken: Vec<_> = (0..5).map(|_| pool.take()).collect();
        taken.into_iter().for_each(|buffer| pool.put(buffer));
        assert_eq!(pool.out.len(), 2);
    }

    #[test]
    fn a_buffer_always_has_room() {
        let mut pool = ReadPool::new(Config { buffer_bytes: 0, retain: 0 });
        assert_eq!(pool.buffer_bytes(), 1);
        for _ in 0..2 {
            let buffer = pool.take();
            assert!(buffer.capacity() >= 1);
            pool.put(buffer);
        }
        assert_eq!(pool.hits_and_misses(), (0, 2));
    }

    #[test]
    fn a_part_keeps_its_bytes_while_the_pool_goes_on() {
        let mut pool = pool(2);
        let mut buffer = pool.take();
        buffer.extend_from_slice(b"keep");
        let part = buffer.split().freeze();
        pool.put(buffer);
        for _ in 0..10 {
            let mut buffer = pool.take();
            buffer.extend_from_slice(&[0; 1024]);
            pool.put(buffer);
        }
        assert_eq!(&part[..], b"keep");
    }
}
