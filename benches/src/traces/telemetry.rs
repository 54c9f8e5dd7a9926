//! Gauges.

use fastrand::Rng;
use nyx_protocol::state::Value;

use super::{Trace, decimals};

/// 1,000 gauges with two decimals, of which about a third move a little in each tick.
#[derive(Debug)]
pub struct Telemetry {
    rng: Rng,
    gauges: Vec<(String, f64)>,
    sequence: u64,
}

impl Telemetry {
    /// Somewhere in the middle of their ranges.
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let gauge = |n| (format!("plant/line-{}/gauge-{n:04}", n / 100), 20.0 + 100.0 * rng.f64());
        Self { gauges: (0..1_000).map(gauge).collect(), rng, sequence: 0 }
    }
}

impl Trace for Telemetry {
    fn name(&self) -> &'static str {
        "telemetry"
    }

    fn value(&self) -> Value {
        let gauges = self.gauges.iter().map(|(name, level)| (name.as_str(), decimals(*level, 2)));
        Value::map([("gauges", Value::map(gauges)), ("sequence", Value::from(self.sequence))])
    }

    fn tick(&mut self) {
        self.sequence += 1;
        for (_, level) in &mut self.gauges {
            if self.rng.u32(..3) == 0 {
                *level += (self.rng.f64() - 0.5) * 0.4;
            }
        }
    }
}
