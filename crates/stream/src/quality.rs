//! How good a picture a path can carry just now.
//!
//! A source that is slower to deliver than to capture should send less, not later. [`Controller`] is told how old
//! things are and how many wait, and says on which rung of a ladder of qualities to encode the next one. It goes down
//! fast and up slowly, and only after having been undisturbed for some time. A rung that proves too high soon after
//! it was tried is tried half as often the next time, so a path that carries one rung but not the next is not probed
//! without end; the doubling is that of binary exponential backoff (Metcalfe and Boggs, *Ethernet*, CACM 19(7),
//! 1976).

use std::time::Duration;

use nyx_core::Instant;
use thiserror::Error;

/// What a [`Controller`] goes by.
///
/// ```
/// use std::time::Duration;
/// use nyx_stream::quality::{Config, Controller};
///
/// let mut config = Config::default();
/// (config.ladder, config.age_max) = (vec![90, 70, 50], Duration::from_millis(250));
/// assert_eq!(Controller::new(config)?.quality(), 90);
/// # Ok::<(), nyx_stream::quality::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// Qualities, best first, each lower than the one before. Default 85, 75, 60, as of a JPEG encoder.
    pub ladder: Vec<u8>,
    /// Older than this is too old. Up to half of it all is well. Above zero; default 150 ms.
    pub age_max: Duration,
    /// More than this wait: too many. Up to half of it all is well. Default 2.
    pub depth_max: usize,
    /// How long it has to be too much before a step down, and between two of them. Above zero; default 200 ms.
    pub down_after: Duration,
    /// How long all has to be well before a step up, and between two of them. Not below `down_after`; default 3 s.
    pub up_after: Duration,
    /// To what steps up that fail extend that time. Not below `up_after`; default 60 s.
    pub up_after_max: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            ladder: vec![85, 75, 60],
            age_max: Duration::from_millis(150),
            depth_max: 2,
            down_after: Duration::from_millis(200),
            up_after: Duration::from_secs(3),
            up_after_max: Duration::from_secs(60),
        }
    }
}

/// Why there can be no such controller.
///
/// ```
/// use nyx_stream::quality::{Config, ConfigError, Controller};
///
/// let mut config = Config::default();
/// config.ladder = vec![60, 85];
/// assert_eq!(Controller::new(config).err(), Some(ConfigError::Unordered));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// There is nothing to choose from: name at least one quality.
    #[error("a ladder without rungs: name at least one quality")]
    NoRungs,
    /// A quality is not lower than the one before it: put the best first.
    #[error("a ladder out of order: each quality has to be lower than the one before it")]
    Unordered,
    /// Everything would be too old: allow some age.
    #[error("an age_max of zero: everything would be too old")]
    NoAge,
    /// It would change at every look: let some time pass.
    #[error("a time to wait of zero: the quality would change at every look")]
    NoWait,
    /// It would go up faster than down, or wait the shorter the more often it failed.
    #[error("times to wait out of order: down_after, up_after and up_after_max have to grow")]
    UnorderedWaits,
}

/// Chooses a quality.
///
/// Steps up are `up_after` apart at least, and a step down follows either one of them or another step down. So in any
/// time `w` there are at most 2 × (`w` / `up_after` + 1) changes and one less than there are rungs; and none at all
/// for as long as the load swings faster than `up_after` around what the lowest rung brings.
///
/// ```
/// use std::time::Duration;
/// use nyx_core::Instant;
/// use nyx_stream::quality::{Config, Controller};
///
/// let ms = Duration::from_millis;
/// let mut controller = Controller::new(Config::default())?;
/// let mut look = |at, age, depth| controller.update(Instant::ZERO + ms(at), ms(age), depth);
/// assert_eq!(look(0, 300, 0), 85); // too old, but perhaps it was a hiccup
/// assert_eq!(look(200, 300, 0), 75); // it was not
/// assert_eq!(look(300, 20, 0), 75);
/// assert_eq!(look(3_300, 20, 0), 85); // well for three seconds
/// # Ok::<(), nyx_stream::quality::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Controller {
    config: Config,
    rung: usize,
    /// What has been so, and since when.
    state: (Load, Instant),
    raised_at: Option<Instant>,
    /// How long all has to be well now before a step up.
    up_after: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Load {
    /// All is well.
    Light,
    Fair,
    Heavy,
}

impl Controller {
    /// On the highest rung.
    ///
    /// # Errors
    /// Where no sense can be made of the configuration.
    ///
    /// ```
    /// use nyx_stream::quality::{Config, Controller};
    ///
    /// let controller = Controller::new(Config::default())?;
    /// assert_eq!((controller.rung(), controller.quality()), (0, 85));
    /// # Ok::<(), nyx_stream::quality::ConfigError>(())
    /// ```
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        config.check()?;
        let up_after = config.up_after;
        Ok(Self { config, rung: 0, state: (Load::Fair, Instant::ZERO), raised_at: None, up_after })
    }

    /// Takes a look: how old what arrives is now, and how many wait. Returns the quality for the next one. O(1).
    ///
    /// A worse look never makes for a better quality than a better one would have.
    ///
    /// ```
    /// use std::time::Duration;
    /// use nyx_core::Instant;
    /// use nyx_stream::quality::{Config, Controller};
    ///
    /// let mut controller = Controller::new(Config::default())?;
    /// let ms = Duration::from_millis;
    /// assert_eq!(controller.update(Instant::ZERO, ms(20), 5), 85); // too many wait
    /// assert_eq!(controller.update(Instant::ZERO + ms(200), ms(20), 5), 75); // still
    /// # Ok::<(), nyx_stream::quality::ConfigError>(())
    /// ```
    pub fn update(&mut self, now: Instant, age: Duration, depth: usize) -> u8 {
        let load = self.config.load(age, depth);
        if load != self.state.0 {
            self.state = (load, now);
        }
        let lasted = now - self.state.1;
        match load {
            Load::Heavy if lasted >= self.config.down_after => self.step_down(now),
            Load::Light if lasted >= self.up_after => self.step_up(now),
            Load::Heavy | Load::Light | Load::Fair => {}
        }
        self.quality()
    }

    fn step_down(&mut self, now: Instant) {
        if self.rung + 1 == self.config.ladder.len() {
            return;
        }
        if let Some(raised_at) = self.raised_at.take() {
            let has_failed = now - raised_at < self.up_after;
            self.up_after = if has_failed {
                self.up_after.saturating_mul(2).min(self.config.up_after_max)
            } else {
                self.config.up_after
            };
        }
        self.rung += 1;
        self.state.1 = now;
    }

    fn step_up(&mut self, now: Instant) {
        if self.rung == 0 {
            return;
        }
        if self.raised_at.is_some() {
            // The last one held.
            self.up_after = self.config.up_after;
        }
        self.rung -= 1;
        self.raised_at = Some(now);
        self.state.1 = now;
    }

    /// The quality that was chosen last.
    pub fn quality(&self) -> u8 {
        // The ladder has at least one rung, and no step leaves it.
        self.config.ladder.get(self.rung).copied().unwrap_or_default()
    }

    /// Its place on the ladder, 0 for the best.
    pub const fn rung(&self) -> usize {
        self.rung
    }
}

impl Config {
    fn check(&self) -> Result<(), ConfigError> {
        let waits = [self.down_after, self.up_after, self.up_after_max];
        let checks = [
            (self.ladder.is_empty(), ConfigError::NoRungs),
            (!self.ladder.is_sorted_by(|better, worse| better > worse), ConfigError::Unordered),
            (self.age_max.is_zero(), ConfigError::NoAge),
            (self.down_after.is_zero(), ConfigError::NoWait),
            (!waits.is_sorted(), ConfigError::UnorderedWaits),
        ];
        checks.into_iter().find_map(|(is_wrong, error)| is_wrong.then_some(Err(error))).unwrap_or(Ok(()))
    }

    fn load(&self, age: Duration, depth: usize) -> Load {
        if age > self.age_max || depth > self.depth_max {
            Load::Heavy
        } else if age <= self.age_max / 2 && depth <= self.depth_max / 2 {
            Load::Light
        } else {
            Load::Fair
        }
    }
}
