//! A budget that fills as something goes on, up to a bound. All in nanoseconds.

/// May be overdrawn by one spending, which then has to be made good.
#[derive(Debug)]
pub(super) struct Bucket {
    level: f64,
    share: f64,
    burst: f64,
}

impl Bucket {
    pub(super) const fn new(level: f64, share: f64, burst: f64) -> Self {
        Self { level, share, burst }
    }

    /// So much time went by, or was needed: a share of it may be spent.
    pub(super) fn fill(&mut self, nanos: f64) {
        self.level = (self.level + nanos * self.share).min(self.burst);
    }

    pub(super) fn spend(&mut self, nanos: f64) {
        self.level -= nanos;
    }

    pub(super) fn is_open(&self) -> bool {
        self.level >= 0.0
    }

    pub(super) fn covers(&self, nanos: f64) -> bool {
        self.level >= nanos
    }
}
