//! One direction of a link as a value.
//!
//! ```text
//! handle_input -> queue -> line (rate) -> flight (delay, jitter) -> arrived -> poll_output
//! ```
//!
//! The line is a virtual clock: a segment leaves it exactly `length / rate` after it began, and the next begins at
//! that moment if it was there, however late the caller polls. So a late timer costs no throughput, and the rate is
//! exact over any window within one segment.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use nyx_core::{Bitrate, ByteSize, Instant};
use thiserror::Error;

/// Bytes that travel as one: what a 1500-byte Ethernet frame carries of a TCP stream with timestamps.
pub const SEGMENT: usize = 1448;

/// What one direction of a link does to the bytes that cross it.
///
/// The default impairs nothing but the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Impairment {
    /// How fast bytes cross. Default `None`, at once. A rate of zero lets nothing through.
    pub rate: Option<Bitrate>,
    /// How long each byte takes from the end of the line to the receiver, one way. Default 0.
    pub delay: Duration,
    /// Delay added to each segment, uniform between 0 and this. Default 0. A segment that would overtake the one
    /// before it arrives together with it: a byte stream keeps its order, so jitter makes bursts.
    pub jitter: Duration,
    /// Bytes that may wait in the link before it takes no more: the queue before the line, and what has arrived but
    /// was not taken. What is in flight on a link with delay comes on top, as it does in a network.
    ///
    /// Default 32 KiB, 22 full packets, which together with the proxy's socket buffers comes to some 60 KiB. At least
    /// one [`SEGMENT`], at most [`SEGMENTS_MAX`] of them. To keep the line busy it wants to be several milliseconds
    /// at the rate: the default, 13 ms at 20 Mbit/s, did; at 100 Mbit/s on a loaded machine the
    /// line idled a tenth of the time.
    pub buffer: ByteSize,
    /// Where the jitter comes from: the same seed and the same inputs give the same outputs. Default 0.
    pub seed: u64,
}

impl Default for Impairment {
    fn default() -> Self {
        Self {
            rate: None,
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            buffer: ByteSize::new(32 * 1024),
            seed: 0,
        }
    }
}

/// Segments that a [`Link`] holds in all, 23 MB of full ones: the bound of a link that has delay but no rate.
pub const SEGMENTS_MAX: usize = 16 * 1024;

/// A link that bytes enter at one end and leave at the other, later.
///
/// Feed it with [`handle_input`](Self::handle_input), as much as there is [`room`](Self::room) for. Drain
/// [`poll_output`](Self::poll_output) until it is `None`, then come back at [`poll_timeout`](Self::poll_timeout) or
/// after the next input. Time must not run backwards from call to call.
///
/// An empty [`Bytes`] is the end of the stream, on both sides, as a read of zero bytes is; it is delayed like data.
///
/// ```
/// use bytes::Bytes;
/// use nyx_core::Instant;
/// use nyx_netem::{Impairment, Link};
/// use std::time::Duration;
///
/// let mut impairment = Impairment::default();
/// impairment.rate = Some("100kB/s".parse().unwrap());
/// impairment.delay = Duration::from_millis(40);
///
/// let mut link = Link::new(impairment);
/// link.handle_input(Instant::ZERO, Bytes::from_static(&[7; 1000])).unwrap();
/// let arrival = Instant::ZERO + Duration::from_millis(50); // 10 ms on the line, 40 ms of flight
/// assert!(link.poll_output(arrival - Duration::from_nanos(1)).is_none());
/// assert_eq!(link.poll_output(arrival).unwrap().len(), 1000);
/// ```
#[derive(Debug)]
pub struct Link {
    impairment: Impairment,
    random: fastrand::Rng,
    /// Not yet across the line; the first is on it.
    queue: VecDeque<Bytes>,
    queue_bytes: usize,
    /// When the first of `queue` is across.
    departure: Option<Instant>,
    /// What whole nanoseconds left over of the last segment's line time, in bit nanoseconds.
    remainder: u64,
    flight: VecDeque<(Instant, Bytes)>,
    last_arrival: Instant,
    arrived: VecDeque<Bytes>,
    arrived_bytes: usize,
    ended: bool,
    stalled_since: Option<Instant>,
}

impl Link {
    /// An empty link.
    pub fn new(impairment: Impairment) -> Self {
        Self {
            random: fastrand::Rng::with_seed(impairment.seed),
            impairment,
            queue: VecDeque::new(),
            queue_bytes: 0,
            departure: None,
            remainder: 0,
            flight: VecDeque::new(),
            last_arrival: Instant::ZERO,
            arrived: VecDeque::new(),
            arrived_bytes: 0,
            ended: false,
            stalled_since: None,
        }
    }

    /// How many bytes [`handle_input`](Self::handle_input) takes now. Zero while stalled and after the end.
    pub fn room(&mut self, now: Instant) -> usize {
        self.advance(now);
        if self.ended || self.stalled_since.is_some() {
            return 0;
        }
        let buffer = self.impairment.buffer.len().max(SEGMENT);
        let segments = SEGMENTS_MAX.saturating_sub(self.segments());
        buffer.saturating_sub(self.waiting_bytes()).min(segments * SEGMENT)
    }

    /// Bytes that wait, before the line or at the far end: what [`Impairment::buffer`] bounds.
    pub const fn waiting_bytes(&self) -> usize {
        self.queue_bytes + self.arrived_bytes
    }

    /// Whether nothing is on its way.
    pub fn is_empty(&self) -> bool {
        self.segments() == 0
    }

    /// Puts bytes on the link; an empty `data` ends the stream.
    ///
    /// # Errors
    ///
    /// [`Full`] with what exceeds the [`room`](Self::room); the rest was taken.
    pub fn handle_input(&mut self, now: Instant, mut data: Bytes) -> Result<(), Full> {
        let room = self.room(now);
        if data.is_empty() {
            self.handle_end(now);
            return Ok(());
        }
        let mut taken = data.split_to(data.len().min(room));
        self.queue_bytes += taken.len();
        while !taken.is_empty() {
            self.enqueue(now, taken.split_to(taken.len().min(SEGMENT)));
        }
        if data.is_empty() { Ok(()) } else { Err(Full(data)) }
    }

    /// The next bytes that have arrived, at most a [`SEGMENT`]; empty at the end of the stream.
    pub fn poll_output(&mut self, now: Instant) -> Option<Bytes> {
        self.advance(now);
        if self.stalled_since.is_some() {
            return None;
        }
        let segment = self.arrived.pop_front()?;
        self.arrived_bytes -= segment.len();
        Some(segment)
    }

    /// When there will next be output or room, once `poll_output` has returned `None`. `None`: not by itself.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.stalled_since.is_some() {
            return None;
        }
        let arrival = self.flight.front().map(|&(at, _)| at);
        self.departure.into_iter().chain(arrival).min()
    }

    /// Changes rate, delay, jitter and buffer from now on. The seed counts at creation only.
    ///
    /// A segment that is on the line finishes at the old rate or starts anew at the new one, whichever is sooner.
    /// What is in flight keeps its time of arrival, and what follows does not overtake it.
    pub fn set(&mut self, now: Instant, impairment: Impairment) {
        self.advance(now);
        self.impairment = impairment;
        self.remainder = 0;
        if let (Some(departure), Some(first)) = (self.departure, self.queue.front()) {
            let length = first.len();
            let now = self.stalled_since.unwrap_or(now);
            self.departure = Some(departure.min(now + self.line_time(length)));
        }
    }

    /// Stops the link's time or lets it go on. While it stands nothing enters, moves or leaves.
    pub fn stall(&mut self, now: Instant, stalled: bool) {
        self.advance(now);
        if stalled {
            self.stalled_since.get_or_insert(now);
        } else if let Some(since) = self.stalled_since.take() {
            let lost = now - since;
            self.departure = self.departure.map(|at| at + lost);
            self.last_arrival = self.last_arrival + lost;
            self.flight.iter_mut().for_each(|(at, _)| *at = *at + lost);
        }
    }

    fn handle_end(&mut self, now: Instant) {
        if !self.ended {
            self.ended = true;
            self.enqueue(now, Bytes::new());
        }
    }

    fn enqueue(&mut self, now: Instant, segment: Bytes) {
        self.queue.push_back(segment);
        if self.departure.is_none() {
            self.remainder = 0;
            self.begin(self.stalled_since.unwrap_or(now));
            self.advance(now);
        }
    }

    /// Moves everything to where it is at `now`.
    fn advance(&mut self, now: Instant) {
        if self.stalled_since.is_some() {
            return;
        }
        while let Some(at) = self.departure.filter(|&at| at <= now) {
            let Some(segment) = self.queue.pop_front() else { break };
            self.queue_bytes -= segment.len();
            self.last_arrival = self.last_arrival.max(at + self.impairment.delay + self.draw_jitter());
            self.flight.push_back((self.last_arrival, segment));
            self.begin(at);
        }
        while self.flight.front().is_some_and(|&(at, _)| at <= now) {
            let Some((_, segment)) = self.flight.pop_front() else { break };
            self.arrived_bytes += segment.len();
            self.arrived.push_back(segment);
        }
    }

    /// Puts the first segment of the queue on the line.
    fn begin(&mut self, at: Instant) {
        let length = self.queue.front().map(Bytes::len);
        self.departure = length.map(|length| at + self.line_time(length));
    }

    fn line_time(&mut self, length: usize) -> Duration {
        let Some(rate) = self.impairment.rate else { return Duration::ZERO };
        let rate = u128::from(rate.bits_per_second());
        if rate == 0 {
            return Duration::MAX;
        }
        let bit_nanos = length as u128 * 8 * NANOS_PER_SECOND + u128::from(self.remainder);
        self.remainder = u64::try_from(bit_nanos % rate).unwrap_or(0);
        Duration::from_nanos(u64::try_from(bit_nanos / rate).unwrap_or(u64::MAX))
    }

    fn draw_jitter(&mut self) -> Duration {
        let jitter = u64::try_from(self.impairment.jitter.as_nanos()).unwrap_or(u64::MAX);
        if jitter == 0 { Duration::ZERO } else { Duration::from_nanos(self.random.u64(0..=jitter)) }
    }

    fn segments(&self) -> usize {
        self.queue.len() + self.flight.len() + self.arrived.len()
    }
}

/// More bytes than a [`Link`] had room for; these were not taken. Offer them again when there is room.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the link is full: {} bytes were not taken", .0.len())]
pub struct Full(pub Bytes);

const NANOS_PER_SECOND: u128 = 1_000_000_000;
