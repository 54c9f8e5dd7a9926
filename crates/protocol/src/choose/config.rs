//! What a chooser may spend.

use std::time::Duration;

use thiserror::Error;

/// What a chooser may spend, and how eager it is.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// The share of one core that encoding may take, trials included. Default 0.2. When it is used up, items go plainly.
    pub cpu_share: f64,
    /// CPU that may be spent at once after a pause. Default 20 ms.
    pub cpu_burst: Duration,
    /// What trials may take, as a share of the time that delivery takes. Default 0.01.
    pub trial_share: f64,
    /// By how much another candidate has to be better, as a share of the time. Default 0.02. Less makes the choice restless.
    pub margin: f64,
    /// What a link is taken to drain while that is not known, in bytes per second. Default 125 MB/s.
    pub drain_assumed: u64,
    /// How long the measurement of a candidate that gathers batches counts. Default 30 s. Trials can't measure these.
    pub batch_forget: Duration,
    /// Decisions that the log keeps. Default 64.
    pub log_entries: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            cpu_share: 0.2,
            cpu_burst: Duration::from_millis(20),
            trial_share: 0.01,
            margin: 0.02,
            drain_assumed: 125_000_000,
            batch_forget: Duration::from_secs(30),
            log_entries: 64,
        }
    }
}

/// Why there is no chooser. The caller erred.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The first candidate is not [`Candidate::PLAIN`](super::Candidate::PLAIN), which is what remains when nothing else is possible.
    #[error("the first candidate has to be the plain one")]
    NoPlain,
    /// Choices are made in time linear in the candidates, and offers name them by bits.
    #[error("{0} candidates are too many: give at most {CANDIDATES_MAX}")]
    TooMany(usize),
    /// A share is not between 0 and 1.
    #[error("{0} has to be between 0 and 1")]
    Share(&'static str),
}

/// The most candidates of a chooser.
pub(super) const CANDIDATES_MAX: usize = 32;

impl Config {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let shares =
            [("cpu_share", self.cpu_share), ("trial_share", self.trial_share), ("margin", self.margin)];
        let wrong = shares.into_iter().find(|(_, share)| !(0.0..=1.0).contains(share));
        wrong.map_or(Ok(()), |(name, _)| Err(ConfigError::Share(name)))
    }
}
