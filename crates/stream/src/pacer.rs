//! When the next one may leave: by bytes, or by the clock.
//!
//! [`Pacer`] spreads bytes evenly in time. It keeps no queue and sets no timer; it gives each item its earliest
//! departure time, as Linux's fair-queueing scheduler and its senders do (Jacobson, *Evolving from AFAP: Teaching
//! NICs about Time*, netdev 0x12, 2018), by a token bucket (RFC 2697, section 2, for the terms). [`Beat`] is for what
//! has no size: one at a time, at a regular rate.

use std::time::Duration;

use nyx_core::{Bitrate, ByteSize, Instant};
use thiserror::Error;

/// A token bucket: `burst` bytes at once, and `rate` in the long run.
///
/// In any time `w` no more leaves than `rate` × `w` + `burst`, or plus the largest item if that is larger: an item
/// over the burst leaves when the bucket is full, and those after it wait until it is paid for. What was not used
/// while idle is not made up for beyond the burst. The arithmetic is exact, in billionths of a bit, so the rate
/// neither drifts nor depends on how often it is asked.
///
/// ```
/// use std::time::Duration;
/// use nyx_core::{Bitrate, ByteSize, Instant};
/// use nyx_stream::pacer::Pacer;
///
/// let ms = |n| Instant::ZERO + Duration::from_millis(n);
/// let mut pacer = Pacer::new(Bitrate::from_bytes_per_second(100_000), ByteSize::new(2_000))?;
/// assert_eq!(pacer.poll(ms(0), 1_500), Ok(()));
/// assert_eq!(pacer.poll(ms(0), 1_500), Err(ms(10))); // ask again then
/// assert_eq!(pacer.poll(ms(10), 1_500), Ok(()));
/// # Ok::<(), nyx_stream::pacer::NoRate>(())
/// ```
#[derive(Clone, Debug)]
pub struct Pacer {
    bits_per_second: u64,
    /// What the bucket holds, in billionths of a bit.
    depth: i128,
    /// What is in it; below zero, what is still to be paid for.
    level: i128,
    /// When that was so.
    at: Instant,
}

/// A rate of zero: nothing would ever leave. To pause, do not ask.
///
/// ```
/// use nyx_core::{Bitrate, ByteSize};
/// use nyx_stream::pacer::{NoRate, Pacer};
///
/// assert_eq!(Pacer::new(Bitrate::default(), ByteSize::new(1_500)).err(), Some(NoRate));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a rate of zero: nothing would ever leave")]
pub struct NoRate;

impl Pacer {
    /// A full bucket. A burst of zero spaces every item.
    ///
    /// # Errors
    /// When the rate is zero.
    ///
    /// ```
    /// use nyx_core::{Bitrate, ByteSize};
    /// use nyx_stream::pacer::Pacer;
    ///
    /// let rate = Bitrate::from_bytes_per_second(100_000);
    /// assert_eq!(Pacer::new(rate, ByteSize::new(2_000))?.rate(), rate);
    /// # Ok::<(), nyx_stream::pacer::NoRate>(())
    /// ```
    pub const fn new(rate: Bitrate, burst: ByteSize) -> Result<Self, NoRate> {
        if rate.bits_per_second() == 0 {
            return Err(NoRate);
        }
        let depth = billionths(burst.bytes());
        Ok(Self { bits_per_second: rate.bits_per_second(), depth, level: depth, at: Instant::ZERO })
    }

    /// Lets `bytes` leave now, or says from when on they may. O(1). Time that runs backwards stands still.
    ///
    /// # Errors
    /// The earliest moment at which the same would be let go, if nothing else was by then.
    ///
    /// ```
    /// use std::time::Duration;
    /// use nyx_core::{Bitrate, ByteSize, Instant};
    /// use nyx_stream::pacer::Pacer;
    ///
    /// let mut pacer = Pacer::new(Bitrate::from_bytes_per_second(1_000), ByteSize::new(0))?;
    /// assert_eq!(pacer.poll(Instant::ZERO, 10), Ok(()));
    /// assert_eq!(pacer.poll(Instant::ZERO, 10), Err(Instant::ZERO + Duration::from_millis(10)));
    /// # Ok::<(), nyx_stream::pacer::NoRate>(())
    /// ```
    pub fn poll(&mut self, now: Instant, bytes: usize) -> Result<(), Instant> {
        self.fill(now);
        let cost = billionths(bytes as u64);
        let missing = cost.min(self.depth) - self.level;
        if missing > 0 {
            return Err(self.at + self.time_for(missing));
        }
        self.level -= cost;
        Ok(())
    }

    /// Changes the rate from `now` on. What was let go is not taken back. O(1).
    ///
    /// # Errors
    /// When the rate is zero; the old one stays.
    ///
    /// ```
    /// use nyx_core::{Bitrate, ByteSize, Instant};
    /// use nyx_stream::pacer::Pacer;
    ///
    /// let mut pacer = Pacer::new(Bitrate::from_bytes_per_second(1_000), ByteSize::new(0))?;
    /// pacer.set_rate(Instant::ZERO, Bitrate::from_bytes_per_second(2_000))?;
    /// assert_eq!(pacer.rate(), Bitrate::from_bytes_per_second(2_000));
    /// # Ok::<(), nyx_stream::pacer::NoRate>(())
    /// ```
    pub fn set_rate(&mut self, now: Instant, rate: Bitrate) -> Result<(), NoRate> {
        if rate.bits_per_second() == 0 {
            return Err(NoRate);
        }
        self.fill(now);
        self.bits_per_second = rate.bits_per_second();
        Ok(())
    }

    /// The rate.
    pub const fn rate(&self) -> Bitrate {
        Bitrate::from_bits_per_second(self.bits_per_second)
    }

    fn fill(&mut self, now: Instant) {
        let elapsed = now.as_nanos().saturating_sub(self.at.as_nanos());
        let gained = u128::from(elapsed) * u128::from(self.bits_per_second);
        // What a debt of the largest item there can be takes to pay fits with room to spare.
        let level = self.level.saturating_add(i128::try_from(gained).unwrap_or(i128::MAX));
        self.level = level.min(self.depth);
        self.at = self.at.max(now);
    }

    /// Rounded up, so that nobody is told to come too early.
    fn time_for(&self, missing: i128) -> Duration {
        let nanos = missing.unsigned_abs().div_ceil(u128::from(self.bits_per_second));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// Nanoseconds times bits per second are billionths of a bit.
const fn billionths(bytes: u64) -> i128 {
    bytes as i128 * 8 * 1_000_000_000
}

/// A regular beat that forgets what it missed: after a delay it goes on from there instead of hurrying to catch up.
///
/// ```
/// use std::time::Duration;
/// use nyx_core::Instant;
/// use nyx_stream::pacer::Beat;
///
/// let ms = |n| Instant::ZERO + Duration::from_millis(n);
/// let mut beat = Beat::new(Duration::from_millis(100));
/// assert_eq!(beat.next(ms(5)), ms(5)); // at once
/// assert_eq!(beat.next(ms(7)), ms(105)); // wait until then
/// assert_eq!(beat.next(ms(108)), ms(205)); // a little late, and yet in time
/// assert_eq!(beat.next(ms(950)), ms(950)); // seven have been missed
/// ```
#[derive(Clone, Debug)]
pub struct Beat {
    period: Duration,
    next: Option<Instant>,
}

impl Beat {
    /// One every `period`, the first at once. A period of zero counts as one nanosecond.
    ///
    /// ```
    /// use std::time::Duration;
    /// use nyx_stream::pacer::Beat;
    ///
    /// assert_eq!(Beat::new(Duration::ZERO).period(), Duration::from_nanos(1));
    /// ```
    pub const fn new(period: Duration) -> Self {
        let period = if period.is_zero() { Duration::from_nanos(1) } else { period };
        Self { period, next: None }
    }

    /// When the next one is due; it may be in the past by a little. Each call is the next. O(1).
    ///
    /// ```
    /// use std::time::Duration;
    /// use nyx_core::Instant;
    /// use nyx_stream::pacer::Beat;
    ///
    /// let mut beat = Beat::new(Duration::from_millis(100));
    /// let first = beat.next(Instant::ZERO);
    /// assert_eq!(beat.next(Instant::ZERO), first + Duration::from_millis(100));
    /// ```
    pub fn next(&mut self, now: Instant) -> Instant {
        let due = match self.next {
            Some(next) if now - next <= self.period.max(SLACK) => next,
            _ => now,
        };
        self.next = Some(due + self.period);
        due
    }

    /// The time from one to the next.
    pub const fn period(&self) -> Duration {
        self.period
    }
}

/// So much is caught up, because timers are late by up to a millisecond or two and the rate should hold all the same.
const SLACK: Duration = Duration::from_millis(20);
