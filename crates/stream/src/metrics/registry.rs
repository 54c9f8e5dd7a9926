//! Which metrics there are.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use nyx_core::Instant;
use parking_lot::Mutex;

use super::counter::Counter;
use super::family::Family;
use super::gauge::Gauge;
use super::histogram::Histogram;
use super::metric::{Metric, RegisterError};
use super::snapshot::Snapshot;

/// Metrics by name and labels. Clones are the same registry; there is no global one.
///
/// Registering gives a handle, which is what counts: names and labels are never looked up per event. What is registered stays.
///
/// ```
/// use std::time::Duration;
/// use nyx_core::Instant;
/// use nyx_stream::metrics::{Metric, Registry};
///
/// let registry = Registry::new();
/// let frames = registry.counter(Metric::new("frames", "Frames sent"))?;
/// let before = registry.snapshot(Instant::ZERO);
/// frames.add(60);
/// let after = registry.snapshot(Instant::ZERO + Duration::from_secs(2));
/// assert_eq!(after.since(&before).rates().next().map(|(_, rate)| rate), Some(30.0));
/// # Ok::<(), nyx_stream::metrics::RegisterError>(())
/// ```
#[derive(Clone, Default)]
pub struct Registry {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
pub(super) struct Inner {
    /// In the order of registration; never taken out.
    series: Vec<Series>,
    names: HashMap<String, Name>,
}

/// One series, alive.
pub(super) struct Series {
    pub(super) metric: Arc<Metric>,
    pub(super) handle: Handle,
}

/// What a name stands for.
struct Name {
    like: Arc<Metric>,
    kind: Kind,
    /// Labels of the series of this name; none are added when a family has it.
    labels: Vec<Arc<Metric>>,
    is_family: bool,
}

#[derive(Clone)]
pub enum Handle {
    Counter(Counter),
    Gauge(Gauge),
    Histogram(Histogram),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Handle {
    const fn kind(&self) -> Kind {
        match self {
            Self::Counter(_) => Kind::Counter,
            Self::Gauge(_) => Kind::Gauge,
            Self::Histogram(_) => Kind::Histogram,
        }
    }
}

/// What can be registered: [`Counter`], [`Gauge`], [`Histogram`].
///
/// ```
/// use nyx_stream::metrics::{Instrument, Metric, RegisterError, Registry, Gauge};
///
/// fn register<I: Instrument>(registry: &Registry, name: &str, instrument: &I) -> Result<(), RegisterError> {
///     registry.register(Metric::new(name, "What the test has"), instrument)
/// }
/// register(&Registry::new(), "depth", &Gauge::new())?;
/// # Ok::<(), RegisterError>(())
/// ```
pub trait Instrument: Clone + Default + sealed::Sealed {}

impl<T: Clone + Default + sealed::Sealed> Instrument for T {}

mod sealed {
    use super::{Counter, Gauge, Handle, Histogram};

    pub trait Sealed {
        fn handle(&self) -> Handle;
    }

    impl Sealed for Counter {
        fn handle(&self) -> Handle {
            Handle::Counter(self.clone())
        }
    }

    impl Sealed for Gauge {
        fn handle(&self) -> Handle {
            Handle::Gauge(self.clone())
        }
    }

    impl Sealed for Histogram {
        fn handle(&self) -> Handle {
            Handle::Histogram(self.clone())
        }
    }
}

impl Registry {
    /// A registry of nothing.
    ///
    /// ```
    /// assert!(nyx_stream::metrics::Registry::new().is_empty());
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers a new counter.
    ///
    /// # Errors
    /// When name or labels are bad, or are there already.
    ///
    /// ```
    /// # use nyx_stream::metrics::{Metric, RegisterError, Registry};
    /// let registry = Registry::new();
    /// let frames = registry.counter(Metric::new("frames", "Frames sent"))?;
    /// let again = registry.counter(Metric::new("frames", "Frames sent"));
    /// assert_eq!(again.unwrap_err(), RegisterError::Duplicate("frames".to_owned()));
    /// # Ok::<(), RegisterError>(())
    /// ```
    pub fn counter(&self, metric: Metric) -> Result<Counter, RegisterError> {
        self.create(metric)
    }

    /// Registers a new gauge.
    ///
    /// # Errors
    /// When name or labels are bad, or are there already.
    ///
    /// ```
    /// # use nyx_stream::metrics::{Metric, RegisterError, Registry};
    /// Registry::new().gauge(Metric::new("depth", "Items that wait"))?.set(3.0);
    /// # Ok::<(), RegisterError>(())
    /// ```
    pub fn gauge(&self, metric: Metric) -> Result<Gauge, RegisterError> {
        self.create(metric)
    }

    /// Registers a new histogram.
    ///
    /// # Errors
    /// When name or labels are bad, or are there already.
    ///
    /// ```
    /// # use nyx_stream::metrics::{Metric, RegisterError, Registry, Unit};
    /// let age = Metric::new("age", "Age at delivery").with_unit(Unit::Micros);
    /// Registry::new().histogram(age)?.record(250);
    /// # Ok::<(), RegisterError>(())
    /// ```
    pub fn histogram(&self, metric: Metric) -> Result<Histogram, RegisterError> {
        self.create(metric)
    }

    fn create<I: Instrument>(&self, metric: Metric) -> Result<I, RegisterError> {
        let instrument = I::default();
        self.register(metric, &instrument)?;
        Ok(instrument)
    }

    /// Registers what counts already.
    ///
    /// # Errors
    /// When name or labels are bad, or are there already.
    ///
    /// ```
    /// # use nyx_core::Instant;
    /// # use nyx_stream::metrics::{Counter, Metric, RegisterError, Registry};
    /// let (registry, lost) = (Registry::new(), Counter::new());
    /// lost.inc();
    /// registry.register(Metric::new("lost", "Items lost"), &lost)?;
    /// assert_eq!(registry.snapshot(Instant::ZERO).counter("lost", &[]), Some(1));
    /// # Ok::<(), RegisterError>(())
    /// ```
    pub fn register<I: Instrument>(&self, metric: Metric, instrument: &I) -> Result<(), RegisterError> {
        metric.check(&[])?;
        let metric = Arc::new(metric);
        let handle = instrument.handle();
        let mut inner = self.inner.lock();
        inner.reserve(&metric, handle.kind(), false)?;
        inner.series.push(Series { metric, handle });
        Ok(())
    }

    /// Registers a family: series that differ in the values of `labels`, each made when its values are first asked for.
    ///
    /// At most `series_max` have series of their own, and all further values share one: see [`Family`].
    ///
    /// # Errors
    /// When name or labels are bad, or are there already.
    ///
    /// ```
    /// # use nyx_core::Instant;
    /// # use nyx_stream::metrics::{Counter, Family, Metric, RegisterError, Registry};
    /// let registry = Registry::new();
    /// let sent: Family<Counter, 1> = registry.family(Metric::new("sent", "Items sent"), ["topic"], 500)?;
    /// sent.get(["camera"]).inc();
    /// assert_eq!(registry.snapshot(Instant::ZERO).counter("sent", &[("topic", "camera")]), Some(1));
    /// # Ok::<(), RegisterError>(())
    /// ```
    pub fn family<I: Instrument, const N: usize>(
        &self,
        metric: Metric,
        labels: [&str; N],
        series_max: usize,
    ) -> Result<Family<I, N>, RegisterError> {
        metric.check(&labels)?;
        self.inner.lock().reserve(&Arc::new(metric.clone()), I::default().handle().kind(), true)?;
        Ok(Family::new(self.clone(), metric, labels, series_max))
    }

    /// Adds a series of a family.
    pub(super) fn push<I: Instrument>(&self, metric: Metric, instrument: &I) {
        let series = Series { metric: Arc::new(metric), handle: instrument.handle() };
        self.inner.lock().series.push(series);
    }

    /// How many series there are.
    ///
    /// ```
    /// assert_eq!(nyx_stream::metrics::Registry::new().len(), 0);
    /// ```
    pub fn len(&self) -> usize {
        self.inner.lock().series.len()
    }

    /// Whether nothing is registered.
    ///
    /// ```
    /// assert!(nyx_stream::metrics::Registry::new().is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What all metrics are now. Metrics go on counting meanwhile: no count is seen half, but one series may be a moment ahead of another.
    ///
    /// O(series + buckets in use). To take many, use [`snapshot_into`](Self::snapshot_into).
    ///
    /// ```
    /// # use nyx_core::Instant;
    /// # use nyx_stream::metrics::Registry;
    /// assert_eq!(Registry::new().snapshot(Instant::ZERO).len(), 0);
    /// ```
    pub fn snapshot(&self, now: Instant) -> Snapshot {
        let mut snapshot = Snapshot::default();
        self.snapshot_into(now, &mut snapshot);
        snapshot
    }

    /// Replaces `snapshot`, and uses its memory: it allocates nothing when `snapshot` was of this registry, no series has come, and the
    /// histograms have no more buckets in use than it has had room for. O(series + buckets in use).
    ///
    /// ```
    /// # use nyx_core::Instant;
    /// # use nyx_stream::metrics::{Metric, RegisterError, Registry, Snapshot};
    /// let registry = Registry::new();
    /// let frames = registry.counter(Metric::new("frames", "Frames sent"))?;
    /// let mut snapshot = Snapshot::default();
    /// for round in 1..=3 {
    ///     frames.inc();
    ///     registry.snapshot_into(Instant::ZERO, &mut snapshot);
    ///     assert_eq!(snapshot.counter("frames", &[]), Some(round));
    /// }
    /// # Ok::<(), RegisterError>(())
    /// ```
    pub fn snapshot_into(&self, now: Instant, snapshot: &mut Snapshot) {
        snapshot.fill(now, &self.inner.lock().series);
    }
}

impl Inner {
    /// Makes sure that `metric` may be registered, and that nothing equal is afterwards.
    fn reserve(&mut self, metric: &Arc<Metric>, kind: Kind, is_family: bool) -> Result<(), RegisterError> {
        let Some(name) = self.names.get_mut(metric.name()) else {
            let labels = vec![metric.clone()];
            let name = Name { like: metric.clone(), kind, labels, is_family };
            self.names.insert(metric.name().to_owned(), name);
            return Ok(());
        };
        let same =
            name.kind == kind && name.like.help() == metric.help() && name.like.unit() == metric.unit();
        if !same {
            return Err(RegisterError::Mismatch(metric.name().to_owned()));
        }
        if is_family
            || name.is_family
            || name.labels.iter().any(|present| present.labels() == metric.labels())
        {
            return Err(RegisterError::Duplicate(metric.name().to_owned()));
        }
        name.labels.push(metric.clone());
        Ok(())
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("series", &self.len()).finish()
    }
}
