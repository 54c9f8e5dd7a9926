//! The table, with what each row should reach.

use std::io::{self, Write as _};

use super::measure::{Load, Measured};
use crate::table::{Machine, aligned, grouped};

pub(super) fn print(rows: &[Measured]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{}", Machine::here())?;
    let head =
        ["what", "contender", "load", "per second", "p50 µs", "p99 µs", "server CPU", "client CPU", "aims"];
    let lines: Vec<_> =
        std::iter::once(head.map(str::to_owned)).chain(rows.iter().map(|row| line(row, rows))).collect();
    aligned(&mut out, &lines, 3)
}

fn line(row: &Measured, rows: &[Measured]) -> [String; 9] {
    let load = match row.run.load {
        Load::Saturated { senders, batch: 1 } => format!("{senders} under way"),
        Load::Saturated { senders, batch } => format!("{} under way, {senders} x {batch}", senders * batch),
        Load::Paced { per_second } => format!("{}/s", grouped(per_second.into())),
    };
    let percent = |share: f64| format!("{:.0} %", share * 100.0);
    [
        row.run.what.to_owned(),
        row.run.contender.to_owned(),
        load,
        grouped(row.per_second),
        grouped(row.p50),
        grouped(row.p99),
        percent(row.server_cpu),
        percent(row.client_cpu),
        if row.run.contender == "nyx" { judge(row, rows) } else { String::new() },
    ]
}

/// What Nyx should reach, and whether it did.
fn judge(row: &Measured, rows: &[Measured]) -> String {
    let mut aims = Vec::new();
    let peers = || rows.iter().filter(|peer| peer.run.what == row.run.what && peer.run.contender != "nyx");
    let best = peers().map(|peer| peer.per_second).fold(0.0, f64::max);
    match row.run.load {
        Load::Saturated { .. } if row.run.what == super::RECORDS => {
            aims.push(("500,000/s", row.per_second >= RECORDS_MIN));
            aims.push(("p99 < 5 ms", row.p99 < P99_MAX));
            aims.push(("faster than HTTP", row.per_second > best));
        }
        Load::Saturated { .. } => {
            // Of those that have as many under way.
            let alike = || peers().filter(|peer| peer.run.load.under_way() == row.run.load.under_way());
            let best = alike().map(|peer| peer.per_second).fold(0.0, f64::max);
            let soonest = alike().map(|peer| peer.p99).fold(f64::INFINITY, f64::min);
            if best > 0.0 {
                aims.push(("3 x best peer with as many", row.per_second >= 3.0 * best));
                aims.push(("p99 below it", row.p99 < soonest));
            }
        }
        Load::Paced { per_second } => {
            aims.push(("keeps pace", row.per_second >= 0.99 * f64::from(per_second)));
            aims.push(("p99 < 5 ms", row.p99 < P99_MAX));
            aims.push(("CPU of both < 60 %", row.server_cpu + row.client_cpu < CPU_MAX));
        }
    }
    verdict(&aims)
}

fn verdict(aims: &[(&str, bool)]) -> String {
    let short: Vec<_> = aims.iter().filter(|(_, met)| !met).map(|(aim, _)| *aim).collect();
    match short[..] {
        [] => format!("PASS: {}", aims.iter().map(|(aim, _)| *aim).collect::<Vec<_>>().join(", ")),
        _ => format!("SHORT of {}", short.join(", ")),
    }
}

/// Records a second.
const RECORDS_MIN: f64 = 500_000.0;

/// Microseconds.
const P99_MAX: f64 = 5_000.0;

/// Of one core, both processes together.
const CPU_MAX: f64 = 0.6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missed_is_named() {
        assert_eq!(verdict(&[("much", true), ("soon", true)]), "PASS: much, soon");
        assert_eq!(verdict(&[("much", true), ("soon", false)]), "SHORT of soon");
    }
}
