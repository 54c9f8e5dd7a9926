//! When to train, and on what.

use super::job::{Job, Trained};
use super::sample::Sample;
use super::{Dictionary, Name};

/// What a trainer may spend, and when it thinks that a dictionary pays.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// Bytes of the dictionary. Default 8 KiB, at most [`Dictionary::BYTES_MAX`]. Each session is sent so much once.
    pub dictionary_bytes: usize,
    /// Bytes of records that are kept to train on. Default 256 KiB: training takes time and memory in proportion.
    pub sample_bytes: usize,
    /// Records that are kept to train on. Default 1,024.
    pub sample_records: usize,
    /// Records longer than this are passed over: they hold enough to compress well alone. Default 4 KiB.
    pub record_bytes_max: usize,
    /// Records observed before the first training, and between one and the next. Default 2,000. Doubles
    /// whenever a training was of no use.
    pub records_between: u64,
    /// What the dictionary must save of the bytes that the best encoding without it needs, in percent. Default 10.
    pub saves_percent_min: u32,
    /// Records within which it must have saved its own length. Default 2,000.
    pub pays_within_records: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            dictionary_bytes: 8 * 1024,
            sample_bytes: 256 * 1024,
            sample_records: 1024,
            record_bytes_max: 4096,
            records_between: 2_000,
            saves_percent_min: 10,
            pays_within_records: 2_000,
        }
    }
}

/// Collects a fair sample of a topic's records, and says when to train a dictionary on it.
///
/// [`observe`](Self::observe) belongs on the hot path: it copies a record only when that enters the sample, which soon is seldom. Holds
/// [`Config::sample_bytes`] at most. An example stands at the [module](super).
#[derive(Debug)]
pub struct Trainer {
    id: u32,
    /// Of the next dictionary.
    version: u32,
    config: Config,
    sample: Sample,
    records_between: u64,
    current: Option<Dictionary>,
    /// A job is out: the next one waits for what becomes of it.
    is_training: bool,
}

impl Trainer {
    /// A trainer of dictionaries with this id, from version 1 on.
    pub fn new(id: u32, config: Config) -> Self {
        let records_between = config.records_between.max(1);
        let sample = new_sample(id, 1, &config);
        Self { id, version: 1, config, sample, records_between, current: None, is_training: false }
    }

    /// A record was published.
    pub fn observe(&mut self, record: &[u8]) {
        if !record.is_empty() && record.len() <= self.config.record_bytes_max {
            self.sample.observe(record);
        }
    }

    /// Whether [`job`](Self::job) would yield one.
    pub fn is_ready(&self) -> bool {
        !self.is_training
            && self.sample.seen() >= self.records_between
            && self.sample.len() >= SAMPLES_MIN
            && self.sample.bytes() >= SAMPLE_BYTES_MIN
    }

    /// The training to be done now, if it is time for one. It takes the sample along; a new one begins.
    pub fn job(&mut self) -> Option<Job> {
        if !self.is_ready() {
            return None;
        }
        self.is_training = true;
        let fresh = new_sample(self.id, self.version + 1, &self.config);
        let records = std::mem::replace(&mut self.sample, fresh).into_shuffled();
        let name = Name { id: self.id, version: self.version };
        Some(Job { name, records, config: self.config.clone(), current: self.current.clone() })
    }

    /// A job came to a good end: what it trained is compared with from now on.
    pub fn handle_trained(&mut self, trained: &Trained) {
        self.is_training = false;
        self.current = Some(trained.dictionary.clone());
        self.version = self.version.wrapping_add(1).max(1);
        self.records_between = self.config.records_between.max(1);
    }

    /// A job came to nothing, or was dropped: the next waits twice as long.
    pub fn handle_untrained(&mut self) {
        self.is_training = false;
        self.records_between =
            (self.records_between * 2).min(RECORDS_BETWEEN_MAX.max(self.config.records_between));
    }
}

fn new_sample(id: u32, version: u32, config: &Config) -> Sample {
    let seed = u64::from(id) << 32 | u64::from(version);
    Sample::new(config.sample_records, config.sample_bytes, seed)
}

/// Fewer records say too little about those to come; zstd itself asks for 7 at least.
const SAMPLES_MIN: usize = 64;

/// Less than this can't fill a dictionary that is worth sending.
const SAMPLE_BYTES_MIN: usize = 4 * 1024;

/// A topic that changes its ways is noticed after so many records at the latest.
const RECORDS_BETWEEN_MAX: u64 = 1 << 20;
