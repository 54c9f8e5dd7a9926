//! How often one peer may come, asked before anything is read from it; how much it may publish, and the bearer of a token.

use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use anyhow::Context as _;
use nyx_core::Instant;
use nyx_core::clock::Monotonic;
use nyx_core::limit::{Capacity, CheckError, Denied, Keyed, Quota};
use nyx_hub::access::{Supplies, Supply};
use nyx_stream::metrics::Counter;

use crate::config::{Limit, Limits};
use crate::exit::Outcome;

type ByKey = Arc<Keyed<Monotonic>>;

/// Holds addresses and tokens to their quotas.
pub(crate) struct Gate {
    connections: Option<ByKey>,
    requests: Option<ByKey>,
    failures: Option<ByKey>,
    /// By HTTP alone: a session has these quotas to itself.
    of_request: Pair,
    of_peer: Pair,
    of_token: Pair,
    pub(crate) counts: Counts,
}

/// How often each quota was in somebody's way.
#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) connections: Counter,
    pub(crate) requests: Counter,
    pub(crate) failures: Counter,
    pub(crate) published: Counter,
}

/// Quotas of what is published, each with its burst.
#[derive(Default)]
struct Pair {
    messages: Option<(ByKey, u64)>,
    bytes: Option<(ByKey, u64)>,
}

/// What a peer wanted to publish is over one of its quotas.
#[derive(Debug)]
pub(crate) struct OverQuota {
    /// The setting that says so.
    pub(crate) setting: &'static str,
    pub(crate) error: CheckError,
}

/// Addresses, or tokens, that are remembered, at 16 bytes each. One that can't be remembered under a flood of others gets
/// less, and never more.
const KEYS: usize = 65_536;

impl Gate {
    pub(crate) fn new(limits: &Limits, clock: &Monotonic) -> Outcome<Self> {
        let keyed = |limit: &Limit| keyed(limit.quota(), clock);
        let pair = |messages: &Limit, bytes: &Limit| {
            let with_burst = |limit: &Limit| {
                let burst = limit.quota().map(|quota| quota.burst());
                Ok::<_, anyhow::Error>(keyed(limit)?.zip(burst))
            };
            Ok::<_, anyhow::Error>(Pair { messages: with_burst(messages)?, bytes: with_burst(bytes)? })
        };
        Ok(Self {
            connections: keyed(&limits.connections_per_peer.0)?,
            requests: keyed(&limits.requests_per_peer.0)?,
            failures: keyed(&limits.failures_per_peer.0)?,
            of_request: pair(&limits.publish_messages.0, &limits.publish_bytes.0)?,
            of_peer: pair(&limits.publish_messages_per_peer.0, &limits.publish_bytes_per_peer.0)?,
            of_token: pair(&limits.publish_messages_per_token.0, &limits.publish_bytes_per_token.0)?,
            counts: Counts::default(),
        })
    }

    /// Whether a peer may connect.
    pub(crate) fn admits(&self, now: Instant, peer: IpAddr) -> bool {
        check(&self.connections, now, peer, &self.counts.connections).is_ok()
    }

    /// Whether a peer may make a request.
    pub(crate) fn admit_request(&self, now: Instant, peer: IpAddr) -> Result<(), Denied> {
        check(&self.requests, now, peer, &self.counts.requests)
    }

    /// Whether a peer may try a token. One that turns out to be good is [forgiven](Self::forgive_attempt).
    pub(crate) fn admit_attempt(&self, now: Instant, peer: IpAddr) -> Result<(), Denied> {
        check(&self.failures, now, peer, &self.counts.failures)
    }

    pub(crate) fn forgive_attempt(&self, peer: IpAddr) {
        if let Some(failures) = &self.failures {
            failures.refund(&network(peer), 1);
        }
    }

    /// Whether a peer, the bearer of the token `subject` if there is one, may publish a message of so many bytes by a request.
    /// One that may not has been charged nothing.
    pub(crate) fn admit_publish(
        &self,
        now: Instant,
        peer: IpAddr,
        subject: Option<&str>,
        bytes: usize,
    ) -> Result<(), OverQuota> {
        let peer = network(peer);
        let mut bill = Bill { now, paid: Vec::new() };
        let bytes = bytes as u64;
        let outcome = bill
            .pay(&self.of_request, Key::Peer(peer), bytes, OF_REQUEST)
            .and_then(|()| bill.pay(&self.of_peer, Key::Peer(peer), bytes, OF_PEER))
            .and_then(|()| match subject {
                Some(subject) => bill.pay(&self.of_token, Key::Token(subject), bytes, OF_TOKEN),
                None => Ok(()),
            });
        if outcome.is_err() {
            bill.refund();
            self.counts.published.inc();
        }
        outcome
    }

    /// What the sessions of one address publish from.
    pub(crate) fn supplies_of_peer(&self, peer: IpAddr) -> Supplies {
        self.of_peer.supplies(network(peer))
    }

    /// What the sessions of one token do.
    pub(crate) fn supplies_of_token(&self, subject: &Arc<str>) -> Supplies {
        self.of_token.supplies(subject.clone())
    }
}

fn keyed(quota: Option<Quota>, clock: &Monotonic) -> anyhow::Result<Option<ByKey>> {
    let limiter = |quota| Keyed::with_clock(&quota, Capacity::keys(KEYS)?, clock.clone()).map(Arc::new);
    quota.map(limiter).transpose().context("can't limit peers")
}

fn check(limiter: &Option<ByKey>, now: Instant, peer: IpAddr, count: &Counter) -> Result<(), Denied> {
    let checked = limiter.as_ref().map_or(Ok(()), |limiter| limiter.check_at(now, &network(peer)));
    checked.inspect_err(|_| count.inc())
}

/// The settings of a pair.
type Settings = [&'static str; 2];
const OF_REQUEST: Settings = ["limits.publish_messages", "limits.publish_bytes"];
const OF_PEER: Settings = ["limits.publish_messages_per_peer", "limits.publish_bytes_per_peer"];
const OF_TOKEN: Settings = ["limits.publish_messages_per_token", "limits.publish_bytes_per_token"];

/// Whose quota it is.
#[derive(Clone, Copy)]
enum Key<'a> {
    Peer(IpAddr),
    Token(&'a str),
}

/// What one request has paid so far.
struct Bill<'a> {
    now: Instant,
    paid: Vec<(&'a ByKey, Key<'a>, u64)>,
}

impl<'a> Bill<'a> {
    fn pay(
        &mut self,
        pair: &'a Pair,
        key: Key<'a>,
        bytes: u64,
        [messages, of_bytes]: Settings,
    ) -> Result<(), OverQuota> {
        self.take(&pair.messages, key, 1, messages)?;
        self.take(&pair.bytes, key, bytes, of_bytes)
    }

    fn take(
        &mut self,
        limiter: &'a Option<(ByKey, u64)>,
        key: Key<'a>,
        n: u64,
        setting: &'static str,
    ) -> Result<(), OverQuota> {
        let Some((limiter, _)) = limiter else { return Ok(()) };
        let taken = match key {
            Key::Peer(peer) => limiter.check_n_at(self.now, &peer, n),
            Key::Token(subject) => limiter.check_n_at(self.now, subject, n),
        };
        taken.map_err(|error| OverQuota { setting, error })?;
        self.paid.push((limiter, key, n));
        Ok(())
    }

    fn refund(self) {
        for (limiter, key, n) in self.paid {
            match key {
                Key::Peer(peer) => limiter.refund(&peer, n),
                Key::Token(subject) => limiter.refund(subject, n),
            }
        }
    }
}

impl Pair {
    fn supplies<K: Hash + Clone + Send + Sync + 'static>(&self, key: K) -> Supplies {
        let share = |limiter: &Option<(ByKey, u64)>| {
            let (limiter, burst) = limiter.clone()?;
            Some(Arc::new(Share { limiter, burst, key: key.clone() }) as Arc<dyn Supply>)
        };
        Supplies::new(share(&self.messages), share(&self.bytes))
    }
}

/// The account of one key, for a session.
struct Share<K> {
    limiter: ByKey,
    burst: u64,
    key: K,
}

impl<K: Hash + Send + Sync> Supply for Share<K> {
    fn burst(&self) -> u64 {
        self.burst
    }

    fn take(&self, now: Instant, n: u64) -> Result<(), Instant> {
        self.limiter.check_n_at(now, &self.key, n).map_err(|error| match error {
            CheckError::Denied(denied) => denied.at(),
            // Sessions ask for no more than the burst.
            _ => now + std::time::Duration::from_secs(1),
        })
    }

    fn give_back(&self, n: u64) {
        self.limiter.refund(&self.key, n);
    }
}

/// Who is counted as one: an IPv4 address, or the 64 bits of an IPv6 address that a subscriber line is given.
pub(super) fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(addr) => {
            let [a, b, c, d, ..] = addr.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limited(limits: &str) -> Gate {
        Gate::new(&toml::from_str(limits).unwrap(), &Monotonic::new()).unwrap()
    }

    fn gate(connections: &str) -> Gate {
        limited(&format!("connections_per_peer = \"{connections}\""))
    }

    fn admitted(gate: &Gate, peer: &str, times: usize) -> usize {
        let peer = peer.parse().unwrap();
        (0..times).filter(|_| gate.admits(Instant::ZERO, peer)).count()
    }

    #[test]
    fn one_peer_s_flood_is_no_other_s_business() {
        let gate = gate("1/s burst 5");
        assert_eq!(admitted(&gate, "198.51.100.7", 100), 5);
        assert_eq!(admitted(&gate, "198.51.100.8", 3), 3);
        assert_eq!(gate.counts.connections.get(), 95);
    }

    #[test]
    fn addresses_of_one_line_count_as_one() {
        let gate = gate("1/s burst 5");
        assert_eq!(admitted(&gate, "2001:db8::1", 4), 4);
        assert_eq!(admitted(&gate, "2001:db8::2:1", 4), 1);
        assert_eq!(admitted(&gate, "2001:db8:0:1::1", 4), 4);
        assert_eq!(admitted(&gate, "198.51.100.7", 4), 4);
        assert_eq!(admitted(&gate, "::ffff:198.51.100.7", 4), 1);
    }

    #[test]
    fn off_is_off() {
        assert_eq!(admitted(&gate("off"), "198.51.100.7", 10_000), 10_000);
    }

    #[test]
    fn what_is_over_one_quota_is_not_charged_to_the_other() {
        let gate = limited("publish_messages = \"1/s burst 2\"\npublish_bytes = \"1/s burst 100\"");
        let peer = "198.51.100.7".parse().unwrap();
        let refused = |bytes| gate.admit_publish(Instant::ZERO, peer, None, bytes).err();
        for _ in 0..10 {
            let OverQuota { setting, error } = refused(101).unwrap();
            assert_eq!((setting, error.retry_after()), ("limits.publish_bytes", None));
        }
        assert!(refused(60).is_none());
        let denied = refused(60).unwrap();
        assert_eq!(
            (denied.setting, denied.error.retry_after().map(|wait| wait.as_secs())),
            ("limits.publish_bytes", Some(20))
        );
        assert!(refused(40).is_none());
        assert_eq!(refused(0).unwrap().setting, "limits.publish_messages");
        assert!(gate.admit_publish(Instant::ZERO, "198.51.100.8".parse().unwrap(), None, 100).is_ok());
    }

    #[test]
    fn a_token_has_one_quota_wherever_it_comes_from_and_an_address_one_whatever_it_bears() {
        let gate = limited(
            "publish_messages_per_token = \"1/s burst 3\"\npublish_messages_per_peer = \"1/s burst 4\"",
        );
        let publish = |peer: [u8; 4], subject| {
            gate.admit_publish(Instant::ZERO, peer.into(), Some(subject), 9).map_err(|over| over.setting)
        };
        let (here, there) = ([198, 51, 100, 7], [198, 51, 100, 8]);
        assert!((0..2).all(|_| publish(here, "token a").is_ok()));
        assert!(publish(there, "token a").is_ok());
        assert_eq!(publish(there, "token a"), Err(OF_TOKEN[0]));
        assert!((0..2).all(|_| publish(here, "token b").is_ok()));
        assert_eq!(publish(here, "token b"), Err(OF_PEER[0]));
        // Sessions draw on the same.
        let supply = gate.supplies_of_token(&"token b".into()).messages.unwrap();
        assert_eq!(supply.burst(), 3);
        assert!(supply.take(Instant::ZERO, 1).is_ok());
        assert!(supply.take(Instant::ZERO, 1).is_err());
    }

    #[test]
    fn a_guesser_is_held_up_and_a_good_token_costs_nothing() {
        let gate = limited("failures_per_peer = \"1/min burst 2\"");
        let peer = IpAddr::from([198, 51, 100, 7]);
        for _ in 0..10 {
            assert!(gate.admit_attempt(Instant::ZERO, peer).is_ok());
            gate.forgive_attempt(peer);
        }
        assert!((0..2).all(|_| gate.admit_attempt(Instant::ZERO, peer).is_ok()));
        assert!(gate.admit_attempt(Instant::ZERO, peer).is_err());
        assert_eq!(gate.counts.failures.get(), 1);
    }
}
