//! What a pool has done so far.

/// Why a connection was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The peer had closed or reset it while it rested.
    Peer,
    /// Bytes that nobody had asked for lay in it: the rest of an answer, or what an earlier user had left.
    Unread,
    /// Its user dropped it in the middle of an exchange, by an error or by cancellation.
    Abandoned,
    /// It was not used for [`idle`](super::Config::idle).
    Idle,
    /// It was [`lifetime`](super::Config::lifetime) old.
    Lifetime,
    /// Another address needed its place in the [`total`](super::Config::total).
    Evicted,
    /// The pool is closed.
    Shutdown,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Peer,
        Self::Unread,
        Self::Abandoned,
        Self::Idle,
        Self::Lifetime,
        Self::Evicted,
        Self::Shutdown,
    ];

    /// As it stands in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Peer => "peer",
            Self::Unread => "unread",
            Self::Abandoned => "abandoned",
            Self::Idle => "idle",
            Self::Lifetime => "lifetime",
            Self::Evicted => "evicted",
            Self::Shutdown => "shutdown",
        }
    }
}

/// Totals of one address, or of all, since the pool was made; and what is open at this moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Connections that were made.
    pub created: u64,
    /// How often one that was there was used again.
    pub reused: u64,
    /// How often somebody had to wait until another gave one back.
    pub waited: u64,
    /// How often nobody gave one back in time, or too many waited already.
    pub exhausted: u64,
    /// How often a connection could not be made.
    pub failed: u64,
    /// How often nobody tried, because it had just failed.
    pub refused: u64,
    /// Connections at rest now.
    pub idle: usize,
    /// Connections in use or being made now.
    pub in_use: usize,
    /// Tasks that wait now.
    pub waiting: usize,
    closed: [u64; Reason::ALL.len()],
}

impl Stats {
    /// How many connections were closed for this reason.
    pub const fn closed(&self, reason: Reason) -> u64 {
        self.closed[reason as usize]
    }

    /// How many connections were closed in all.
    pub fn closed_total(&self) -> u64 {
        self.closed.iter().sum()
    }

    pub(super) const fn close(&mut self, reason: Reason) {
        self.closed[reason as usize] += 1;
    }

    pub(super) fn add(&mut self, other: &Self) {
        let Self { created, reused, waited, exhausted, failed, refused, idle, in_use, waiting, closed } =
            other;
        self.created += created;
        self.reused += reused;
        self.waited += waited;
        self.exhausted += exhausted;
        self.failed += failed;
        self.refused += refused;
        self.idle += idle;
        self.in_use += in_use;
        self.waiting += waiting;
        self.closed.iter_mut().zip(closed).for_each(|(all, these)| *all += these);
    }
}
