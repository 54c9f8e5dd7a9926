//! How large a datagram the path carries, found by asking: DPLPMTUD (RFC 8899).
//!
//! The sockets of this crate forbid fragmentation on the way, so a datagram that is too large for a link is lost, and nobody says so
//! reliably. [`Discovery`] sends *probes*, datagrams that carry nothing but their size, and believes what is acknowledged. It is a value: who
//! drives it sends what [`poll_transmit`](Discovery::poll_transmit) asks for, and tells what came of it.
//!
//! | state of RFC 8899, section 5.2 | here |
//! | --- | --- |
//! | Base | the size is [`Config::base`], and a probe asks whether the path carries that |
//! | Search | probes ask for more: what carried before a black hole, then the most, then halfway |
//! | Search Complete | the size is asked again every [`Config::confirm`], more every [`Config::raise`] |
//! | Error | the path does not carry the base: the size is [`Config::min`] until it does |
//!
//! ```
//! use nyx_core::Instant;
//! use nyx_transport::udp::mtu::{Config, Discovery};
//!
//! // A path that carries 1,400 bytes, by a sender that learns at once what arrived.
//! let mut discovery = Discovery::new(Config::default());
//! let mut now = Instant::ZERO;
//! while !discovery.is_complete() {
//!     match discovery.poll_transmit(now) {
//!         Some(probe) if probe <= 1400 => discovery.handle_acked(now, probe),
//!         Some(_) => {}
//!         None => now = discovery.poll_timeout(),
//!     }
//!     discovery.handle_timeout(now);
//! }
//! assert!((1384..=1400).contains(&discovery.size()));
//! ```

use std::time::Duration;

use nyx_core::Instant;

/// Sizes and times of a [`Discovery`]. Sizes are bytes that a datagram carries, without the headers of IP and UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// What is sent where the path does not carry the base. Default 548, which every path of IPv4 carries.
    pub min: usize,
    /// What is sent until more is known, `BASE_PLPMTU`. Default 1200, which nearly every path carries (RFC 8899, section 5.1.2).
    pub base: usize,
    /// The most that is asked for, `MAX_PLPMTU`. Default 1472, what Ethernet carries; jumbo frames carry 8972, loopback 65,507.
    pub max: usize,
    /// The search ends when what is known to be carried is less than so much below what is not. Default 16.
    pub step: usize,
    /// How long an acknowledgement of a probe may take. Default 1 s, the least that RFC 8899 allows where the round trip is not
    /// known.
    pub probe_timeout: Duration,
    /// How often a size is asked for before it counts as not carried, `MAX_PROBES`; one loss may be congestion. Default 3.
    pub probes_max: u32,
    /// Datagrams larger than the base that are lost in a row before the path counts as one that carries no more than the base.
    /// Default 6: at a loss of 10 % that happens by chance once in a million, and costs two round trips of smaller datagrams.
    pub losses_max: u32,
    /// After so long without an acknowledgement of a datagram of the full size it is asked for again, and the base is resumed
    /// where it is not carried any more. Default 5 s.
    pub confirm: Duration,
    /// After so long more is asked for again, `PMTU_RAISE_TIMER`. Default 600 s.
    pub raise: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            min: 548,
            base: 1200,
            max: 1472,
            step: 16,
            probe_timeout: Duration::from_secs(1),
            probes_max: 3,
            losses_max: 6,
            confirm: Duration::from_secs(5),
            raise: Duration::from_secs(600),
        }
    }
}

/// Finds what one path carries, and notices when that changes.
///
/// Send a probe of each size that [`poll_transmit`](Self::poll_transmit) returns, at once; call
/// [`handle_timeout`](Self::handle_timeout) at [`poll_timeout`](Self::poll_timeout). Tell what is known of datagrams, probes and
/// others alike, by [`handle_acked`](Self::handle_acked), [`handle_lost`](Self::handle_lost) and
/// [`handle_too_large`](Self::handle_too_large). Where nothing but probes is acknowledged it works as well, only later.
#[derive(Clone, Debug)]
pub struct Discovery {
    config: Config,
    phase: Phase,
    /// What may be sent.
    size: usize,
    /// The largest that is not known to be too large.
    ceiling: usize,
    /// What is asked for first in a search: what was carried before it was not any more.
    hint: Option<usize>,
    probe: Option<Probe>,
    /// When something is to be asked next.
    due: Instant,
    /// When more is asked for again.
    raise_at: Instant,
    /// Datagrams larger than the base that were lost since one was acknowledged.
    losses: u32,
    stats: Stats,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Base,
    Search,
    Complete,
    Error,
}

/// A size that is being asked for.
#[derive(Clone, Copy, Debug)]
struct Probe {
    size: usize,
    /// How often it has been sent.
    sent: u32,
    /// When it counts as lost, once it was sent.
    until: Option<Instant>,
}

/// Totals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Probes that were sent.
    pub probes: u64,
    /// Of these, how many were not acknowledged in time.
    pub lost: u64,
    /// How often the path carried less than before, so that the base was resumed.
    pub black_holes: u64,
}

impl Discovery {
    /// A path of which nothing is known. Sizes are put in order: the base is raised to the minimum, and the maximum to the base.
    pub fn new(mut config: Config) -> Self {
        config.base = config.base.max(config.min);
        config.max = config.max.max(config.base);
        config.probes_max = config.probes_max.max(1);
        config.losses_max = config.losses_max.max(1);
        Self {
            config,
            phase: Phase::Base,
            size: config.base,
            ceiling: config.max,
            hint: None,
            probe: None,
            due: Instant::ZERO,
            raise_at: Instant::ZERO,
            losses: 0,
            stats: Stats::default(),
        }
    }

    /// Bytes that a datagram may carry now.
    pub const fn size(&self) -> usize {
        self.size
    }

    /// Whether the largest size is known, within [`Config::step`].
    pub fn is_complete(&self) -> bool {
        self.phase == Phase::Complete
    }

    /// Totals so far.
    pub const fn stats(&self) -> Stats {
        self.stats
    }

    /// The size of a probe that is to be sent now.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<usize> {
        if self.probe.is_none() && now >= self.due {
            let size = self.next_size(now);
            self.probe = Some(Probe { size, sent: 0, until: None });
        }
        let probe = self.probe.as_mut().filter(|probe| probe.until.is_none())?;
        probe.sent += 1;
        probe.until = Some(now + self.config.probe_timeout);
        self.stats.probes += 1;
        Some(probe.size)
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) and [`poll_transmit`](Self::poll_transmit) next.
    pub fn poll_timeout(&self) -> Instant {
        match &self.probe {
            Some(probe) => probe.until.unwrap_or(Instant::ZERO),
            None => self.due,
        }
    }

    /// Gives up on a probe whose time is over.
    pub fn handle_timeout(&mut self, now: Instant) {
        let Some(probe) = &mut self.probe else { return };
        if probe.until.is_none_or(|until| now < until) {
            return;
        }
        self.stats.lost += 1;
        if probe.sent < self.config.probes_max {
            probe.until = None;
        } else {
            let size = probe.size;
            self.refuse(now, size);
        }
    }

    /// A datagram with so many bytes has arrived.
    pub fn handle_acked(&mut self, now: Instant, bytes: usize) {
        if bytes > self.config.base {
            self.losses = 0;
        }
        if self.probe.is_some_and(|probe| probe.size == bytes) {
            self.probe = None;
            self.accept(now, bytes);
        } else if self.phase == Phase::Complete && self.probe.is_none() && bytes >= self.size {
            self.due = self.next_question(now);
        }
    }

    /// A datagram with so many bytes that was no probe has been lost. Congestion loses them as well, so only those above the base count, and only when none
    /// of them gets through any more.
    pub fn handle_lost(&mut self, now: Instant, bytes: usize) {
        if bytes <= self.config.base || self.size <= self.config.base || bytes > self.size {
            return;
        }
        self.losses += 1;
        if self.losses >= self.config.losses_max {
            self.fall_back(now);
        }
    }

    /// This system refused to send a datagram with so many bytes, because its own link carries less ([`Sent::too_large`](super::Sent::too_large)).
    pub fn handle_too_large(&mut self, now: Instant, bytes: usize) {
        if self.probe.is_some_and(|probe| probe.size == bytes) || bytes <= self.size {
            self.refuse(now, bytes);
        }
    }

    fn next_size(&mut self, now: Instant) -> usize {
        match self.phase {
            Phase::Base | Phase::Error => self.config.base,
            Phase::Complete if now < self.raise_at => self.size,
            Phase::Complete => {
                self.phase = Phase::Search;
                self.ceiling = self.config.max;
                self.next_in_search()
            }
            Phase::Search => self.next_in_search(),
        }
    }

    /// What may well be carried first: the search over all the rest takes seconds where probes get lost.
    fn next_in_search(&mut self) -> usize {
        let between = |size: &usize| *size > self.size && *size <= self.ceiling;
        let hint = self.hint.take().filter(between);
        let untried = self.ceiling == self.config.max && self.ceiling > self.size;
        hint.or(untried.then_some(self.ceiling))
            .unwrap_or_else(|| self.size + (self.ceiling - self.size).div_ceil(2))
    }

    fn accept(&mut self, now: Instant, bytes: usize) {
        if self.phase == Phase::Complete {
            self.due = self.next_question(now);
            return;
        }
        self.size = bytes;
        self.search(now);
    }

    /// The path does not carry this size.
    fn refuse(&mut self, now: Instant, bytes: usize) {
        self.probe = None;
        match self.phase {
            Phase::Search if bytes > self.size => {
                self.ceiling = bytes - 1;
                self.search(now);
            }
            // It was carried until now.
            Phase::Complete | Phase::Search if self.size > self.config.base => self.fall_back(now),
            _ => {
                self.phase = Phase::Error;
                self.size = self.config.min;
                self.due = now + self.config.confirm;
            }
        }
    }

    /// Goes on searching, or ends.
    fn search(&mut self, now: Instant) {
        self.due = now;
        self.phase = Phase::Search;
        if self.ceiling < self.size + self.config.step {
            self.phase = Phase::Complete;
            self.hint = None;
            self.raise_at = now + self.config.raise;
            self.due = self.next_question(now);
        }
    }

    /// Sends the base at once, and asks whether that is carried, then whether the old size is after all.
    fn fall_back(&mut self, now: Instant) {
        self.stats.black_holes += 1;
        self.hint = Some(self.size);
        self.phase = Phase::Base;
        self.size = self.config.base;
        self.ceiling = self.config.max;
        self.probe = None;
        self.losses = 0;
        self.due = now;
    }

    fn next_question(&self, now: Instant) -> Instant {
        (now + self.config.confirm).min(self.raise_at)
    }
}
