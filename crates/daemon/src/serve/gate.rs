//! How often one peer may come, asked before anything is read from it, and how much it may publish over HTTP.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context as _;
use nyx_core::Instant;
use nyx_core::clock::Monotonic;
use nyx_core::limit::{Capacity, CheckError, Denied, Keyed, Limiter, Quota};

use crate::config::Limits;
use crate::exit::Outcome;

/// Holds each address to its quotas of connections, of HTTP requests, and of what it publishes by them.
pub(crate) struct Gate {
    connections: Option<Keyed<Monotonic>>,
    requests: Option<Keyed<Monotonic>>,
    messages: Option<Keyed<Monotonic>>,
    bytes: Option<Keyed<Monotonic>>,
    log: Log,
}

/// What a peer wanted to publish is over one of its quotas.
#[derive(Debug)]
pub(crate) struct OverQuota {
    /// The setting that says so.
    pub(crate) setting: &'static str,
    pub(crate) error: CheckError,
}

/// Addresses that are remembered, at 16 bytes each. An address that can't be remembered under a flood of others gets less,
/// and never more.
const PEERS: usize = 65_536;

impl Gate {
    pub(crate) fn new(limits: &Limits, clock: &Monotonic) -> Outcome<Self> {
        let keyed = |quota: Option<Quota>| {
            let limiter = |quota| Keyed::with_clock(&quota, Capacity::keys(PEERS)?, clock.clone());
            quota.map(limiter).transpose().context("can't limit peers")
        };
        Ok(Self {
            connections: keyed(limits.connections_per_peer.0.quota())?,
            requests: keyed(limits.requests_per_peer.0.quota())?,
            messages: keyed(limits.publish_messages.0.quota())?,
            bytes: keyed(limits.publish_bytes.0.quota())?,
            log: Log::new(clock)?,
        })
    }

    /// Whether a peer may connect. That one may not is told in the log now and then.
    pub(crate) fn admits(&self, now: Instant, peer: IpAddr) -> bool {
        let Some(limiter) = &self.connections else { return true };
        let refused = limiter.check_at(now, &network(peer)).is_err();
        if refused {
            self.log.refuse(peer);
        }
        !refused
    }

    /// Whether a peer may make a request.
    pub(crate) fn admit_request(&self, now: Instant, peer: IpAddr) -> Result<(), Denied> {
        self.requests.as_ref().map_or(Ok(()), |limiter| limiter.check_at(now, &network(peer)))
    }

    /// Whether a peer may publish a message of so many bytes by a request. One that may not has been charged nothing.
    pub(crate) fn admit_publish(&self, now: Instant, peer: IpAddr, bytes: usize) -> Result<(), OverQuota> {
        let peer = network(peer);
        let take = |limiter: &Option<Keyed<Monotonic>>, n, setting| {
            let taken = limiter.as_ref().map_or(Ok(()), |limiter| limiter.check_n_at(now, &peer, n));
            taken.map_err(|error| OverQuota { setting, error })
        };
        take(&self.messages, 1, "limits.publish_messages")?;
        take(&self.bytes, bytes as u64, "limits.publish_bytes").inspect_err(|_| {
            if let Some(messages) = &self.messages {
                messages.refund(&peer, 1);
            }
        })
    }
}

/// Who is counted as one: an IPv4 address, or the 64 bits of an IPv6 address that a subscriber line is given.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(addr) => {
            let [a, b, c, d, ..] = addr.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 => v4,
    }
}

/// The log of refusals. Whoever floods the door must not flood the disk as well.
struct Log {
    refused: AtomicU64,
    /// Refusals of which the log knows.
    told: AtomicU64,
    lines: Limiter,
}

impl Log {
    fn new(clock: &Monotonic) -> Outcome<Self> {
        let lines = Quota::per_second(1).context("can't limit the log")?;
        let lines = Limiter::with_clock(&lines, clock.clone());
        Ok(Self { refused: AtomicU64::new(0), told: AtomicU64::new(0), lines })
    }

    fn refuse(&self, peer: IpAddr) {
        let refused = self.refused.fetch_add(1, Ordering::Relaxed) + 1;
        if self.lines.check().is_ok() {
            let others = refused.saturating_sub(self.told.swap(refused, Ordering::Relaxed) + 1);
            tracing::warn!(%peer, others, "connects too often: refused (limits.connections_per_peer)");
        }
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
        assert_eq!(gate.log.refused.load(Ordering::Relaxed), 95);
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
        let refused = |bytes| gate.admit_publish(Instant::ZERO, peer, bytes).err();
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
        assert!(gate.admit_publish(Instant::ZERO, "198.51.100.8".parse().unwrap(), 100).is_ok());
    }
}
