//! What metrics were at one moment.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::sync::Arc;

use nyx_core::Instant;

use super::distribution::Distribution;
use super::histogram::Spread;
use super::metric::Metric;
use super::registry::{self, Handle};
use super::since::Since;

/// What all metrics of a [`Registry`](super::Registry) were at one moment: a plain value, that can be merged and compared with others.
///
/// ```
/// use nyx_core::Instant;
/// use nyx_stream::metrics::{Metric, Registry, Value};
///
/// let registry = Registry::new();
/// registry.gauge(Metric::new("depth", "Items that wait"))?.set(2.5);
/// let snapshot = registry.snapshot(Instant::ZERO);
/// let sample = snapshot.iter().next().unwrap();
/// assert_eq!(sample.metric.name(), "depth");
/// assert!(matches!(sample.value, Value::Gauge(2.5)));
/// # Ok::<(), nyx_stream::metrics::RegisterError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    taken: Instant,
    series: Vec<Series>,
    /// Counts of the buckets in use of all histograms, one after the other.
    counts: Vec<u64>,
}

#[derive(Clone, Debug)]
struct Series {
    metric: Arc<Metric>,
    raw: Raw,
}

#[derive(Clone, Copy, Debug)]
enum Raw {
    Counter(u64),
    Gauge(f64),
    Histogram(Spread),
}

/// One series of a [`Snapshot`].
///
/// ```
/// use nyx_core::Instant;
/// use nyx_stream::metrics::{Metric, RegisterError, Registry};
///
/// let registry = Registry::new();
/// registry.counter(Metric::new("frames", "Frames sent"))?.inc();
/// let snapshot = registry.snapshot(Instant::ZERO);
/// assert!(snapshot.iter().any(|sample| sample.metric.name() == "frames"));
/// # Ok::<(), RegisterError>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Sample<'a> {
    /// What it is called and means.
    pub metric: &'a Metric,
    /// What it was.
    pub value: Value<'a>,
}

/// What a series was.
///
/// ```
/// use nyx_core::Instant;
/// use nyx_stream::metrics::{Metric, RegisterError, Registry, Value};
///
/// let registry = Registry::new();
/// registry.counter(Metric::new("frames", "Frames sent"))?.add(3);
/// assert!(matches!(registry.snapshot(Instant::ZERO).get("frames", &[]), Some(Value::Counter(3))));
/// # Ok::<(), RegisterError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// A counter's total.
    Counter(u64),
    /// A gauge's value. It is finite.
    Gauge(f64),
    /// How a histogram's values are spread.
    Histogram(Distribution<'a>),
}

impl Snapshot {
    /// When it was taken.
    ///
    /// ```
    /// # use nyx_core::Instant;
    /// # use nyx_stream::metrics::{Registry, Snapshot};
    /// assert_eq!(Registry::new().snapshot(Instant::from_nanos(5)).taken(), Instant::from_nanos(5));
    /// ```
    pub const fn taken(&self) -> Instant {
        self.taken
    }

    /// How many series it has.
    ///
    /// ```
    /// assert_eq!(nyx_stream::metrics::Snapshot::default().len(), 0);
    /// ```
    pub const fn len(&self) -> usize {
        self.series.len()
    }

    /// Whether it has no series.
    ///
    /// ```
    /// assert!(nyx_stream::metrics::Snapshot::default().is_empty());
    /// ```
    pub const fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// All series, in the order of registration.
    ///
    /// ```
    /// assert_eq!(nyx_stream::metrics::Snapshot::default().iter().count(), 0);
    /// ```
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Sample<'_>> {
        self.series.iter().map(|series| Sample { metric: &series.metric, value: self.value(series.raw) })
    }

    /// The series of this name with these labels, sorted by name. O(series): for tests and consoles.
    ///
    /// ```
    /// assert!(nyx_stream::metrics::Snapshot::default().get("frames", &[]).is_none());
    /// ```
    pub fn get(&self, name: &str, labels: &[(&str, &str)]) -> Option<Value<'_>> {
        let same = |metric: &Metric| {
            let present = metric.labels().iter().map(|(name, value)| (name.as_str(), value.as_str()));
            metric.name() == name && present.eq(labels.iter().copied())
        };
        self.iter().find(|sample| same(sample.metric)).map(|sample| sample.value)
    }

    /// The total of a counter; `None` if there is none of this name with these labels. O(series).
    ///
    /// ```
    /// assert_eq!(nyx_stream::metrics::Snapshot::default().counter("frames", &[]), None);
    /// ```
    pub fn counter(&self, name: &str, labels: &[(&str, &str)]) -> Option<u64> {
        match self.get(name, labels)? {
            Value::Counter(total) => Some(total),
            _ => None,
        }
    }

    /// The value of a gauge; `None` if there is none of this name with these labels. O(series).
    ///
    /// ```
    /// assert_eq!(nyx_stream::metrics::Snapshot::default().gauge("depth", &[]), None);
    /// ```
    pub fn gauge(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        match self.get(name, labels)? {
            Value::Gauge(value) => Some(value),
            _ => None,
        }
    }

    /// How a histogram is spread; `None` if there is none of this name with these labels. O(series).
    ///
    /// ```
    /// assert!(nyx_stream::metrics::Snapshot::default().histogram("age", &[]).is_none());
    /// ```
    pub fn histogram(&self, name: &str, labels: &[(&str, &str)]) -> Option<Distribution<'_>> {
        match self.get(name, labels)? {
            Value::Histogram(distribution) => Some(distribution),
            _ => None,
        }
    }

    /// Adds what another snapshot has, as of another registry or another process. Series of the same name and labels become one: counters and
    /// gauges are added, and a histogram is what it would be if it had recorded all values. Where a name is of two kinds the present one stays.
    /// Sums stop at the largest value there is. O(series + buckets in use).
    ///
    /// ```
    /// use nyx_core::Instant;
    /// use nyx_stream::metrics::{Metric, RegisterError, Registry};
    ///
    /// let [mut one, two] = [1, 2].map(|count| {
    ///     let registry = Registry::new();
    ///     registry.counter(Metric::new("frames", "Frames sent"))?.add(count);
    ///     Ok::<_, RegisterError>(registry.snapshot(Instant::ZERO))
    /// });
    /// let one = one.as_mut().unwrap();
    /// one.merge(&two.unwrap());
    /// assert_eq!(one.counter("frames", &[]), Some(3));
    /// ```
    pub fn merge(&mut self, other: &Self) {
        self.taken = self.taken.max(other.taken);
        let places: Vec<Option<usize>> = {
            let present = Places::new(self);
            other.series.iter().enumerate().map(|(hint, series)| present.find(hint, &series.metric)).collect()
        };
        for (series, place) in other.series.iter().zip(places) {
            let raw = match (place.map(|place| self.series[place].raw), series.raw) {
                (None, Raw::Histogram(more)) => {
                    let offset = self.counts.len();
                    self.counts.extend_from_slice(other.counts_of(&more));
                    Raw::Histogram(Spread { offset, ..more })
                }
                (None, raw) => raw,
                (Some(Raw::Counter(count)), Raw::Counter(more)) => Raw::Counter(count.saturating_add(more)),
                (Some(Raw::Gauge(value)), Raw::Gauge(more)) => {
                    Raw::Gauge((value + more).clamp(f64::MIN, f64::MAX))
                }
                (Some(Raw::Histogram(spread)), Raw::Histogram(more)) => {
                    Raw::Histogram(self.merge_counts(&spread, &more, other.counts_of(&more)))
                }
                (Some(present), _) => present,
            };
            match place {
                Some(place) => self.series[place].raw = raw,
                None => self.series.push(Series { metric: series.metric.clone(), raw }),
            }
        }
    }

    /// Adds `counts` to those of `spread`, which move to where there is room if the range gets larger.
    fn merge_counts(&mut self, spread: &Spread, more: &Spread, counts: &[u64]) -> Spread {
        if more.len == 0 {
            return *spread;
        }
        let first = if spread.len == 0 { more.first } else { spread.first.min(more.first) };
        let end = (more.first + more.len).max(if spread.len == 0 { 0 } else { spread.first + spread.len });
        let mut merged = Spread { first, len: end - first, ..*spread };
        if merged.len != spread.len {
            merged.offset = self.counts.len();
            self.counts.resize(merged.offset + merged.len, 0);
            if spread.len > 0 {
                let old = spread.offset..spread.offset + spread.len;
                self.counts.copy_within(old, merged.offset + spread.first - first);
            }
        }
        let place = merged.offset + (more.first - first);
        for (count, more) in self.counts[place..].iter_mut().zip(counts) {
            *count = count.saturating_add(*more);
        }
        merged.count = spread.count.saturating_add(more.count);
        merged.sum = spread.sum.saturating_add(more.sum);
        merged
    }

    /// What has happened since an earlier snapshot of the same metrics.
    ///
    /// A series that the earlier one lacks was at zero then, and one that was more then has not changed. Gauges are as they are now. If `earlier`
    /// is the later one, no time has passed, and rates are zero. O(series + buckets in use).
    ///
    /// ```
    /// use nyx_core::Instant;
    /// use nyx_stream::metrics::{Metric, RegisterError, Registry};
    ///
    /// let registry = Registry::new();
    /// let ages = registry.histogram(Metric::new("age", "Age at delivery"))?;
    /// ages.record(5);
    /// let before = registry.snapshot(Instant::ZERO);
    /// ages.record(9);
    /// let recent = registry.snapshot(Instant::ZERO).since(&before);
    /// assert_eq!(recent.changes().histogram("age", &[]).unwrap().quantile(0.01), Some(9));
    /// # Ok::<(), RegisterError>(())
    /// ```
    pub fn since(&self, earlier: &Self) -> Since {
        let mut changes = self.clone();
        let before = Places::new(earlier);
        for (hint, series) in changes.series.iter_mut().enumerate() {
            let Some(place) = before.find(hint, &series.metric) else { continue };
            match (&mut series.raw, earlier.series[place].raw) {
                (Raw::Counter(count), Raw::Counter(less)) => *count = count.saturating_sub(less),
                (Raw::Histogram(spread), Raw::Histogram(less)) => {
                    let counts = &mut changes.counts[spread.offset..spread.offset + spread.len];
                    let (begin, skip) =
                        (less.first.saturating_sub(spread.first), spread.first.saturating_sub(less.first));
                    let gone = earlier.counts_of(&less).iter().skip(skip);
                    for (count, less) in counts.iter_mut().skip(begin).zip(gone) {
                        *count = count.saturating_sub(*less);
                    }
                    spread.count = counts.iter().fold(0, |sum: u64, count| sum.saturating_add(*count));
                    spread.sum = spread.sum.saturating_sub(less.sum);
                }
                _ => {}
            }
        }
        Since::new(changes, self.taken.since(earlier.taken))
    }

    /// Makes it what `live` is. Metrics that are there already stay.
    pub(super) fn fill(&mut self, now: Instant, live: &[registry::Series]) {
        self.taken = now;
        self.counts.clear();
        self.series.truncate(live.len());
        for (place, live) in live.iter().enumerate() {
            let raw = match &live.handle {
                Handle::Counter(counter) => Raw::Counter(counter.get()),
                Handle::Gauge(gauge) => Raw::Gauge(gauge.get()),
                Handle::Histogram(histogram) => Raw::Histogram(histogram.collect(&mut self.counts)),
            };
            match self.series.get_mut(place) {
                Some(series) => {
                    series.raw = raw;
                    if !Arc::ptr_eq(&series.metric, &live.metric) {
                        series.metric = live.metric.clone();
                    }
                }
                None => self.series.push(Series { metric: live.metric.clone(), raw }),
            }
        }
    }

    fn value(&self, raw: Raw) -> Value<'_> {
        match raw {
            Raw::Counter(total) => Value::Counter(total),
            Raw::Gauge(value) => Value::Gauge(value),
            Raw::Histogram(spread) => Value::Histogram(Distribution::new(spread, self.counts_of(&spread))),
        }
    }

    fn counts_of(&self, spread: &Spread) -> &[u64] {
        &self.counts[spread.offset..spread.offset + spread.len]
    }
}

/// Where a snapshot has which metric. Snapshots of one registry have them in the same order, so the search is mostly for nothing.
struct Places<'a> {
    series: &'a [Series],
    by_key: OnceCell<HashMap<Key<'a>, usize>>,
}

type Key<'a> = (&'a str, &'a [(String, String)]);

impl<'a> Places<'a> {
    const fn new(snapshot: &'a Snapshot) -> Self {
        Self { series: snapshot.series.as_slice(), by_key: OnceCell::new() }
    }

    /// Where `metric` is; most likely at `hint`.
    fn find(&self, hint: usize, metric: &Arc<Metric>) -> Option<usize> {
        let at_hint = self.series.get(hint);
        if at_hint.is_some_and(|series| Arc::ptr_eq(&series.metric, metric)) {
            return Some(hint);
        }
        let by_key = self.by_key.get_or_init(|| {
            self.series.iter().enumerate().map(|(place, series)| (series.metric.key(), place)).collect()
        });
        by_key.get(&metric.key()).copied()
    }
}
