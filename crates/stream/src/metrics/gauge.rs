//! How much of something there is.

use std::fmt;
use std::sync::Arc;

use crate::sync::atomic::AtomicU64;
use crate::sync::atomic::Ordering::Relaxed;

/// A number that goes up and down: an `f64`, for what is measured has fractions; whole numbers are exact up to 2⁵³. Clones share it.
///
/// It is always finite. What is no number is ignored, and what is beyond `f64::MAX` becomes that.
///
/// ```
/// use nyx_stream::metrics::Gauge;
///
/// let connections = Gauge::new();
/// connections.add(2.0);
/// connections.add(-1.0);
/// connections.set(f64::NAN);
/// assert_eq!(connections.get(), 1.0);
/// ```
#[derive(Clone)]
pub struct Gauge {
    bits: Arc<AtomicU64>,
}

impl Gauge {
    /// A gauge at zero, in no registry.
    ///
    /// ```
    /// assert_eq!(nyx_stream::metrics::Gauge::new().get(), 0.0);
    /// ```
    pub fn new() -> Self {
        Self { bits: Arc::new(AtomicU64::new(0)) }
    }

    /// Makes it `value`. O(1), one store.
    ///
    /// ```
    /// let depth = nyx_stream::metrics::Gauge::new();
    /// depth.set(f64::INFINITY);
    /// assert_eq!(depth.get(), f64::MAX);
    /// ```
    #[inline]
    pub fn set(&self, value: f64) {
        if !value.is_nan() {
            self.bits.store(finite(value).to_bits(), Relaxed);
        }
    }

    /// Makes it more by `change`, or less if that is negative. One compare-and-swap, repeated while others change it: lock-free.
    ///
    /// ```
    /// let depth = nyx_stream::metrics::Gauge::new();
    /// depth.add(0.5);
    /// assert_eq!(depth.get(), 0.5);
    /// ```
    #[inline]
    pub fn add(&self, change: f64) {
        if change.is_nan() {
            return;
        }
        let changed = |bits| Some(finite(f64::from_bits(bits) + finite(change)).to_bits());
        // It never fails: the closure always has a value.
        let _ = self.bits.fetch_update(Relaxed, Relaxed, changed);
    }

    /// What it is. O(1).
    ///
    /// ```
    /// let depth = nyx_stream::metrics::Gauge::new();
    /// depth.set(3.0);
    /// assert_eq!(depth.get(), 3.0);
    /// ```
    pub fn get(&self) -> f64 {
        f64::from_bits(self.bits.load(Relaxed))
    }
}

const fn finite(value: f64) -> f64 {
    value.clamp(f64::MIN, f64::MAX)
}

impl Default for Gauge {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Gauge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Gauge").field(&self.get()).finish()
    }
}
