//! How large a pool may become, and how long things may take.

use std::time::Duration;

use super::backoff;

/// Bounds and times of a [`Pool`](super::Pool).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// Connections to one address, at least 1. Default 16.
    pub per_address: usize,
    /// Connections to all addresses, at least 1. Default 256. Where it is reached, an address that needs one more gets the place of the
    /// connection that has rested longest, or of the next one that is given back.
    pub total: usize,
    /// Addresses with connections, at least 1. Default 1024.
    pub addresses: usize,
    /// Tasks that may wait for a connection to one address. Default 10,000; each costs 100 bytes or so.
    pub waiters: usize,
    /// How long making a connection may take. Default 5 s.
    pub connect_timeout: Duration,
    /// How long a task waits for a connection that another gives back, or for a place in the total. Default 5 s. Connecting
    /// comes on top.
    pub acquire_timeout: Duration,
    /// How long a connection rests before it is closed, up to half as long again. Default 60 s; servers usually close after a time
    /// of their own, and it is better to be first.
    pub idle: Duration,
    /// How old a connection may become, less up to a tenth at random, so that not all are renewed at once. Default 30 min: a
    /// server behind a name that moved gets its share at the latest then.
    pub lifetime: Duration,
    /// Connections that are kept at rest to each address in use, beside those that work, as far as there are free places; broken ones are
    /// replaced. Default 0.
    pub idle_min: usize,
    /// The kernel is asked about a connection that was last taken so long ago, before it is used again (400 ns); one that was
    /// used just now is judged by what the runtime's reactor knows (2 ns), which may be one turn of it late. Default 100 µs.
    ///
    /// In plain words: a connection that the peer closed less than that ago may be handed out, and whoever gets it finds out by the first read or
    /// write that fails. With zero the kernel is asked each time, and so it is about encrypted connections, whatever stands here.
    pub verify_after: Duration,
    /// How long an address that could not be reached is left alone.
    pub backoff: backoff::Config,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            per_address: 16,
            total: 256,
            addresses: 1024,
            waiters: 10_000,
            connect_timeout: Duration::from_secs(5),
            acquire_timeout: Duration::from_secs(5),
            idle: Duration::from_secs(60),
            lifetime: Duration::from_secs(30 * 60),
            idle_min: 0,
            verify_after: Duration::from_micros(100),
            backoff: backoff::Config::default(),
        }
    }
}
