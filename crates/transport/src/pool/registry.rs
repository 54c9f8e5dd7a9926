//! All addresses of a pool, what they share, and the task that keeps them in order.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use nyx_core::{Clock, Instant};
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};

use super::config::Config;
use super::connector::Connector;
use super::error::{AcquireError, ErrorOf};
use super::site::Site;
use super::stats::{Reason, Stats};

pub(super) struct Registry<C: Connector, K: Clock + 'static> {
    pub(super) common: Arc<Common<C, K>>,
    sites: Mutex<Sites<C, K>>,
    /// What addresses did that are forgotten.
    retired: Mutex<Stats>,
}

type Sites<C, K> = HashMap<<C as Connector>::Address, Arc<Site<C, K>>>;

/// What all addresses of a pool share.
pub(super) struct Common<C, K> {
    pub(super) config: Config,
    /// For how long a connection that was taken is taken again without a closer look.
    pub(super) trust: Duration,
    pub(super) connector: C,
    pub(super) clock: K,
    /// The places of [`Config::total`].
    pub(super) total: Arc<Semaphore>,
    /// Those who wait for one.
    starving: AtomicUsize,
    closed: AtomicBool,
    keeper: Arc<Keeper>,
}

/// Until when the task that looks after a pool sleeps.
#[derive(Debug)]
struct Keeper {
    /// In nanoseconds of the pool's clock; the largest number while it is awake.
    until: AtomicU64,
    call: Notify,
}

impl<C, K: Clock> Common<C, K> {
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Somebody's time is over at `deadline`: whoever looks after that must be awake by then.
    pub(super) fn expect_by(&self, deadline: Instant) {
        if deadline.as_nanos() < self.keeper.until.load(Ordering::SeqCst) {
            self.keeper.call.notify_one();
        }
    }

    /// Counts the caller as in need of a place, until what is returned is dropped.
    pub(super) fn starve(&self) -> Starving<'_> {
        self.starving.fetch_add(1, Ordering::SeqCst);
        Starving(&self.starving)
    }

    /// Why a connection that is given back is not kept, if it is not.
    #[inline]
    pub(super) fn wants_back(&self) -> Option<Reason> {
        if self.starving.load(Ordering::Relaxed) > 0 {
            return Some(Reason::Evicted);
        }
        self.is_closed().then_some(Reason::Shutdown)
    }
}

pub(super) struct Starving<'a>(&'a AtomicUsize);

impl Drop for Starving<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl<C: Connector, K: Clock + 'static> Registry<C, K> {
    pub(super) fn new(connector: C, config: Config, clock: K) -> Arc<Self> {
        let total = Arc::new(Semaphore::new(config.total.clamp(1, Semaphore::MAX_PERMITS)));
        let keeper = Arc::new(Keeper { until: AtomicU64::new(u64::MAX), call: Notify::new() });
        let (starving, closed) = (AtomicUsize::new(0), AtomicBool::new(false));
        let trust = config.verify_after.min(config.idle);
        let common = Arc::new(Common { config, trust, connector, clock, total, starving, closed, keeper });
        let (sites, retired) = (Mutex::new(HashMap::new()), Mutex::new(Stats::default()));
        Arc::new(Self { common, sites, retired })
    }

    pub(super) fn site(self: &Arc<Self>, address: &C::Address) -> Result<Arc<Site<C, K>>, ErrorOf<C>> {
        let mut sites = self.sites.lock();
        if let Some(site) = sites.get(address) {
            return Ok(Arc::clone(site));
        }
        let addresses = self.common.config.addresses.max(1);
        if sites.len() >= addresses {
            self.forget_unused(&mut sites, self.common.clock.now());
        }
        if sites.len() >= addresses {
            return Err(AcquireError::Addresses { addresses });
        }
        let (common, registry) = (Arc::clone(&self.common), Arc::downgrade(self));
        let site = Arc::new(Site::new(address.clone(), common, registry, fastrand::u64(..)));
        sites.insert(address.clone(), Arc::clone(&site));
        Ok(site)
    }

    /// Closes the connection that has rested longest, of any address.
    pub(super) fn evict_oldest(&self) {
        let oldest = self.all().into_iter().filter_map(|site| Some((site.oldest_idle()?, site)));
        if let Some((_, site)) = oldest.min_by_key(|(since, _)| *since) {
            // Where it was taken in between, its user gives it back to who needs a place.
            site.close_oldest(Reason::Evicted);
        }
    }

    pub(super) fn stats(&self) -> Stats {
        // While the map is locked no address is forgotten, which would be in neither.
        let sites = self.sites.lock();
        let mut stats = *self.retired.lock();
        sites.values().for_each(|site| stats.add(&site.stats()));
        stats
    }

    pub(super) fn close(&self) {
        self.common.closed.store(true, Ordering::SeqCst);
        self.common.total.close();
        for site in self.all() {
            while site.close_oldest(Reason::Shutdown) {}
        }
    }

    /// Closes what is too old or broken, and forgets addresses that nobody uses.
    pub(super) fn reap(&self) {
        let now = self.common.clock.now();
        self.all().iter().for_each(|site| site.reap(now));
        self.forget_unused(&mut self.sites.lock(), now);
    }

    /// Tells those who have waited for too long, and says when the next one will have.
    pub(super) fn expire(&self) -> Option<Instant> {
        let now = self.common.clock.now();
        self.all().iter().filter_map(|site| site.expire(now)).min()
    }

    fn all(&self) -> Vec<Arc<Site<C, K>>> {
        self.sites.lock().values().cloned().collect()
    }

    fn forget_unused(&self, sites: &mut Sites<C, K>, now: Instant) {
        sites.retain(|_, site| {
            // Nobody else has it, and nobody can get it while the map is locked.
            let unused = Arc::strong_count(site) == 1 && site.is_unused(now);
            if unused {
                self.retired.lock().add(&site.stats());
            }
            !unused
        });
    }

    /// Makes up for connections that are missing to [`Config::idle_min`], one address after the other.
    fn top_up(&self) {
        let idle_min = self.common.config.idle_min;
        if idle_min == 0 || self.common.is_closed() {
            return;
        }
        for site in self.all() {
            if site.stats().idle < idle_min {
                tokio::spawn(async move { site.top_up(idle_min).await });
            }
        }
    }

    fn turn(&self, reap_at: &mut Instant) -> Duration {
        let keeper = &self.common.keeper;
        // Whoever begins to wait from here on calls.
        keeper.until.store(u64::MAX, Ordering::SeqCst);
        let now = self.common.clock.now();
        if now >= *reap_at {
            self.reap();
            self.top_up();
            *reap_at = now + reap_interval(&self.common.config);
        }
        let until = self.expire().map_or(*reap_at, |deadline| deadline.min(*reap_at));
        keeper.until.store(until.as_nanos(), Ordering::SeqCst);
        until - now
    }
}

impl<C: Connector, K: Clock + 'static> Drop for Registry<C, K> {
    fn drop(&mut self) {
        // So that its task ends.
        self.common.keeper.call.notify_one();
    }
}

/// Looks after a pool until it is gone.
pub(super) async fn keep<C: Connector, K: Clock + 'static>(registry: Weak<Registry<C, K>>) {
    let Some(keeper) = registry.upgrade().map(|registry| Arc::clone(&registry.common.keeper)) else { return };
    let mut reap_at = Instant::ZERO;
    while let Some(pause) = registry.upgrade().map(|registry| registry.turn(&mut reap_at)) {
        // Called or not: the next turn looks.
        let _ = tokio::time::timeout(pause, keeper.call.notified()).await;
    }
}

/// Often enough that nothing stays half as long again as it may, and no more often than a hundred times a second.
fn reap_interval(config: &Config) -> Duration {
    (config.idle.min(config.lifetime) / 4).clamp(Duration::from_millis(10), Duration::from_secs(15))
}
