//! How fast a peer may publish.

use std::sync::Arc;

use nyx_core::Instant;
use nyx_core::limit::{CheckError, Meter, Quota};
use nyx_protocol::wire::Run;

use crate::access::{Supplies, Supply};
use crate::config::Config;

/// What a peer may still publish, by messages and by bytes: of its own, and of what it shares with others.
///
/// What it sends beyond that is not read until it may: so it is slowed by its own connection, and loses nothing.
#[derive(Default)]
pub(super) struct Budget {
    messages: Purse,
    bytes: Purse,
}

#[derive(Default)]
struct Purse {
    own: Option<Account>,
    leases: Vec<Lease>,
}

impl Budget {
    pub(super) fn new(config: &Config, now: Instant) -> Self {
        let purse = |quota: Option<Quota>| Purse {
            own: quota.map(|quota| Account::new(&quota, now)),
            leases: Vec::new(),
        };
        Self { messages: purse(config.publish_messages), bytes: purse(config.publish_bytes) }
    }

    /// From now on it is paid from these, too.
    pub(super) fn share(&mut self, supplies: &Supplies) {
        self.messages.leases.extend(supplies.messages.clone().map(Lease::new));
        self.bytes.leases.extend(supplies.bytes.clone().map(Lease::new));
    }

    /// It is paid from these no more: what was taken of them in advance goes back.
    pub(super) fn leave(&mut self, supplies: &Supplies) {
        self.messages.leave(supplies.messages.as_ref());
        self.bytes.leave(supplies.bytes.as_ref());
    }

    /// As much of the run at the front of `buffer` as may be published now.
    ///
    /// # Errors
    /// Nothing of it may. Returns when the first message may, or when to ask again.
    pub(super) fn fit(&mut self, now: Instant, buffer: &[u8], run: Run) -> Result<Run, Instant> {
        if self.messages.is_unlimited() && self.bytes.is_unlimited() {
            return Ok(run);
        }
        let first = run.first(buffer, 1, 0);
        let (messages, bytes) = (&mut self.messages, &mut self.bytes);
        if let Some(until) = messages.ready(now, 1).max(bytes.ready(now, first.len as u64)) {
            return Err(until);
        }
        let (most_messages, most_bytes) = (messages.available(now), bytes.available(now));
        let most_bytes = usize::try_from(most_bytes).unwrap_or(usize::MAX);
        Ok(run.first(buffer, u32::try_from(most_messages).unwrap_or(u32::MAX), most_bytes))
    }

    /// Pays for what was published.
    pub(super) fn charge(&mut self, now: Instant, run: Run) {
        self.messages.charge(now, run.count.into());
        self.bytes.charge(now, run.len as u64);
    }

    /// Returns to others what was taken in advance.
    pub(super) fn give_back(&mut self) {
        self.messages.leases.clear();
        self.bytes.leases.clear();
    }
}

impl Purse {
    fn leave(&mut self, supply: Option<&Arc<dyn Supply>>) {
        let is_left = |lease: &Lease| supply.is_some_and(|supply| Arc::ptr_eq(supply, &lease.supply));
        self.leases.retain(|lease| !is_left(lease));
    }

    const fn is_unlimited(&self) -> bool {
        self.own.is_none() && self.leases.is_empty()
    }

    /// When `n` may be had, if not now.
    fn ready(&mut self, now: Instant, n: u64) -> Option<Instant> {
        let own = self.own.as_ref().and_then(|account| account.ready(now, n));
        // While it is held back by its own quota it takes nothing from others.
        own.or_else(|| self.leases.iter_mut().filter_map(|lease| lease.ready(now, n)).max())
    }

    fn available(&self, now: Instant) -> u64 {
        let own = self.own.as_ref().map_or(u64::MAX, |account| account.meter.available_at(now));
        self.leases.iter().map(|lease| lease.held).fold(own, u64::min)
    }

    fn charge(&mut self, now: Instant, n: u64) {
        if let Some(account) = &mut self.own {
            account.meter.charge_at(now, n);
        }
        self.leases.iter_mut().for_each(|lease| lease.held = lease.held.saturating_sub(n));
    }
}

/// What was taken in advance from a supply that others draw on, too.
struct Lease {
    supply: Arc<dyn Supply>,
    held: u64,
}

/// The share of a burst that is taken in advance: so that a supply is asked once for many small messages, and yet a
/// session holds little that another could use.
const ADVANCE: u64 = 64;

impl Lease {
    fn new(supply: Arc<dyn Supply>) -> Self {
        Self { supply, held: 0 }
    }

    /// When more can be had, if there are not `n`. What is over the burst is saved up in parts: nothing is ever owed, so nobody
    /// gains by leaving.
    fn ready(&mut self, now: Instant, n: u64) -> Option<Instant> {
        let burst = self.supply.burst().max(1);
        while self.held < n {
            let missing = (n - self.held).min(burst);
            let wanted = missing.max(burst / ADVANCE);
            let taken = match self.supply.take(now, wanted) {
                Ok(()) => wanted,
                Err(_) if wanted > missing && self.supply.take(now, missing).is_ok() => missing,
                Err(until) => return Some(until),
            };
            self.held += taken;
        }
        None
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.held > 0 {
            self.supply.give_back(self.held);
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
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
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
        let fits = |mut budget: Budget| budget.fit(Instant::ZERO, &stream, run).map(|part| part.count);
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

    /// A supply of so many, which gets no more.
    struct Bucket {
        left: AtomicU64,
        burst: u64,
    }

    impl Supply for Bucket {
        fn burst(&self) -> u64 {
            self.burst
        }

        fn take(&self, now: Instant, n: u64) -> Result<(), Instant> {
            let taken = self.left.try_update(Relaxed, Relaxed, |left| left.checked_sub(n));
            taken.map(drop).map_err(|_| now + Duration::from_secs(1))
        }

        fn give_back(&self, n: u64) {
            self.left.fetch_add(n, Relaxed);
        }
    }

    #[test]
    fn what_is_shared_is_shared_and_comes_back() {
        let (stream, run) = stream();
        let bucket = Arc::new(Bucket { left: AtomicU64::new(6), burst: 128 });
        let member = || {
            let mut budget = Budget::new(&Config::default(), Instant::ZERO);
            budget.share(&Supplies::new(Some(bucket.clone()), None));
            budget
        };
        let (mut one, mut other) = (member(), member());
        let take = |budget: &mut Budget| {
            let part = budget.fit(Instant::ZERO, &stream, run)?;
            budget.charge(Instant::ZERO, part);
            Ok::<_, Instant>(part.count)
        };
        // A lease is two of them.
        assert_eq!([take(&mut one), take(&mut other), take(&mut one)], [Ok(2); 3]);
        assert_eq!(take(&mut other), Err(Instant::ZERO + Duration::from_secs(1)));
        bucket.give_back(2);
        other.fit(Instant::ZERO, &stream, run).unwrap();
        assert!(take(&mut one).is_err());
        drop(other);
        assert_eq!(take(&mut one), Ok(2));
    }

    #[test]
    fn a_message_over_a_shared_burst_is_saved_up_for() {
        let (stream, run) = stream();
        let bucket = Arc::new(Bucket { left: AtomicU64::new(60), burst: 60 });
        let mut budget = Budget::new(&Config::default(), Instant::ZERO);
        budget.share(&Supplies::new(None, Some(bucket.clone())));
        assert!(budget.fit(Instant::ZERO, &stream, run).is_err());
        bucket.give_back(60);
        assert_eq!(budget.fit(Instant::ZERO, &stream, run).map(|part| part.count), Ok(1));
    }
}
