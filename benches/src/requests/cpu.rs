//! What processes take of the processor.

use std::fs;
use std::time::Duration;

/// User and system time of a process since it started; zero where the system has no `/proc`.
pub(super) fn of(process: u32) -> Duration {
    fs::read_to_string(format!("/proc/{process}/stat")).ok().and_then(|stat| parse(&stat)).unwrap_or_default()
}

/// Fields 14 and 15 of proc(5), in hundredths of a second, which user space is told on every Linux in use.
fn parse(stat: &str) -> Option<Duration> {
    // The name, field 2, may hold anything; what follows its last bracket holds no bracket.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(Duration::from_millis(10) * u32::try_from(user + system).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_system_time_are_added() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 100 0 0 0 120 30 0 0 20 0 1 0 55 1 1";
        assert_eq!(parse(stat), Some(Duration::from_millis(1_500)));
        assert_eq!(parse("nonsense"), None);
    }
}
