//! Any text is a schedule or an error that names a line that it has; what is a schedule has its times in order.

#![no_main]

use libfuzzer_sys::fuzz_target;
use nyx_netem::schedule::{Change, ParseScheduleError, Schedule};
use nyx_netem::{Conditions, Impairment};

/// Rounds of one that repeats are many.
const STEPS: usize = 10_000;

fuzz_target!(|text: &str| {
    let schedule: Schedule = match text.parse() {
        Ok(schedule) => schedule,
        Err(error) => {
            let told = ParseScheduleError::to_string(&error);
            let line = told.trim_start_matches("line ").split(':').next().and_then(|line| line.parse().ok());
            assert!(line.is_some_and(|line: usize| (1..=text.lines().count()).contains(&line)), "{told}");
            return;
        }
    };
    let mut last = None;
    let (mut path, mut link) = (Conditions::default(), Impairment::default());
    for (at, step) in schedule.timeline().take(STEPS) {
        assert!(last.is_none_or(|last| last <= at), "{at:?} after {last:?}");
        last = Some(at);
        for change in &step.changes {
            if let Change::Set(setting) = change {
                setting.apply_to_path(&mut path);
                setting.apply_to_link(&mut link);
            }
        }
    }
});
