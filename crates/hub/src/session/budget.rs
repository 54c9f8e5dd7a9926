//! How fast a peer may publish.

use nyx_core::Instant;
use nyx_core::limit::{CheckError, Meter, Quota};
use nyx_protocol::wire::Run;

use crate::config::Config;

/// What a peer may still publish, by messages and by bytes.
///
/// What it sends beyond that is not read until it may: so it is slowed by its own connection, and loses nothing.
#[derive(Debug)]
pub(super) struct Budget {
    messages: Option<Account>,
    bytes: Option<Account>,
}

impl Budget {
    pub(super) fn new(config: &Config, now: Instant) -> Self {
        let account = |quota: Option<Quota>| quota.map(|quota| Account::new(&quota, now));
        Self { messages: account(config.publish_messages), bytes: account(config.publish_bytes) }
    }

    /// As much of the run at the front of `buffer` as may be published now.
    ///
    /// # Errors
    /// Nothing of it may. Returns when the first message may.
    pub(super) fn fit(&self, now: Instant, buffer: &[u8], run: Run) -> Result<Run, Instant> {
        let Self { messages, bytes } = self;
        if messages.is_none() && bytes.is_none() {
            return Ok(run);
        }
        let first = run.first(buffer, 1, 0);
        let ready = |account: &Option<Account>, n| account.as_ref().and_then(|account| account.ready(now, n));
        if let Some(until) = ready(messages, 1).max(ready(bytes, first.len as u64)) {
            return Err(until);
        }
        let most = |account: &Option<Account>| {
            account.as_ref().map_or(u64::MAX, |account| account.meter.available_at(now))
        };
        let (most_messages, most_bytes) = (most(messages), most(bytes));
        let most_bytes = usize::try_from(most_bytes).unwrap_or(usize::MAX);
        Ok(run.first(buffer, u32::try_from(most_messages).unwrap_or(u32::MAX), most_bytes))
    }

    /// Pays for what was published.
    pub(super) fn charge(&mut self, now: Instant, run: Run) {
        if let Some(account) = &mut self.messages {
            account.meter.charge_at(now, run.count.into());
        }
        if let Some(account) = &mut self.bytes {
            account.meter.charge_at(now, run.len as u64);
        }
    }
}

#[derive(Debug)]
struct Account {
    meter: Meter,
    burst: u64,
}

impl Account {
    fn new(quota: &Quota, now: Instant) -> Self {
        Self { meter: Meter::new(quota, now), burst: quota.burst() }
    }

    /// When `n` may be had, if not now. One that asks for more than the burst gets it when all of the burst is there, and
    /// owes the rest.
    fn ready(&self, now: Instant, n: u64) -> Option<Instant> {
        match self.meter.clone().check_n_at(now, n.min(self.burst)) {
            Err(CheckError::Denied(denied)) => Some(denied.at()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use nyx_protocol::wire::{self, Header, Kind, Scan};

    use super::*;

    fn budget(messages: u64, bytes: u64) -> Budget {
        let (publish_messages, publish_bytes) =
            (Quota::per_second(messages).ok(), Quota::per_second(bytes).ok());
        Budget::new(&Config { publish_messages, publish_bytes, ..Config::default() }, Instant::ZERO)
    }

    /// Ten messages of 100 bytes.
    fn stream() -> (Vec<u8>, Run) {
        let mut stream = Vec::new();
        for _ in 0..10 {
            wire::put_message(&mut stream, Header::data(Kind::Event), &[0; 100 - wire::HEADER_LEN]);
        }
        let Ok(Scan::Run(run)) = wire::scan(&stream, 1000) else { panic!("a run") };
        (stream, run)
    }

    #[test]
    fn the_scarcer_of_the_two_decides() {
        let (stream, run) = stream();
        let fits = |budget: Budget| budget.fit(Instant::ZERO, &stream, run).map(|part| part.count);
        assert_eq!(fits(budget(4, 1_000)), Ok(4));
        assert_eq!(fits(budget(100, 750)), Ok(7));
        assert_eq!(fits(Budget::new(&Config::default(), Instant::ZERO)), Ok(10));
    }

    #[test]
    fn the_next_message_may_go_when_it_has_been_supplied() {
        let (stream, run) = stream();
        let mut budget = budget(100, 500);
        let part = budget.fit(Instant::ZERO, &stream, run).unwrap();
        budget.charge(Instant::ZERO, part);
        let until = budget.fit(Instant::ZERO, &stream, run).unwrap_err();
        assert_eq!(until, Instant::ZERO + Duration::from_millis(200));
        assert_eq!(budget.fit(until, &stream, run).map(|part| part.count), Ok(1));
    }

    #[test]
    fn a_message_over_the_burst_waits_for_all_of_it_and_owes_the_rest() {
        let (stream, run) = stream();
        let mut budget = budget(100, 50);
        let part = budget.fit(Instant::ZERO, &stream, run).unwrap();
        assert_eq!(part.count, 1);
        budget.charge(Instant::ZERO, part);
        let until = budget.fit(Instant::ZERO, &stream, run).unwrap_err();
        assert_eq!(until, Instant::ZERO + Duration::from_secs(2));
    }
}
