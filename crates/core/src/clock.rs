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
    ///
    /// ```
    /// # use nyx_core::Instant;
    /// assert_eq!(Instant::ZERO.as_nanos(), 0);
    /// ```
    pub const ZERO: Self = Self(0);

    /// The moment `nanos` nanoseconds after the clock's origin.
    ///
    /// ```
    /// # use nyx_core::Instant;
    /// # use std::time::Duration;
    /// assert_eq!(Instant::from_nanos(5), Instant::ZERO + Duration::from_nanos(5));
    /// ```
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the clock's origin.
    ///
    /// ```
    /// # use nyx_core::Instant;
    /// assert_eq!(Instant::from_nanos(5).as_nanos(), 5);
    /// ```
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Time from `earlier` to `self`, zero if `earlier` is later.
    ///
    /// ```
    /// use nyx_core::Instant;
    /// use std::time::Duration;
    ///
    /// let (early, late) = (Instant::from_nanos(3), Instant::from_nanos(10));
    /// assert_eq!(late.since(early), Duration::from_nanos(7));
    /// assert_eq!(early.since(late), Duration::ZERO);
    /// ```
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

/// A source of [`Instant`]s.
///
/// Those of [`Monotonic`] never run backwards. Those of [`Manual`] do where a test [sets](Manual::set) them back, so whatever
/// takes an instant withstands one that is earlier than the last.
///
/// ```
/// use nyx_core::{Clock, Instant};
///
/// /// The other clock, a second ahead.
/// struct Ahead<C>(C);
///
/// impl<C: Clock> Clock for Ahead<C> {
///     fn now(&self) -> Instant {
///         self.0.now() + std::time::Duration::from_secs(1)
///     }
/// }
///
/// let clock = Ahead(nyx_core::clock::Manual::new());
/// assert_eq!(clock.now().as_nanos(), 1_000_000_000);
/// ```
pub trait Clock: Send + Sync {
    /// The present moment.
    ///
    /// ```
    /// use nyx_core::clock::{Clock, Monotonic};
    ///
    /// let clock = Monotonic::new();
    /// let start = clock.now();
    /// assert!(clock.now() >= start);
    /// ```
    fn now(&self) -> Instant;
}

/// The machine's monotonic clock, by the processor's time stamp counter where that can be trusted.
///
/// Clones share their origin, so their instants compare.
///
/// ```
/// use nyx_core::clock::{Clock, Monotonic};
///
/// let clock = Monotonic::new();
/// let copy = clock.clone();
/// let start = clock.now();
/// assert!(copy.now() >= start);
/// ```
#[derive(Clone, Debug)]
pub struct Monotonic {
    clock: quanta::Clock,
    /// The reading at the origin, in the counter's own ticks.
    origin: u64,
}

impl Monotonic {
    /// A clock whose origin is now.
    ///
    /// ```
    /// use nyx_core::clock::{Clock, Instant, Monotonic};
    ///
    /// let clock = Monotonic::new();
    /// assert!(clock.now() >= Instant::ZERO);
    /// ```
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
    ///
    /// ```
    /// use nyx_core::clock::{Clock, Instant, Manual};
    ///
    /// let clock = Manual::new();
    /// assert!(clock.now() == Instant::ZERO);
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Moves the clock forward, at most to the end of time.
    ///
    /// ```
    /// use nyx_core::clock::{Clock, Manual};
    /// use std::time::Duration;
    ///
    /// let clock = Manual::new();
    /// let seen_by_another = clock.clone();
    /// clock.advance(Duration::from_millis(1));
    /// assert_eq!(seen_by_another.now().as_nanos(), 1_000_000);
    /// ```
    pub fn advance(&self, by: Duration) {
        let forward = |now: u64| Some(now.saturating_add(saturating_nanos(by)));
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, forward);
    }

    /// Moves the clock to `now`, backwards too: for tests of what must withstand that.
    ///
    /// ```
    /// use nyx_core::Instant;
    /// use nyx_core::clock::{Clock, Manual};
    ///
    /// let clock = Manual::new();
    /// clock.set(Instant::from_nanos(9));
    /// clock.set(Instant::from_nanos(5));
    /// assert_eq!(clock.now(), Instant::from_nanos(5));
    /// ```
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
///
/// ```
/// let captured = nyx_core::clock::unix_micros();
/// assert!(captured > 1_700_000_000_000_000); // November 2023
/// ```
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
