//! Training itself, and whether it was worth it.

use thiserror::Error;
use zstd::dict::from_continuous;

use super::trainer::Config;
use super::{Dictionary, Name};
use crate::compress::{Compressor, Level, Method};

/// A training to be done. It owns all it needs: run it on another thread, in a pool, or in an idle moment.
#[derive(Debug)]
pub struct Job {
    pub(super) name: Name,
    pub(super) records: Vec<Box<[u8]>>,
    pub(super) config: Config,
    pub(super) current: Option<Dictionary>,
}

/// A dictionary that pays.
#[derive(Clone, Debug)]
pub struct Trained {
    /// It.
    pub dictionary: Dictionary,
    /// Records that it was judged by, on which it was not trained.
    pub judged_by: usize,
    /// Bytes that these take in the best of the other ways: stored, at level 3, or with the dictionary so far.
    pub without_bytes: usize,
    /// Bytes that they take with it.
    pub with_bytes: usize,
}

impl Job {
    /// Trains on three quarters of the sample, and compares on the rest. Takes about 30 ms for the default sample, and
    /// about 10 MiB of memory meanwhile.
    ///
    /// # Errors
    /// When nothing came of it, which is no fault: give that to [`Trainer::handle_untrained`](super::Trainer::handle_untrained).
    pub fn run(self) -> Result<Trained, TrainError> {
        let (held_out, trained_on) = self.records.split_at(self.records.len() / 4);
        let sizes: Vec<usize> = trained_on.iter().map(|record| record.len()).collect();
        let bytes_max = self.config.dictionary_bytes.min(Dictionary::BYTES_MAX);
        let content = from_continuous(&trained_on.concat(), &sizes, bytes_max)
            .map_err(|error| TrainError::Zstd(error.to_string()))?;
        let dictionary =
            Dictionary::new(self.name, &content).map_err(|error| TrainError::Zstd(error.to_string()))?;

        let mut compressor = Compressor::new();
        let mut bytes = |method: Method<'_>| -> usize {
            held_out.iter().map(|record| compressor.compress(record, method).len()).sum()
        };
        let with_bytes = bytes(Method::Dictionary(&dictionary));
        let alone = bytes(Method::Level(Level::DEFAULT));
        let current = self.current.as_ref().map(|current| bytes(Method::Dictionary(current)));
        let without_bytes = current.map_or(alone, |current| current.min(alone));
        let trained = Trained { dictionary, judged_by: held_out.len(), without_bytes, with_bytes };
        if trained.pays(&self.config) {
            Ok(trained)
        } else {
            Err(TrainError::NoUse { without_bytes, with_bytes })
        }
    }
}

impl Trained {
    fn pays(&self, config: &Config) -> bool {
        let saved = self.without_bytes.saturating_sub(self.with_bytes) as u64;
        let share = u64::from(config.saves_percent_min) * self.without_bytes as u64 / 100;
        let cost = self.dictionary.content().len() as u64 * self.judged_by as u64;
        saved > 0 && saved >= share && saved.saturating_mul(config.pays_within_records) >= cost
    }
}

/// Why a training came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The sample is not fit to train on, as zstd says. Nothing is to be done; other records may be.
    #[error("no dictionary could be trained: {0}")]
    Zstd(String),
    /// The records it was judged by don't get enough smaller. Nothing is to be done.
    #[error("a dictionary would not pay: {with_bytes} bytes instead of {without_bytes}")]
    NoUse {
        /// Bytes of the records that it was judged by, in the best other way.
        without_bytes: usize,
        /// The same with the dictionary.
        with_bytes: usize,
    },
}
