//! Series that differ in what is only known at run time, within a bound.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;

use super::metric::Metric;
use super::registry::{Instrument, Registry};

/// The value that all labels of the shared series have. No other series of a family has it, so a name that peers may choose should
/// not be allowed to be this.
///
/// ```
/// use nyx_core::Instant;
/// use nyx_stream::metrics::{Counter, Metric, OTHERS, RegisterError, Registry};
///
/// let registry = Registry::new();
/// let sent = registry.family::<Counter, 1>(Metric::new("sent", "Items sent"), ["topic"], 0)?;
/// sent.get(["camera"]).inc();
/// assert_eq!(registry.snapshot(Instant::ZERO).counter("sent", &[("topic", OTHERS)]), Some(1));
/// # Ok::<(), RegisterError>(())
/// ```
pub const OTHERS: &str = "*";

/// Series of one name that differ in the values of `N` labels. Clones are the same family.
///
/// The first values that are asked for get series of their own, as many as were said when it was registered; all later ones share
/// the series whose labels are [`OTHERS`]. A series never moves from one to the other, so no count goes backwards, and a peer that invents names costs nothing.
///
/// ```
/// use nyx_core::Instant;
/// use nyx_stream::metrics::{Counter, Metric, Registry};
///
/// let registry = Registry::new();
/// let sent = registry.family::<Counter, 1>(Metric::new("sent", "Items sent"), ["topic"], 2)?;
/// for topic in ["a", "b", "c", "d"] {
///     let handle = sent.get([topic]); // once for each topic, not for each event
///     handle.inc();
/// }
/// let snapshot = registry.snapshot(Instant::ZERO);
/// assert_eq!(snapshot.counter("sent", &[("topic", "a")]), Some(1));
/// assert_eq!(snapshot.counter("sent", &[("topic", "*")]), Some(2));
/// # Ok::<(), nyx_stream::metrics::RegisterError>(())
/// ```
#[derive(Clone)]
pub struct Family<I, const N: usize> {
    inner: Arc<Inner<I, N>>,
}

struct Inner<I, const N: usize> {
    registry: Registry,
    metric: Metric,
    labels: [String; N],
    series_max: usize,
    series: Mutex<Series<I, N>>,
}

struct Series<I, const N: usize> {
    own: HashMap<[Box<str>; N], I>,
    others: Option<I>,
}

impl<I: Instrument, const N: usize> Family<I, N> {
    pub(super) fn new(registry: Registry, metric: Metric, labels: [&str; N], series_max: usize) -> Self {
        let labels = labels.map(str::to_owned);
        let series = Mutex::new(Series { own: HashMap::new(), others: None });
        Self { inner: Arc::new(Inner { registry, metric, labels, series_max, series }) }
    }

    /// The handle for these values, in the order of the labels. O(1), with a lock and a copy of the values: keep the handle.
    ///
    /// ```
    /// # use nyx_stream::metrics::{Gauge, Metric, Registry};
    /// let registry = Registry::new();
    /// let depth = registry.family::<Gauge, 2>(Metric::new("depth", "Waiting"), ["topic", "lane"], 100)?;
    /// depth.get(["camera", "high"]).set(4.0);
    /// assert_eq!(depth.get(["camera", "high"]).get(), 4.0);
    /// # Ok::<(), nyx_stream::metrics::RegisterError>(())
    /// ```
    pub fn get(&self, values: [&str; N]) -> I {
        let inner = &*self.inner;
        let key = values.map(Box::from);
        let mut series = inner.series.lock();
        if let Some(instrument) = series.own.get(&key) {
            return instrument.clone();
        }
        if series.own.len() >= inner.series_max || values.contains(&OTHERS) {
            return series.others.get_or_insert_with(|| inner.create([OTHERS; N])).clone();
        }
        let instrument = inner.create(values);
        series.own.insert(key, instrument.clone());
        instrument
    }
}

impl<I: Instrument, const N: usize> Inner<I, N> {
    fn create(&self, values: [&str; N]) -> I {
        let labels = self.labels.iter().zip(values);
        let metric = labels.fold(self.metric.clone(), |metric, (name, value)| metric.with_label(name, value));
        let instrument = I::default();
        self.registry.push(metric, &instrument);
        instrument
    }
}

impl<I, const N: usize> fmt::Debug for Family<I, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let own = self.inner.series.lock().own.len();
        f.debug_struct("Family")
            .field("metric", &self.inner.metric)
            .field("series", &own)
            .finish_non_exhaustive()
    }
}
