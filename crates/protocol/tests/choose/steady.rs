//! On every trace, over every link: not more than 5 % worse than the best fixed choice, of which nobody knew which it is.

use nyx_protocol::choose::{Config, Link};

use crate::simulation::{Trace, adaptive, best_fixed};
use crate::traces;

pub(crate) fn traces() -> Vec<Trace> {
    let split = |name, updates: Vec<traces::Update>, at: usize| {
        let (before, updates) = updates.split_at(at);
        Trace::new(name, before, updates)
    };
    vec![
        split("game world", traces::game_world(1, 300, 100, 3, false), 50),
        split("game world with bursts", traces::game_world(2, 300, 100, 3, true), 50),
        split("telemetry", traces::telemetry(3, 200, 400), 20),
        split("chat", traces::chat(4, 3500), 2500),
        split("football", traces::football(5, 3500), 2500),
        split("jpeg", traces::jpeg(6, 150), 10),
        split("random bytes", traces::noise(7, 200, 20_000), 10),
        split("base64", traces::base64(8, 200, 5_000), 10),
    ]
}

const RATES: [u64; 7] = [50_000, 500_000, 5_000_000, 20_000_000, 125_000_000, 500_000_000, 5_000_000_000];

#[test]
fn never_more_than_5_percent_worse_than_the_best_fixed_choice() {
    let mut worst: f64 = 0.0;
    for trace in traces() {
        for drain in RATES {
            for unsent in [0, 2_000] {
                let link = |_| Link { drain: Some(drain), unsent };
                let (best, candidate) = best_fixed(&trace, &link);
                let ours = adaptive(&trace, &link, Config::default());
                let ratio = ours.total / best;
                println!(
                    "{:24} {drain:>11} B/s, {unsent:>5} unsent: {ratio:.3} of {candidate}, trials {:.3} %, {} changes",
                    trace.name,
                    100.0 * ours.trials / ours.total,
                    ours.chooser.log().len(),
                );
                worst = worst.max(ratio);
            }
        }
    }
    println!("worst: {worst:.3}");
    assert!(worst <= 1.05, "{worst:.3}");
}
