//! Time as a value.
//!
//! Everything that decides takes an [`Instant`] as an argument; only drivers hold a [`Clock`] and read it. So the
//! same code runs in real and in virtual time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A moment on a [`Clock`], in nanoseconds since that clock's origin.
///
/// Instants of different clocks must not be compared. Arithmetic saturates: 584 years fit.
///
/// ```
/// use nyx_core::Instant;
/// use std::time::Duration;
///
/// let start = Instant::from_nanos(1_000);
/// let later = start + Duration::from_nanos(500);
/// assert_eq!(later - start, Duration::from_nanos(500));
/// assert_eq!(start - later, Duration::ZERO);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The clock's origin.
    pub const ZERO: Self = Self(0);

    /// The moment `nanos` nanoseconds after the clock's origin.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the clock's origin.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Time from `earlier` to `self`, zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl std::ops::Add<Duration> for Instant {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(saturating_nanos(duration)))
    }
}

impl std::ops::Sub<Duration> for Instant {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(saturating_nanos(duration)))
    }
}

impl std::ops::Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.since(earlier)
    }
}

fn saturating_nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A source of [`Instant`]s that never run backwards.
pub trait Clock: Send + Sync {
    /// The present moment.
    fn now(&self) -> Instant;
}

/// The machine's monotonic clock, by the processor's time stamp counter where that can be trusted.
///
/// Clones share their origin, so their instants compare.
#[derive(Clone, Debug)]
pub struct Monotonic {
    clock: quanta::Clock,
    /// The reading at the origin, in the counter's own ticks.
    origin: u64,
}

impl Monotonic {
    /// A clock whose origin is now.
    pub fn new() -> Self {
        let clock = quanta::Clock::new();
        let origin = clock.raw();
        Self { clock, origin }
    }
}

impl Default for Monotonic {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for Monotonic {
    #[inline]
    fn now(&self) -> Instant {
        // Ticks since the origin first, then one scaling: nothing on the way goes through seconds.
        Instant(self.clock.delta_as_nanos(self.origin, self.clock.raw()))
    }
}

/// A clock that moves only when told to, for tests and simulations. Clones share their time.
///
/// ```
/// use nyx_core::clock::{Clock, Instant, Manual};
/// use std::time::Duration;
///
/// let clock = Manual::new();
/// clock.advance(Duration::from_secs(1));
/// assert_eq!(clock.now(), Instant::from_nanos(1_000_000_000));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Manual(Arc<AtomicU64>);

impl Manual {
    /// A clock that stands at its origin.
    pub fn new() -> Self {
        Self::default()
    }

    /// Moves the clock forward, at most to the end of time.
    pub fn advance(&self, by: Duration) {
        let forward = |now: u64| Some(now.saturating_add(saturating_nanos(by)));
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, forward);
    }

    /// Moves the clock to `now`, backwards too: for tests of what must withstand that.
    pub fn set(&self, now: Instant) {
        self.0.store(now.as_nanos(), Ordering::Relaxed);
    }
}

impl Clock for Manual {
    fn now(&self) -> Instant {
        Instant(self.0.load(Ordering::Relaxed))
    }
}

/// The wall clock in microseconds since the Unix epoch, as capture timestamps are. Zero before 1970.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the wall clock")]
pub fn unix_micros() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn monotonic_never_runs_backwards() {
        let clock = Monotonic::new();
        let mut last = clock.now();
        for _ in 0..10_000 {
            let now = clock.now();
            assert!(now >= last);
            last = now;
        }
    }

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(Instant::from_nanos(u64::MAX) + Duration::MAX, Instant::from_nanos(u64::MAX));
        assert_eq!(Instant::ZERO - Duration::from_secs(1), Instant::ZERO);
        let clock = Manual::new();
        clock.advance(Duration::MAX);
        clock.advance(Duration::MAX);
        assert_eq!(clock.now(), Instant::from_nanos(u64::MAX));
    }
}
