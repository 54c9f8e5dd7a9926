//! A football match.

use fastrand::Rng;
use nyx_protocol::state::Value;

use super::{Trace, decimals};

/// 22 players with their numbers, in a table that is sorted by distance run; a clock, possession, and a ticker that grows.
#[derive(Debug)]
pub struct Football {
    rng: Rng,
    second: u64,
    possession: f64,
    score: [u64; 2],
    players: Vec<Player>,
    ticker: Vec<String>,
}

#[derive(Debug)]
struct Player {
    id: u64,
    /// Metres.
    distance: f64,
    passes: u64,
    /// Beats a minute.
    pulse: i64,
}

impl Football {
    /// Kick-off.
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let player = |id| Player { id, distance: 0.0, passes: 0, pulse: rng.i64(90..120) };
        let players = (1..=22).map(player).collect();
        let possession = 50.0;
        Self { rng, second: 0, possession, score: [0, 0], players, ticker: Vec::new() }
    }
}

impl Trace for Football {
    fn name(&self) -> &'static str {
        "football match"
    }

    fn value(&self) -> Value {
        let player = |player: &Player| {
            Value::map([
                ("id", Value::from(player.id)),
                ("name", Value::from(format!("Player number {}", player.id))),
                ("team", Value::from(if player.id <= 11 { "home" } else { "away" })),
                ("distance", decimals(player.distance, 1)),
                ("passes", Value::from(player.passes)),
                ("pulse", Value::from(player.pulse)),
            ])
        };
        Value::map([
            ("clock", Value::from(format!("{:02}:{:02}", self.second / 60, self.second % 60))),
            ("score", Value::list(self.score)),
            ("possession", decimals(self.possession, 1)),
            ("players", Value::list(self.players.iter().map(player))),
            ("ticker", Value::list(self.ticker.iter().map(String::as_str))),
        ])
    }

    fn tick(&mut self) {
        self.second += 1;
        self.possession = (self.possession + (self.rng.f64() - 0.5) * 0.6).clamp(0.0, 100.0);
        for player in &mut self.players {
            player.distance += self.rng.f64() * 4.0;
            if self.rng.u32(..4) == 0 {
                player.pulse += self.rng.i64(-3..=3);
            }
        }
        let passer = self.rng.usize(..self.players.len());
        self.players[passer].passes += 1;
        self.players.sort_by(|a, b| b.distance.total_cmp(&a.distance));
        let minute = self.second / 60 + 1;
        if self.rng.u32(..900) == 0 {
            self.score[self.rng.usize(..2)] += 1;
            self.ticker.push(format!("{minute}' Goal! {} : {}", self.score[0], self.score[1]));
        } else if self.rng.u32(..60) == 0 {
            self.ticker.push(format!("{minute}' Corner from the left"));
        }
    }
}
