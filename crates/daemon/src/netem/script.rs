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
                    tell::note("netem: TCP hides a setting of the schedule that is about single datagrams (see --udp)");
                }
            });
        }
        Change::Stall(stalled) => handle.stall(*stalled),
        Change::Cut(cut) => handle.down(*cut),
        _ => {}
    })
    .await;
}

/// Plays a schedule to datagrams, of which none waits: a stall is a cut.
pub(super) async fn datagrams(handle: udp::Handle, schedule: Schedule) {
    play(&schedule, |change| match change {
        Change::Set(setting) => handle.update(|conditions| setting.apply_to_path(conditions)),
        Change::Stall(cut) | Change::Cut(cut) => handle.cut(*cut),
        _ => {}
    })
    .await;
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
