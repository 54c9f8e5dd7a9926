//! What a metric is called, and what may go wrong when it is registered.

use thiserror::Error;

/// What a metric is called and what it means: name, help, unit, and labels that never change.
///
/// The name is without prefix, unit and `_total`; those that write a page add them. It is checked when the metric is registered.
///
/// ```
/// use nyx_stream::metrics::{Metric, Unit};
///
/// let received = Metric::new("received", "Bytes from peers").with_unit(Unit::Bytes).with_label("transport", "tcp");
/// assert_eq!((received.name(), received.help()), ("received", "Bytes from peers"));
/// assert_eq!((received.unit(), received.labels().len()), (Unit::Bytes, 1));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metric {
    name: String,
    help: String,
    unit: Unit,
    labels: Vec<(String, String)>,
}

/// What a metric counts, as it is recorded.
///
/// ```
/// use nyx_stream::metrics::Unit;
///
/// assert_eq!((Unit::Micros.name(), Unit::Micros.per_base()), ("seconds", 1_000_000));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unit {
    /// Things that have no unit.
    #[default]
    None,
    /// Bytes.
    Bytes,
    /// Time in seconds.
    Seconds,
    /// Time in milliseconds.
    Millis,
    /// Time in microseconds.
    Micros,
    /// Time in nanoseconds.
    Nanos,
}

impl Unit {
    /// The base unit in which it is shown; empty if there is none.
    ///
    /// ```
    /// assert_eq!(nyx_stream::metrics::Unit::Nanos.name(), "seconds");
    /// ```
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Bytes => "bytes",
            Self::Seconds | Self::Millis | Self::Micros | Self::Nanos => "seconds",
        }
    }

    /// How many of it make one of the base unit.
    ///
    /// ```
    /// assert_eq!(nyx_stream::metrics::Unit::Millis.per_base(), 1000);
    /// ```
    pub const fn per_base(self) -> u64 {
        match self {
            Self::None | Self::Bytes | Self::Seconds => 1,
            Self::Millis => 1_000,
            Self::Micros => 1_000_000,
            Self::Nanos => 1_000_000_000,
        }
    }
}

/// Why a metric can't be registered. The program erred, not its input.
///
/// ```
/// use nyx_stream::metrics::{Metric, RegisterError, Registry};
///
/// let refused = Registry::new().counter(Metric::new("sent_total", "Items sent"));
/// assert_eq!(refused.unwrap_err(), RegisterError::BadName("sent_total".to_owned()));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// The name would not be read by Prometheus, or a writer adds what it ends in.
    #[error(
        "`{0}` is no name of a metric: use letters, digits and `_`, no digit first, and no `_total` at the end"
    )]
    BadName(String),
    /// A label's name would not be read by Prometheus, is reserved, or is there twice.
    #[error(
        "`{label}` is no label for `{metric}`: use letters, digits and `_`, no digit or `__` first, each name once, and not `le`"
    )]
    BadLabel {
        /// The metric's name.
        metric: String,
        /// The label's name.
        label: String,
    },
    /// There is a series of this name with these labels, or a family of this name.
    #[error("`{0}` is there already with these labels: clone the handle that was registered, or add a label")]
    Duplicate(String),
    /// The name stands for something else.
    #[error("`{0}` is there already as something else: kind, help and unit of a name must be the same")]
    Mismatch(String),
}

impl Metric {
    /// A metric without unit and labels.
    ///
    /// ```
    /// assert!(nyx_stream::metrics::Metric::new("frames", "Frames sent").labels().is_empty());
    /// ```
    pub fn new(name: impl Into<String>, help: impl Into<String>) -> Self {
        Self { name: name.into(), help: help.into(), unit: Unit::None, labels: Vec::new() }
    }

    /// The same, recorded in `unit`.
    ///
    /// ```
    /// # use nyx_stream::metrics::{Metric, Unit};
    /// assert_eq!(Metric::new("age", "Age").with_unit(Unit::Micros).unit(), Unit::Micros);
    /// ```
    #[must_use]
    pub fn with_unit(mut self, unit: Unit) -> Self {
        self.unit = unit;
        self
    }

    /// The same, with one more label.
    ///
    /// ```
    /// # use nyx_stream::metrics::Metric;
    /// let refused = Metric::new("refused", "Refusals").with_label("code", "limit");
    /// assert_eq!(refused.labels(), [("code".to_owned(), "limit".to_owned())]);
    /// ```
    #[must_use]
    pub fn with_label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let label = (name.into(), value.into());
        // Sorted, so that the order in which they are given makes no other series.
        let place = self.labels.partition_point(|present| *present < label);
        self.labels.insert(place, label);
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it means, for people.
    pub fn help(&self) -> &str {
        &self.help
    }

    /// In what it is recorded.
    pub const fn unit(&self) -> Unit {
        self.unit
    }

    /// Its labels and their values, by name.
    pub fn labels(&self) -> &[(String, String)] {
        &self.labels
    }

    /// Whether it may have this name, and labels of these names beside its own.
    pub(super) fn check(&self, more_labels: &[&str]) -> Result<(), RegisterError> {
        if !is_name(&self.name) || self.name.ends_with("_total") {
            return Err(RegisterError::BadName(self.name.clone()));
        }
        let mut names: Vec<&str> = self.labels.iter().map(|(name, _)| name.as_str()).collect();
        names.extend(more_labels);
        names.sort_unstable();
        let bad = |name: &str| !is_name(name) || name.starts_with("__") || name == "le";
        let twice = names.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0]);
        match names.iter().copied().find(|name| bad(name)).or(twice) {
            Some(label) => {
                Err(RegisterError::BadLabel { metric: self.name.clone(), label: label.to_owned() })
            }
            None => Ok(()),
        }
    }

    pub(super) fn key(&self) -> (&str, &[(String, String)]) {
        (&self.name, &self.labels)
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}
