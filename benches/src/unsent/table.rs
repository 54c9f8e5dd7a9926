//! The table, with what the adaptive bound should reach.

use std::io::{self, Write as _};

use super::{Bound, Cell};
use crate::table::{Machine, aligned, grouped};

pub(super) fn print(cells: &[Cell]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{}", Machine::here())?;
    let head = ["path", "bound", "age p50 ms", "age p99 ms", "MB/s", "bound at the end", "CPU", "aims"];
    let rows = cells.iter().map(|cell| row(cell, cells));
    let lines: Vec<_> = std::iter::once(head.map(str::to_owned)).chain(rows).collect();
    aligned(&mut out, &lines, 2)
}

fn row(cell: &Cell, cells: &[Cell]) -> [String; 8] {
    let ms = |micros: u64| format!("{:.1}", micros as f64 / 1000.0);
    [
        cell.path.name.to_owned(),
        cell.bound.name().to_owned(),
        ms(cell.age(0.5)),
        ms(cell.age(0.99)),
        format!("{:.2}", cell.goodput() / 1e6),
        cell.target.map_or("-".to_owned(), |bytes| grouped(bytes.into())),
        format!("{:.0} %", cell.cpu * 100.0),
        judge(cell, cells),
    ]
}

impl Cell {
    fn age(&self, share: f64) -> u64 {
        let mut ages = self.seen.ages.clone();
        ages.sort_unstable();
        let place = (ages.len() as f64 * share) as usize;
        ages.get(place.min(ages.len().saturating_sub(1))).copied().unwrap_or(0)
    }

    /// Bytes per second that the reader got.
    fn goodput(&self) -> f64 {
        (self.seen.frames * self.path.frame_bytes as u64) as f64 / self.seconds
    }
}

/// The adaptive bound should be as good as the fixed one at the least, in goodput and, where there is a link, in age: without one nothing waits in
/// the kernel for long, and the age says how soon threads wake.
fn judge(cell: &Cell, cells: &[Cell]) -> String {
    if cell.bound != Bound::Adaptive {
        return String::new();
    }
    let fixed = cells.iter().find(|other| other.path.name == cell.path.name && other.bound == Bound::Fixed);
    let Some(fixed) = fixed else { return String::new() };
    let fresh = cell.age(0.99) as f64 <= fixed.age(0.99) as f64 * NOISE;
    let fast = cell.goodput() * NOISE >= fixed.goodput();
    if cell.path.bytes_per_second.is_none() {
        let verdict =
            if fast { "PASS: goodput of the fixed bound, but for 5 %" } else { "SHORT of its goodput" };
        return verdict.to_owned();
    }
    match (fresh, fast) {
        (true, true) => "PASS: age and goodput of the fixed bound, but for 5 %".to_owned(),
        (false, true) => "SHORT of its age".to_owned(),
        (true, false) => "SHORT of its goodput".to_owned(),
        (false, false) => "SHORT of its age, and of its goodput".to_owned(),
    }
}

/// Runs differ by so much.
const NOISE: f64 = 1.05;
