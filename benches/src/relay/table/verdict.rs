//! The aims, and whether Nyx meets them.

use serde::Serialize;

use super::Figures;
use crate::relay::contender::Name;
use crate::relay::options::Mode;

/// How one row stands beside the others of its cell. Ratios are of messages per second, or of the 99th percentile of
/// the age.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Verdict {
    /// To the best peer of the cell, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) to_best_peer: Option<f64>,
    /// To the floor, if it ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) to_floor: Option<f64>,
    /// The judgement in words, for Nyx only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) aims: Option<String>,
}

impl Verdict {
    pub(super) fn of(one: &Figures, all: &[Figures]) -> Self {
        if one.failed() {
            let aims = (one.contender == Name::Nyx).then(|| "SHORT: failed".to_owned());
            return Self { to_best_peer: None, to_floor: None, aims };
        }
        let others = || all.iter().filter(|other| other.cell == one.cell && !other.failed());
        let peers = others().filter(|other| other.contender.is_peer() && other.contender != one.contender);
        let best = match one.cell.mode {
            Mode::Saturated => peers.map(Figures::score).max_by(f64::total_cmp),
            Mode::Paced => peers.map(Figures::score).min_by(f64::total_cmp),
        };
        let floor = others().find(|other| other.contender == Name::Floor).map(Figures::score);
        let ratio = |score: Option<f64>| score.filter(|score| *score > 0.0).map(|score| one.score() / score);
        let (to_best_peer, to_floor) = (ratio(best), ratio(floor));
        let aims = (one.contender == Name::Nyx).then(|| judge(one, to_best_peer, to_floor));
        Self { to_best_peer, to_floor, aims }
    }
}

fn judge(one: &Figures, to_best_peer: Option<f64>, to_floor: Option<f64>) -> String {
    let mut short = Vec::new();
    let mut unknown = Vec::new();
    match (one.cell.mode, to_best_peer) {
        (_, None) => unknown.push("no peer"),
        (Mode::Saturated, Some(ratio)) => {
            if let Some(aim) = peer_aim(one.cell.size).filter(|aim| ratio < *aim) {
                short.push(format!("below {aim}x best peer"));
            }
        }
        (Mode::Paced, Some(ratio)) if ratio >= 1.0 => short.push("p99 not below all peers".to_owned()),
        (Mode::Paced, Some(_)) => {}
    }
    if one.cell.mode == Mode::Saturated {
        match to_floor {
            None => unknown.push("no floor"),
            Some(ratio) if ratio < FLOOR_AIM => short.push(format!("below {FLOOR_AIM} of floor")),
            Some(_) => {}
        }
    }
    if one.loss_percent > 0.0 {
        short.push("lost messages".to_owned());
    }
    if !one.failures.is_empty() {
        short.push(format!("{} runs failed", one.failures.len()));
    }
    match (short.is_empty(), unknown.is_empty()) {
        (false, _) => format!("SHORT: {}", short.join(", ")),
        (true, true) => "PASS".to_owned(),
        (true, false) => format!("PASS ({})", unknown.join(", ")),
    }
}

/// How many times the best peer's throughput is aimed at. Headers and wake-ups weigh most on small messages; at
/// 32 KiB everyone mostly copies.
fn peer_aim(size: u32) -> Option<f64> {
    match size {
        64 => Some(5.0),
        1024 => Some(2.5),
        32_768 => Some(2.0),
        _ => None,
    }
}

/// The share of the floor's throughput that is aimed at.
const FLOOR_AIM: f64 = 0.8;

#[cfg(test)]
mod tests {
    use super::super::Ages;
    use super::*;
    use crate::relay::measure::Cell;

    fn figures(contender: Name, mode: Mode, score: f64) -> Figures {
        Figures {
            contender,
            cell: Cell { mode, size: 64, subs: 8 },
            runs: 3,
            msg_per_s: score,
            mb_per_s: 0.0,
            ages: (mode == Mode::Paced).then(|| Ages { age_p99_us: score, ..Ages::default() }),
            spread_percent: 0.0,
            loss_percent: 0.0,
            failures: Vec::new(),
        }
    }

    fn aims(mode: Mode, nyx: f64, floor: f64, peers: [f64; 2]) -> String {
        let all = [
            figures(Name::Nyx, mode, nyx),
            figures(Name::Floor, mode, floor),
            figures(Name::Zenoh, mode, peers[0]),
            figures(Name::Nats, mode, peers[1]),
        ];
        Verdict::of(&all[0], &all).aims.unwrap_or_default()
    }

    #[test]
    fn throughput_is_held_against_the_best_peer_and_the_floor() {
        assert_eq!(aims(Mode::Saturated, 9e6, 10e6, [1e6, 1.5e6]), "PASS");
        assert_eq!(aims(Mode::Saturated, 7e6, 10e6, [1e6, 1.2e6]), "SHORT: below 0.8 of floor");
        assert_eq!(aims(Mode::Saturated, 9e6, 10e6, [2e6, 1e6]), "SHORT: below 5x best peer");
    }

    #[test]
    fn age_must_be_below_every_peer() {
        assert_eq!(aims(Mode::Paced, 200.0, 150.0, [300.0, 250.0]), "PASS");
        assert_eq!(aims(Mode::Paced, 260.0, 150.0, [300.0, 250.0]), "SHORT: p99 not below all peers");
    }

    #[test]
    fn a_lone_or_failed_row_says_so() {
        let nyx = figures(Name::Nyx, Mode::Saturated, 1e6);
        let alone = Verdict::of(&nyx, std::slice::from_ref(&nyx));
        assert_eq!(alone.aims.as_deref(), Some("PASS (no peer, no floor)"));
        let failed = Figures { runs: 0, ..nyx };
        assert_eq!(Verdict::of(&failed, &[]).aims.as_deref(), Some("SHORT: failed"));
    }
}
