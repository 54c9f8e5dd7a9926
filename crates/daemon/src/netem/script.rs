//! A schedule, played in real time.

use nyx_netem::schedule::{Change, Schedule, Step};
use nyx_netem::{Handle, udp};

use crate::tell;

/// Plays a schedule to connections.
pub(super) async fn connections(handle: Handle, schedule: Schedule) {
    play(&schedule, |change| match change {
        Change::Set(setting) => {
            handle.update(|impairment| {
                if !setting.apply_to_link(impairment) {
                    tell::note(format_args!(
                        "netem: TCP hides `{change}`, which is about single datagrams (see --udp)"
                    ));
                }
            });
        }
        Change::Stall(stalled) => handle.stall(*stalled),
        Change::Cut(cut) => handle.down(*cut),
        _ => {}
    })
    .await;
}

/// Plays a schedule to datagrams.
pub(super) async fn datagrams(handle: udp::Handle, schedule: Schedule) {
    let mut gate = Gate::default();
    play(&schedule, |change| {
        if let Change::Set(setting) = change {
            handle.update(|conditions| setting.apply_to_path(conditions));
        }
        handle.cut(gate.is_shut_after(change));
    })
    .await;
}

/// Whether datagrams pass. None of them waits, so a stall loses them as a cut does; but `go` ends no cut, and `return` no stall.
#[derive(Default)]
struct Gate {
    stalled: bool,
    cut: bool,
}

impl Gate {
    const fn is_shut_after(&mut self, change: &Change) -> bool {
        match change {
            Change::Stall(stalled) => self.stalled = *stalled,
            Change::Cut(cut) => self.cut = *cut,
            _ => {}
        }
        self.stalled || self.cut
    }
}

async fn play(schedule: &Schedule, mut apply: impl FnMut(&Change)) {
    let start = tokio::time::Instant::now();
    for (at, Step { changes, .. }) in schedule.timeline() {
        tokio::time::sleep_until(start + at).await;
        changes.iter().for_each(&mut apply);
        let told: Vec<_> = changes.iter().map(ToString::to_string).collect();
        tell::note(format_args!("netem: at {} {}", humantime::format_duration(at), told.join(" ")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stall_and_a_cut_end_each_by_its_own_word() {
        let mut gate = Gate::default();
        let [stall, go] = [true, false].map(Change::Stall);
        let [cut, back] = [true, false].map(Change::Cut);
        let shut =
            [&cut, &stall, &go, &back, &stall, &cut, &back, &go].map(|change| gate.is_shut_after(change));
        assert_eq!(shut, [true, true, true, false, true, true, true, false]);
    }
}
