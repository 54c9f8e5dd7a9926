//! A quota for each of many keys, in memory that is fixed.

mod capacity;
mod table;

use std::hash::{BuildHasher, Hash};

use foldhash::quality::RandomState;

pub use capacity::{Capacity, CapacityError};
use table::{LockedShard, Shard};

use super::grain::{Flow, Grain};
use super::{AdjustError, CheckError, Denied, Quota};
use crate::clock::Monotonic;
use crate::{Clock, Instant};

/// A limiter that holds each key to the same quota, and never takes up more memory than at construction.
///
/// A key costs 16 bytes: a 64-bit hash and an account. Keys live in sets of eight, which are two cache lines of 64 bytes, and a check
/// touches one set, under the lock of its shard.
///
/// # Which keys are forgotten
///
/// A key that owes nothing is like one that was never seen, so forgetting it loses nothing. Where a set is full, the newcomer
/// takes the place of the key that is nearest to that; of several that owe nothing it is the one that has rested longest. If
/// all eight are in debt, the newcomer takes the place of the smallest debtor *and its debt* (the replacement rule of the Space-Saving
/// algorithm: Metwally, Agrawal, El Abbadi, "Efficient computation of frequent and top-k elements in data streams", 2005).
/// So the debt on record is never under the true one: whoever floods the limiter with fresh keys can't get a key
/// out of its debt, and no key ever gets more than its quota.
///
/// The price is paid by newcomers, and only under overload: while eight keys of a set are in debt, a new key in this set starts
/// with less than its burst. A denied newcomer displaces nobody. Make the capacity twice the number of keys that are
/// in debt at one time, and it happens to about 5 % of new keys, or three times that number, and it happens to less than 1 %;
/// [`Keyed::inherited`] counts it.
///
/// # Whose hash
///
/// Hashes come from `foldhash` with a random seed and never leave the limiter. Two keys whose 64 bits agree share
/// an account, which makes both of them poorer; so an adversary who could foresee hashes, without knowing the seed, could
/// have others denied, but not get more himself. Who fears even that passes the standard library's `RandomState`
/// (SipHash) to [`Keyed::with_hasher`], at about 10 ns a check.
///
/// ```
/// use nyx_core::limit::{Capacity, Keyed, Quota};
///
/// let logins = Keyed::new(&Quota::per_second(1)?.with_burst(3)?, Capacity::keys(100_000)?)?;
/// assert!((0..3).all(|_| logins.check("198.51.100.7").is_ok()));
/// assert!(logins.check("198.51.100.7").is_err());
/// assert!(logins.check("203.0.113.9").is_ok());
/// assert_eq!(logins.len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Keyed<C = Monotonic, S = RandomState> {
    shards: Box<[LockedShard]>,
    grain: Grain,
    capacity: Capacity,
    hasher: S,
    clock: C,
}

impl Keyed {
    /// By a [`Monotonic`] clock of its own. All memory is taken here.
    ///
    /// O(capacity), once.
    ///
    /// # Errors
    ///
    /// If there is not the memory.
    ///
    /// ```
    /// use nyx_core::limit::{Capacity, Keyed, Quota};
    ///
    /// let capacity = Capacity::within("1MiB".parse()?)?;
    /// let limiter = Keyed::new(&Quota::per_second(10)?, capacity)?;
    /// assert!(limiter.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(quota: &Quota, capacity: Capacity) -> Result<Self, CapacityError> {
        Self::with_hasher(quota, capacity, Monotonic::new(), RandomState::default())
    }
}

impl<C: Clock> Keyed<C> {
    /// By this clock.
    ///
    /// O(capacity), once.
    ///
    /// # Errors
    ///
    /// If there is not the memory.
    ///
    /// ```
    /// use nyx_core::clock::Manual;
    /// use nyx_core::limit::{Capacity, Keyed, Quota};
    ///
    /// let clock = Manual::new();
    /// let limiter = Keyed::with_clock(&Quota::per_second(10)?, Capacity::keys(100)?, clock.clone())?;
    /// assert!(limiter.check(&7).is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn with_clock(quota: &Quota, capacity: Capacity, clock: C) -> Result<Self, CapacityError> {
        Self::with_hasher(quota, capacity, clock, RandomState::default())
    }
}

impl<C: Clock, S: BuildHasher> Keyed<C, S> {
    /// By this clock and this hasher, which has to spread keys over all 64 bits and ought to have a secret seed.
    ///
    /// O(capacity), once.
    ///
    /// # Errors
    ///
    /// If there is not the memory.
    ///
    /// ```
    /// use nyx_core::clock::Monotonic;
    /// use nyx_core::limit::{Capacity, Keyed, Quota};
    /// use std::hash::RandomState;
    ///
    /// let (quota, capacity) = (Quota::per_second(10)?, Capacity::keys(100)?);
    /// let limiter = Keyed::with_hasher(&quota, capacity, Monotonic::new(), RandomState::new())?;
    /// assert!(limiter.check("198.51.100.7").is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn with_hasher(
        quota: &Quota,
        capacity: Capacity,
        clock: C,
        hasher: S,
    ) -> Result<Self, CapacityError> {
        let grain = Grain::adjustable(quota);
        let flow = Flow::starting(quota, grain, clock.now().as_nanos(), 1);
        let shard = |_| Shard::locked(flow, capacity.sets_per_shard);
        let shards = (0..capacity.shards).map(shard).collect::<Result<_, _>>()?;
        Ok(Self { shards, grain, capacity, hasher, clock })
    }

    /// Takes one token of `key`.
    ///
    /// O(1) beside the hash of the key, under the lock of its shard.
    ///
    /// # Errors
    ///
    /// If there is none: when there will be.
    ///
    /// ```
    /// # use nyx_core::clock::Manual;
    /// # use nyx_core::limit::{Capacity, Keyed, Quota};
    /// let quota = Quota::per_second(10)?.with_burst(1)?;
    /// let limiter = Keyed::with_clock(&quota, Capacity::keys(100)?, Manual::new())?;
    /// assert!(limiter.check("a").is_ok());
    /// assert!(limiter.check("a").is_err());
    /// assert!(limiter.check("b").is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn check<K: Hash + ?Sized>(&self, key: &K) -> Result<(), Denied> {
        self.check_at(self.clock.now(), key)
    }

    /// Takes `n` tokens of `key`, or none.
    ///
    /// O(1), as [`Keyed::check`].
    ///
    /// # Errors
    ///
    /// If there are not enough: when there will be, or that there never will be because `n` is over the burst.
    ///
    /// ```
    /// # use nyx_core::clock::Manual;
    /// # use nyx_core::limit::{Capacity, Keyed, Quota};
    /// let limiter = Keyed::with_clock(&Quota::per_second(10)?, Capacity::keys(100)?, Manual::new())?;
    /// assert!(limiter.check_n("a", 7).is_ok());
    /// assert!(limiter.check_n("a", 7).is_err());
    /// assert!(limiter.check_n("a", 3).is_ok()); // what was refused took nothing
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn check_n<K: Hash + ?Sized>(&self, key: &K, n: u64) -> Result<(), CheckError> {
        self.check_n_at(self.clock.now(), key, n)
    }

    /// [`Keyed::check`] for those who have the time of this limiter's clock at hand.
    ///
    /// # Errors
    ///
    /// As [`Keyed::check`].
    ///
    /// ```
    /// # use nyx_core::clock::{Clock, Manual};
    /// # use nyx_core::limit::{Capacity, Keyed, Quota};
    /// let clock = Manual::new();
    /// let limiter = Keyed::with_clock(&Quota::per_second(10)?, Capacity::keys(100)?, clock.clone())?;
    /// let now = clock.now(); // once for all three
    /// assert!(["a", "b", "c"].iter().all(|key| limiter.check_at(now, key).is_ok()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn check_at<K: Hash + ?Sized>(&self, now: Instant, key: &K) -> Result<(), Denied> {
        let (hash, shard) = self.locate(key);
        shard.lock().take(hash, self.grain.one(), now)
    }

    /// [`Keyed::check_n`] for those who have the time of this limiter's clock at hand.
    ///
    /// # Errors
    ///
    /// As [`Keyed::check_n`].
    ///
    /// ```
    /// # use nyx_core::clock::{Clock, Manual};
    /// # use nyx_core::limit::{Capacity, Keyed, Quota};
    /// let clock = Manual::new();
    /// let limiter = Keyed::with_clock(&Quota::per_second(10)?, Capacity::keys(100)?, clock.clone())?;
    /// assert!(limiter.check_n_at(clock.now(), "a", 10).is_ok());
    /// assert!(limiter.check_n_at(clock.now(), "a", 1).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn check_n_at<K: Hash + ?Sized>(&self, now: Instant, key: &K, n: u64) -> Result<(), CheckError> {
        let (hash, shard) = self.locate(key);
        let mut shard = shard.lock();
        let cost = shard.flow().cost(self.grain, n)?;
        Ok(shard.take(hash, cost, now)?)
    }

    /// Gives `n` tokens back to `key`, as [`Meter::refund`](super::Meter::refund). Nothing is given to a key that was
    /// forgotten, and where all keys of its set are in debt a key stays at least the second smallest debtor: who
    /// was displaced may owe as much as the smallest.
    ///
    /// O(1), as [`Keyed::check`].
    ///
    /// ```
    /// # use nyx_core::clock::Manual;
    /// # use nyx_core::limit::{Capacity, Keyed, Quota};
    /// let limiter = Keyed::with_clock(&Quota::per_second(10)?, Capacity::keys(100)?, Manual::new())?;
    /// limiter.check_n("a", 10)?;
    /// limiter.refund("a", 4);
    /// assert!(limiter.check_n("a", 4).is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn refund<K: Hash + ?Sized>(&self, key: &K, n: u64) {
        let (hash, shard) = self.locate(key);
        shard.lock().refund(hash, self.grain.of(n));
    }

    /// Changes over to another quota, shard by shard, while others check. What is owed stays owed.
    ///
    /// O(shards), however many keys there are.
    ///
    /// # Errors
    ///
    /// As [`AtomicMeter::set_quota`](super::AtomicMeter::set_quota).
    ///
    /// ```
    /// # use nyx_core::clock::Manual;
    /// # use nyx_core::limit::{Capacity, Keyed, Quota};
    /// let limiter = Keyed::with_clock(&Quota::per_second(10)?, Capacity::keys(100)?, Manual::new())?;
    /// limiter.check_n("a", 4)?;
    /// limiter.set_quota(&Quota::per_second(50)?)?;
    /// assert!(limiter.check_n("a", 47).is_err());
    /// assert!(limiter.check_n("a", 46).is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn set_quota(&self, quota: &Quota) -> Result<(), AdjustError> {
        self.grain.holds(quota)?;
        for shard in &self.shards {
            shard.lock().adjust(|flow| flow.adjusted(quota, self.grain, self.clock.now()));
        }
        Ok(())
    }

    /// Keys on record, in debt or not. Takes every lock in turn, as the two counters below do.
    ///
    /// O(shards).
    ///
    /// ```
    /// # use nyx_core::clock::Manual;
    /// # use nyx_core::limit::{Capacity, Keyed, Quota};
    /// let limiter = Keyed::with_clock(&Quota::per_second(10)?, Capacity::keys(100)?, Manual::new())?;
    /// limiter.check("a")?;
    /// limiter.check("b")?;
    /// assert_eq!(limiter.len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn len(&self) -> usize {
        self.sum(|shard| shard.counts().used) as usize
    }

    /// Whether no key has been seen.
    ///
    /// O(shards).
    ///
    /// ```
    /// # use nyx_core::clock::Manual;
    /// # use nyx_core::limit::{Capacity, Keyed, Quota};
    /// let limiter = Keyed::with_clock(&Quota::per_second(10)?, Capacity::keys(100)?, Manual::new())?;
    /// assert!(limiter.is_empty());
    /// limiter.check("a")?;
    /// assert!(!limiter.is_empty());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What it may hold, and the memory that takes.
    ///
    /// ```
    /// # use nyx_core::clock::Manual;
    /// # use nyx_core::limit::{Capacity, Keyed, Quota};
    /// let limiter = Keyed::with_clock(&Quota::per_second(10)?, Capacity::keys(100)?, Manual::new())?;
    /// assert_eq!(limiter.capacity(), Capacity::keys(100)?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn capacity(&self) -> Capacity {
        self.capacity
    }

    /// How many keys that owed nothing have been forgotten to make room.
    ///
    /// O(shards).
    ///
    /// ```
    /// # use nyx_core::clock::Manual;
    /// # use nyx_core::limit::{Capacity, Keyed, Quota};
    /// # use std::time::Duration;
    /// let clock = Manual::new();
    /// let limiter = Keyed::with_clock(&Quota::per_second(10)?, Capacity::keys(8)?, clock.clone())?;
    /// for key in 0..20 {
    ///     limiter.check(&key)?;
    ///     clock.advance(Duration::from_secs(1)); // and it owes nothing any more
    /// }
    /// assert_eq!((limiter.len(), limiter.evicted()), (8, 12));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn evicted(&self) -> u64 {
        self.sum(|shard| shard.counts().evicted)
    }

    /// How many newcomers took over a debt because all keys of their set were in debt. If this grows, the
    /// capacity is small for the load.
    ///
    /// O(shards).
    ///
    /// ```
    /// # use nyx_core::clock::Manual;
    /// # use nyx_core::limit::{Capacity, Keyed, Quota};
    /// let limiter = Keyed::with_clock(&Quota::per_second(10)?, Capacity::keys(8)?, Manual::new())?;
    /// (0..9).try_for_each(|key| limiter.check_n(&key, 5))?;
    /// assert_eq!(limiter.inherited(), 1);
    /// assert!(limiter.check(&8).is_err()); // owes its five and the five of another
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn inherited(&self) -> u64 {
        self.sum(|shard| shard.counts().inherited)
    }

    #[inline]
    fn locate<K: Hash + ?Sized>(&self, key: &K) -> (u64, &LockedShard) {
        let hash = self.hasher.hash_one(key);
        (hash, &self.shards[self.capacity.shard_of(hash)])
    }

    fn sum(&self, count: impl Fn(&Shard) -> u64) -> u64 {
        self.shards.iter().map(|shard| count(&shard.lock())).sum()
    }
}
