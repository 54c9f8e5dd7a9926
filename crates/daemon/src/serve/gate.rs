//! How often one peer may come: asked before anything is read from it.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context as _;
use nyx_core::Instant;
use nyx_core::clock::Monotonic;
use nyx_core::limit::{AtomicMeter, Capacity, Denied, Keyed, Quota};

use crate::config::Limits;
use crate::exit::Outcome;

/// Holds each address to its quotas of connections and of HTTP requests.
pub(crate) struct Gate {
    connections: Option<Keyed<Monotonic>>,
    requests: Option<Keyed<Monotonic>>,
    log: Log,
}

/// Addresses that are remembered, at 16 bytes each. An address that can't be remembered under a flood of others gets less,
/// and never more.
const PEERS: usize = 65_536;

impl Gate {
    pub(crate) fn new(limits: &Limits, clock: &Monotonic, now: Instant) -> Outcome<Self> {
        let keyed = |quota: Option<Quota>| {
            let limiter = |quota| Keyed::with_clock(&quota, Capacity::keys(PEERS)?, clock.clone());
            quota.map(limiter).transpose().context("can't limit peers")
        };
        Ok(Self {
            connections: keyed(limits.connections_per_peer.0.quota())?,
            requests: keyed(limits.requests_per_peer.0.quota())?,
            log: Log::new(now)?,
        })
    }

    /// Whether a peer may connect. That one may not is told in the log now and then.
    pub(crate) fn admits(&self, now: Instant, peer: IpAddr) -> bool {
        let Some(limiter) = &self.connections else { return true };
        let refused = limiter.check_at(now, &network(peer)).is_err();
        if refused {
            self.log.refuse(now, peer);
        }
        !refused
    }

    /// Whether a peer may make a request.
    pub(crate) fn admit_request(&self, now: Instant, peer: IpAddr) -> Result<(), Denied> {
        self.requests.as_ref().map_or(Ok(()), |limiter| limiter.check_at(now, &network(peer)))
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
    lines: AtomicMeter,
}

impl Log {
    fn new(now: Instant) -> Outcome<Self> {
        let lines = Quota::per_second(1).context("can't limit the log")?;
        Ok(Self { refused: AtomicU64::new(0), told: AtomicU64::new(0), lines: AtomicMeter::new(&lines, now) })
    }

    fn refuse(&self, now: Instant, peer: IpAddr) {
        let refused = self.refused.fetch_add(1, Ordering::Relaxed) + 1;
        if self.lines.check_at(now).is_ok() {
            let others = refused.saturating_sub(self.told.swap(refused, Ordering::Relaxed) + 1);
            tracing::warn!(%peer, others, "connects too often: refused (limits.connections_per_peer)");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(connections: &str) -> Gate {
        let limits = toml::from_str(&format!("connections_per_peer = \"{connections}\"")).unwrap();
        Gate::new(&limits, &Monotonic::new(), Instant::ZERO).unwrap()
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
}
