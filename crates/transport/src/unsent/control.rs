//! How many bytes may wait unsent, decided by how fast they leave.
//!
//! A rate sample is what the kernel sent between two moments at which it took no more, provided that the writer did not pause in
//! between: a pause of the writer says nothing of the path. BBR marks its samples so too, as application-limited
//! (draft-cheng-iccrg-delivery-rate-estimation, section 3.3).

use std::time::Duration;

use nyx_core::Instant;

/// Bounds of a [`Control`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// For how long the unsent bytes should last. Default 10 ms: the kernel wakes the writer when half of them are left, and a task of a busy
    /// machine is scheduled within some milliseconds. More delivers older things; less lets the path run dry.
    pub lasts: Duration,
    /// The least that may wait. Default 4 KiB: less than some packets costs a wake-up for each.
    pub bytes_min: u32,
    /// The most that may wait, which counts where it is less than `bytes_min`. Default 16 KiB: with that a link of 50 MB/s and loopback are as busy
    /// as with more, and what waits is younger (`cargo xtask bench unsent`). More is for writers whose turn comes late.
    pub bytes_max: u32,
    /// The target until a rate is known. Default 16 KiB.
    pub bytes_initial: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            lasts: Duration::from_millis(10),
            bytes_min: 4 * 1024,
            bytes_max: 16 * 1024,
            bytes_initial: 16 * 1024,
        }
    }
}

/// Learns how fast a connection drains, and says how many bytes may wait unsent.
///
/// ```
/// use std::time::Duration;
/// use nyx_core::Instant;
/// use nyx_transport::unsent::{Config, Control};
///
/// let mut control = Control::new(Config::default());
/// assert_eq!(control.target(), 16 * 1024);
/// // The kernel takes no more, and 16 KiB wait. Until it takes no more again, 50 ms later, it has sent 25 kB of which all are replaced.
/// let mut now = Instant::ZERO;
/// assert!(control.wants_sample(now));
/// assert_eq!(control.handle_blocked(now, 16_384), None);
/// now = now + Duration::from_millis(50);
/// control.handle_written(now, 25_000);
/// assert!(control.wants_sample(now));
/// // At 500 kB/s, 10 ms are 5 kB.
/// assert_eq!(control.handle_blocked(now, 16_384), Some(5_000));
/// ```
#[derive(Clone, Debug)]
pub struct Control {
    config: Config,
    target: u32,
    /// When the target last changed.
    changed: Option<Instant>,
    bytes_per_second: Option<f64>,
    /// When the kernel's queue was last looked at.
    sampled: Option<Instant>,
    span: Option<Span>,
}

/// Since the kernel took no more, and the writer has not paused.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: Instant,
    /// What waited then.
    unsent: u64,
    /// What the kernel took since.
    written: u64,
    /// When it last took something, if it has not refused since.
    took: Option<Instant>,
}

impl Control {
    /// One that knows nothing of its path.
    pub fn new(config: Config) -> Self {
        let mut control =
            Self { config, target: 0, changed: None, bytes_per_second: None, sampled: None, span: None };
        control.target = control.bounded(f64::from(config.bytes_initial));
        control
    }

    /// How many bytes may wait.
    pub const fn target(&self) -> u32 {
        self.target
    }

    /// How fast the kernel's bytes leave, per second. `None` until that could be measured.
    pub fn bytes_per_second(&self) -> Option<u64> {
        self.bytes_per_second.map(|rate| rate as u64)
    }

    /// Whether [`handle_written`](Self::handle_written) has to be told. Where a connection is never full, or not for long, no clock need be
    /// read.
    pub const fn is_measuring(&self) -> bool {
        self.span.is_some()
    }

    /// The kernel took `bytes`.
    pub fn handle_written(&mut self, now: Instant, bytes: u64) {
        let Some(span) = &mut self.span else { return };
        if span.took.is_some_and(|took| now.since(took) > PAUSE) {
            self.span = None;
            return;
        }
        span.written += bytes;
        span.took = Some(now);
    }

    /// The kernel takes no more. Whether it is worth while to ask it what it has not sent, for [`handle_blocked`](Self::handle_blocked).
    pub fn wants_sample(&mut self, now: Instant) -> bool {
        let Some(span) = &mut self.span else {
            return self.sampled.is_none_or(|at| now < at || now.since(at) >= SPAN_MIN);
        };
        span.took = None;
        let elapsed = now.since(span.start);
        now < span.start || elapsed >= SPAN || (elapsed >= SPAN_MIN && span.written >= ENOUGH)
    }

    /// The kernel takes no more, and has not sent `unsent` bytes. Returns the new target, if it changes.
    pub fn handle_blocked(&mut self, now: Instant, unsent: u64) -> Option<u32> {
        self.sampled = Some(now);
        let next = Span { start: now, unsent, written: 0, took: None };
        let span = self.span.replace(next)?;
        let seconds = now.since(span.start).as_secs_f64();
        if seconds == 0.0 {
            return None;
        }
        let sent = (span.unsent + span.written).saturating_sub(unsent);
        let sample = sent as f64 / seconds;
        let rate = self.bytes_per_second.map_or(sample, |rate| rate + (sample - rate) * GAIN);
        self.bytes_per_second = Some(rate);
        self.retarget(now, rate)
    }

    fn retarget(&mut self, now: Instant, rate: f64) -> Option<u32> {
        let wanted = self.bounded(rate * self.config.lasts.as_secs_f64());
        let rested = self.changed.is_none_or(|at| now < at || now.since(at) >= REST);
        let ratio = f64::from(wanted) / f64::from(self.target.max(1));
        if !rested || (1.0 / STEP..STEP).contains(&ratio) {
            return None;
        }
        (self.target, self.changed) = (wanted, Some(now));
        Some(wanted)
    }

    fn bounded(&self, bytes: f64) -> u32 {
        let Config { bytes_min, bytes_max, .. } = self.config;
        // A float that is too large becomes the largest integer.
        (bytes as u32).max(bytes_min).min(bytes_max)
    }
}

/// A writer that hands out nothing for so long after the kernel took all it was given has paused. It writes again at once otherwise,
/// which takes microseconds.
const PAUSE: Duration = Duration::from_millis(1);

/// How long a sample takes. Packets leave in clumps, one for each acknowledgement; so many acknowledgements come in this time that the clumps
/// do not show.
const SPAN: Duration = Duration::from_millis(50);

/// A sample may be shorter, if it has enough bytes.
const SPAN_MIN: Duration = Duration::from_millis(5);

/// Bytes that make a sample early: a whole segment of the largest sort, as they are on loopback or with segmentation offload.
const ENOUGH: u64 = 64 * 1024;

/// How much of the difference a sample makes up for: a path that becomes ten times slower is known within 0.3 s.
const GAIN: f64 = 0.5;

/// By how much a target has to change to be set. Noise is less.
const STEP: f64 = 1.25;

/// How long a target stays at least, so that the kernel is told five times a second at most.
const REST: Duration = Duration::from_millis(200);
