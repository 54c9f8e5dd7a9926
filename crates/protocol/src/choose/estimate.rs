//! What a candidate does to items, learnt from what it did.

use nyx_core::Instant;

/// What is usual for a candidate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Prior {
    pub(super) ratio: f64,
    pub(super) nanos: f64,
    pub(super) nanos_per_byte: f64,
}

/// What one item would cost.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cost {
    pub(super) bytes: f64,
    pub(super) cpu_nanos: f64,
}

/// Bytes and CPU as lines over the size of the item: exponentially weighted moments, and regression through them.
///
/// Where sizes hardly differ there is no slope to be seen. Then bytes are in proportion to the size, and CPU has the usual slope: both as a
/// ridge towards that line.
#[derive(Debug)]
pub(super) struct Estimate {
    prior: Prior,
    measured: u32,
    last: Instant,
    surprise: Surprise,
    was_long: bool,
    size: f64,
    size_square: f64,
    bytes: Line,
    cpu: Line,
}

/// A quantity over the size.
#[derive(Debug, Default)]
struct Line {
    mean: f64,
    product: f64,
    slope: f64,
    /// Half of what a byte takes on average: far below what was measured a line may run anywhere, but not under that.
    per_byte_min: f64,
}

impl Estimate {
    pub(super) fn new(prior: Prior) -> Self {
        Self {
            prior,
            measured: 0,
            last: Instant::ZERO,
            surprise: Surprise::None,
            was_long: false,
            size: 0.0,
            size_square: 0.0,
            bytes: Line::default(),
            cpu: Line::default(),
        }
    }

    pub(super) const fn is_measured(&self) -> bool {
        self.measured > 0
    }

    /// The least CPU that can be hoped for: one measurement proves nothing, and many may be half wrong.
    pub(super) fn cpu_nanos_hoped(&self, size: usize) -> f64 {
        if self.measured < 2 { 0.0 } else { self.predict(size).cpu_nanos / 2.0 }
    }

    pub(super) const fn last(&self) -> Instant {
        self.last
    }

    /// Back to what is usual.
    pub(super) fn forget(&mut self) {
        self.measured = 0;
    }

    /// For an item of `size` bytes.
    pub(super) fn predict(&self, size: usize) -> Cost {
        let size = size as f64;
        if self.measured == 0 {
            let cpu_nanos = self.prior.nanos + self.prior.nanos_per_byte * size;
            return Cost { bytes: self.prior.ratio * size, cpu_nanos };
        }
        Cost { bytes: self.at(&self.bytes, size), cpu_nanos: self.at(&self.cpu, size) }
    }

    fn at(&self, line: &Line, size: f64) -> f64 {
        let predicted = line.mean + line.slope * (size - self.size);
        predicted.max(size.min(self.size) * line.per_byte_min)
    }

    /// An item of `size` bytes did cost this, and counts for `weight_min` at least. Returns whether its content is found to be
    /// another than before.
    pub(super) fn observe(&mut self, now: Instant, size: usize, cost: Cost, weight_min: f64) -> bool {
        let has_changed = self.has_changed(size, cost.bytes);
        if has_changed {
            // What was learnt counts little.
            self.measured = 1;
        }
        let cpu_nanos = self.plausible(size, cost.cpu_nanos);
        self.measured = (self.measured + 1).min(MEMORY);
        let weight = (1.0 / f64::from(self.measured)).max(weight_min);
        let size = size as f64;
        let blend = |old: &mut f64, new: f64| *old += (new - *old) * weight;
        blend(&mut self.size, size);
        blend(&mut self.size_square, size * size);
        blend(&mut self.bytes.mean, cost.bytes);
        blend(&mut self.bytes.product, cost.bytes * size);
        blend(&mut self.cpu.mean, cpu_nanos);
        blend(&mut self.cpu.product, cpu_nanos * size);
        let square = self.size * self.size;
        let variance = (self.size_square - square).max(0.0);
        self.bytes.fit(self.size, variance, f64::INFINITY);
        self.cpu.fit(self.size, variance, self.prior.nanos_per_byte);
        self.last = now;
        has_changed
    }

    /// Whether this is the second item in a row that is far off in the same direction. A single one, such as a burst, is not another content.
    fn has_changed(&mut self, size: usize, bytes: f64) -> bool {
        if self.measured == 0 {
            return false;
        }
        let expected = self.predict(size).bytes;
        let surprise = match (bytes > expected * SURPRISE, bytes * SURPRISE < expected) {
            (true, _) => Surprise::More,
            (_, true) => Surprise::Less,
            _ => Surprise::None,
        };
        let is_second = surprise != Surprise::None && surprise == self.surprise;
        self.surprise = if is_second { Surprise::None } else { surprise };
        is_second
    }

    /// The part of a measured time that is the candidate's. What the scheduler takes away in the middle of one item is not, so a long time
    /// counts in part, and for more when the one before was long as well. Nothing makes an item take less than it does, so a short time after long ones, of a
    /// cold cache or a stolen slice, counts for them as well.
    fn plausible(&mut self, size: usize, cpu_nanos: f64) -> f64 {
        if self.measured == 0 {
            return cpu_nanos;
        }
        let expected = self.predict(size).cpu_nanos;
        if cpu_nanos * SURPRISE < expected {
            let factor = cpu_nanos / expected;
            self.cpu.mean *= factor;
            self.cpu.product *= factor;
            self.cpu.slope *= factor;
            self.cpu.per_byte_min *= factor;
        }
        let was_long = std::mem::replace(&mut self.was_long, cpu_nanos > expected * SURPRISE);
        let most = if was_long { AGAIN } else { OUTLIER };
        cpu_nanos.min(expected * most + OUTLIER_FLOOR)
    }
}

impl Line {
    /// `slope` is what is supposed where sizes tell nothing, if that is less than proportion.
    fn fit(&mut self, size: f64, variance: f64, slope: f64) {
        let per_byte = self.mean / size.max(1.0);
        let ridge = RIDGE * size * size;
        let covariance = self.product - size * self.mean;
        let spread = variance + ridge;
        self.slope = if spread > 0.0 { (covariance + ridge * slope.min(per_byte)) / spread } else { 0.0 };
        self.per_byte_min = per_byte / 2.0;
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Surprise {
    None,
    More,
    Less,
}

/// How many items an estimate remembers, about: enough to be steady, few enough to follow.
const MEMORY: u32 = 16;

/// The part of the mean size, squared, that the variance of sizes is compared with: 5 %.
const RIDGE: f64 = 0.05 * 0.05;

/// A measured time counts as no more than so many times the expected, the first time and again, and 20 ns for what clocks can't tell.
const OUTLIER: f64 = 1.25;
const AGAIN: f64 = 4.0;
const OUTLIER_FLOOR: f64 = 20.0;

/// Twice or half of what is expected is more than chance.
const SURPRISE: f64 = 2.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn estimate() -> Estimate {
        Estimate::new(Prior { ratio: 0.5, nanos: 1.0, nanos_per_byte: 1.0 })
    }

    #[test]
    fn follows_a_line_over_sizes() {
        let mut estimate = estimate();
        for n in 0..100 {
            let size = 100 + n % 10 * 50;
            let cost = Cost { bytes: 20.0 + size as f64 * 0.3, cpu_nanos: 3000.0 + size as f64 * 2.0 };
            estimate.observe(Instant::ZERO, size, cost, 0.0);
        }
        let cost = estimate.predict(400);
        assert!((cost.bytes - 140.0).abs() < 10.0, "{cost:?}");
        assert!((cost.cpu_nanos - 3800.0).abs() < 150.0, "{cost:?}");
    }

    #[test]
    fn is_in_proportion_where_sizes_do_not_differ() {
        let mut estimate = estimate();
        for _ in 0..20 {
            estimate.observe(Instant::ZERO, 1000, Cost { bytes: 300.0, cpu_nanos: 2000.0 }, 0.0);
        }
        assert!((estimate.predict(2000).bytes - 600.0).abs() < 1.0);
        assert!(estimate.predict(0).bytes >= 0.0);
    }

    #[test]
    fn one_outlier_in_time_moves_it_little_and_other_content_moves_it_with_the_second_item() {
        let mut estimate = estimate();
        for _ in 0..20 {
            estimate.observe(Instant::ZERO, 1000, Cost { bytes: 100.0, cpu_nanos: 5000.0 }, 0.0);
        }
        estimate.observe(Instant::ZERO, 1000, Cost { bytes: 100.0, cpu_nanos: 10_000_000.0 }, 0.0);
        assert!(estimate.predict(1000).cpu_nanos < 7000.0);
        for expected in [false, true, false] {
            let cost = Cost { bytes: 1000.0, cpu_nanos: 5000.0 };
            assert_eq!(estimate.observe(Instant::ZERO, 1000, cost, 0.0), expected);
        }
        assert!(estimate.predict(1000).bytes > 700.0);
    }
}
