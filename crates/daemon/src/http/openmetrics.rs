//! Metrics as text: OpenMetrics 1.0, which Prometheus reads.

use std::collections::HashMap;
use std::fmt::{Display, Write as _};

use nyx_stream::metrics::{Distribution, Snapshot, Unit, Value};

pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All names begin with this.
const PREFIX: &str = "nyx";

/// Bounds of the buckets that are shown, as powers of two of what is recorded: 64 µs to 34 s, or 64 bytes to 32 MiB.
const BOUNDS: std::ops::RangeInclusive<u32> = 6..=25;

/// A page that is being written. Writing to a string can't fail, so results of writing are not looked at.
#[derive(Default)]
pub(super) struct Page(String);

/// What the series of a family are.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// The family that is being written.
pub(super) struct Family<'a> {
    text: &'a mut String,
    name: String,
    unit: Unit,
}

impl Page {
    /// Begins a family. Its unit is added to its name.
    pub(super) fn family(&mut self, kind: Kind, name: &str, unit: Unit, help: &str) -> Family<'_> {
        let text = &mut self.0;
        let separator = if unit.name().is_empty() { "" } else { "_" };
        let name = format!("{PREFIX}_{name}{separator}{}", unit.name());
        let _ = writeln!(text, "# HELP {name} {}.", Escaped(help));
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let _ = writeln!(text, "# TYPE {name} {kind}");
        if !unit.name().is_empty() {
            let _ = writeln!(text, "# UNIT {name} {}", unit.name());
        }
        Family { text, name, unit }
    }

    /// Writes all series of a snapshot, those of one name together.
    pub(super) fn snapshot(&mut self, snapshot: &Snapshot) {
        let mut first = HashMap::new();
        let mut samples: Vec<_> = snapshot.iter().collect();
        for (place, sample) in samples.iter().enumerate() {
            first.entry(sample.metric.name()).or_insert(place);
        }
        samples.sort_by_key(|sample| first.get(sample.metric.name()).copied());
        for samples in samples.chunk_by(|one, next| one.metric.name() == next.metric.name()) {
            let metric = samples[0].metric;
            let kind = match samples[0].value {
                Value::Counter(_) => Kind::Counter,
                Value::Gauge(_) => Kind::Gauge,
                Value::Histogram(_) => Kind::Histogram,
            };
            let mut family = self.family(kind, metric.name(), metric.unit(), metric.help());
            for sample in samples {
                let labels = sample.metric.labels().iter();
                let labels: Vec<_> = labels.map(|(name, value)| (name.as_str(), value.as_str())).collect();
                match sample.value {
                    Value::Counter(total) => family.counter(&labels, total),
                    Value::Gauge(value) => family.gauge(&labels, value),
                    Value::Histogram(distribution) => family.histogram(&labels, &distribution),
                }
            }
        }
    }

    /// The whole page.
    pub(super) fn finish(mut self) -> String {
        self.0.push_str("# EOF\n");
        self.0
    }
}

impl Family<'_> {
    pub(super) fn counter(&mut self, labels: &[(&str, &str)], total: u64) {
        match self.unit.per_base() {
            1 => self.sample("_total", labels, None, total),
            _ => self.sample("_total", labels, None, format_args!("{:?}", self.in_base(total))),
        }
    }

    /// A gauge that is in the base unit already.
    pub(super) fn gauge(&mut self, labels: &[(&str, &str)], value: f64) {
        self.sample("", labels, None, format_args!("{value:?}"));
    }

    /// Each bucket counts what is below its bound. That is what Prometheus means: what is recorded is cut to whole numbers, so a
    /// value of 64 stands for all that is under 65.
    fn histogram(&mut self, labels: &[(&str, &str)], distribution: &Distribution<'_>) {
        for power in BOUNDS {
            let bound = 1 << power;
            let below = self.in_base(bound);
            self.sample("_bucket", labels, Some(below), distribution.count_below(bound));
        }
        self.sample("_bucket", labels, Some(f64::INFINITY), distribution.count());
        self.sample("_count", labels, None, distribution.count());
        self.sample("_sum", labels, None, format_args!("{:?}", self.in_base(distribution.sum())));
    }

    fn in_base(&self, recorded: u64) -> f64 {
        recorded as f64 / self.unit.per_base() as f64
    }

    fn sample(&mut self, suffix: &str, labels: &[(&str, &str)], below: Option<f64>, value: impl Display) {
        let Self { text, name, .. } = self;
        let _ = write!(text, "{name}{suffix}");
        let mut opening = '{';
        for (label, value) in labels {
            let _ = write!(text, "{opening}{label}=\"{}\"", Escaped(value));
            opening = ',';
        }
        if let Some(below) = below {
            let infinite = below.is_infinite();
            let _ = if infinite {
                write!(text, "{opening}le=\"+Inf\"")
            } else {
                write!(text, "{opening}le=\"{below:?}\"")
            };
            opening = ',';
        }
        let closing = if opening == '{' { "" } else { "}" };
        let _ = writeln!(text, "{closing} {value}");
    }
}

/// Text that ends where it should, whoever chose it.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut rest = self.0;
        while let Some(at) = rest.find(['\\', '"', '\n']) {
            let (plain, special) = rest.split_at(at);
            let escaped = if special.starts_with('\n') { "\\n" } else { &special[..1] };
            let backslash = if special.starts_with('\n') { "" } else { "\\" };
            write!(f, "{plain}{backslash}{escaped}")?;
            rest = &special[1..];
        }
        f.write_str(rest)
    }
}

#[cfg(test)]
mod tests {
    use nyx_core::Instant;
    use nyx_stream::metrics::{Metric, Registry};

    use super::*;

    #[test]
    fn series_of_a_name_stand_together_under_its_help_and_unit() {
        let registry = Registry::new();
        let received = |transport: &str| {
            Metric::new("received", "Bytes from peers")
                .with_unit(Unit::Bytes)
                .with_label("transport", transport)
        };
        registry.counter(received("tcp")).unwrap().add(7);
        registry.gauge(Metric::new("load", "Work that waits")).unwrap().set(0.5);
        registry.counter(received("a \"b\\\n")).unwrap();
        let mut page = Page::default();
        page.snapshot(&registry.snapshot(Instant::ZERO));
        let expected = r#"# HELP nyx_received_bytes Bytes from peers.
# TYPE nyx_received_bytes counter
# UNIT nyx_received_bytes bytes
nyx_received_bytes_total{transport="tcp"} 7
nyx_received_bytes_total{transport="a \"b\\\n"} 0
# HELP nyx_load Work that waits.
# TYPE nyx_load gauge
nyx_load 0.5
# EOF
"#;
        assert_eq!(page.finish(), expected);
    }

    #[test]
    fn a_histogram_counts_what_is_below_each_bound() {
        let registry = Registry::new();
        let age = Metric::new("age", "Age at delivery").with_unit(Unit::Micros).with_label("lane", "high");
        let ages = registry.histogram(age).unwrap();
        for age in [1, 63, 64, 1000, 40_000_000] {
            ages.record(age);
        }
        let mut page = Page::default();
        page.snapshot(&registry.snapshot(Instant::ZERO));
        let text = page.finish();
        for line in [
            "# TYPE nyx_age_seconds histogram\n# UNIT nyx_age_seconds seconds\n",
            "nyx_age_seconds_bucket{lane=\"high\",le=\"6.4e-5\"} 2\n",
            "nyx_age_seconds_bucket{lane=\"high\",le=\"0.000128\"} 3\n",
            "nyx_age_seconds_bucket{lane=\"high\",le=\"0.001024\"} 4\n",
            "nyx_age_seconds_bucket{lane=\"high\",le=\"33.554432\"} 4\n",
            "nyx_age_seconds_bucket{lane=\"high\",le=\"+Inf\"} 5\n",
            "nyx_age_seconds_count{lane=\"high\"} 5\n",
            "nyx_age_seconds_sum{lane=\"high\"} 40.001128\n",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }
}
