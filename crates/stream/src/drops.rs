//! Why an item was not delivered, and how many were not.

/// Why a subscriber did not get an item.
///
/// ```
/// use nyx_stream::Reason;
///
/// assert_eq!(Reason::PredictedLate.to_string(), Reason::PredictedLate.name());
/// assert!(Reason::ALL.iter().any(|reason| reason.name() == "expired"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Reason {
    /// It was older than `max_age` when the subscriber could have taken it.
    Expired,
    /// A newer one took its place.
    Conflated,
    /// The ring was full and the subscriber too far behind.
    Overrun,
    /// It could not have arrived in time at the rate at which the subscriber takes.
    PredictedLate,
    /// A limit on the rate was exceeded.
    RateLimited,
    /// What its publisher sent does not decode.
    Unreadable,
}

impl Reason {
    /// All reasons.
    pub const ALL: [Self; 6] = [
        Self::Expired,
        Self::Conflated,
        Self::Overrun,
        Self::PredictedLate,
        Self::RateLimited,
        Self::Unreadable,
    ];

    /// The reason's name in metrics and in the console.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Conflated => "conflated",
            Self::Overrun => "overrun",
            Self::PredictedLate => "predicted_late",
            Self::RateLimited => "rate_limited",
            Self::Unreadable => "unreadable",
        }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// Counts of undelivered items by reason. They saturate.
///
/// ```
/// use nyx_stream::{Drops, Reason};
///
/// let mut drops = Drops::default();
/// drops.add(Reason::Conflated, 6);
/// drops.merge(&drops.clone());
/// assert_eq!(drops.iter().collect::<Vec<_>>(), [(Reason::Conflated, 12)]);
/// assert_eq!((drops.get(Reason::Conflated), drops.total(), drops.is_empty()), (12, 12, false));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drops([u64; Reason::ALL.len()]);

impl Drops {
    /// Counts `count` items.
    pub fn add(&mut self, reason: Reason, count: u64) {
        let slot = &mut self.0[reason as usize];
        *slot = slot.saturating_add(count);
    }

    /// Adds all of another's counts.
    pub fn merge(&mut self, other: &Self) {
        for (slot, count) in self.0.iter_mut().zip(other.0) {
            *slot = slot.saturating_add(count);
        }
    }

    /// How many items for this reason.
    pub const fn get(&self, reason: Reason) -> u64 {
        self.0[reason as usize]
    }

    /// How many items in all.
    pub fn total(&self) -> u64 {
        self.0.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Whether none was dropped.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|count| *count == 0)
    }

    /// The reasons that occurred, with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (Reason, u64)> + '_ {
        Reason::ALL.into_iter().map(|reason| (reason, self.get(reason))).filter(|(_, count)| *count > 0)
    }
}
