//! The pool, and one of its addresses, as their users see them.

use std::fmt;
use std::sync::Arc;

use nyx_core::Clock;
use nyx_core::clock::Monotonic;

use super::config::Config;
use super::connector::{Connector, Tcp};
use super::error::ErrorOf;
use super::lease::Lease;
use super::registry::{self, Registry};
use super::site::Site;
use super::stats::Stats;
use super::warm::Goal;

/// Connections to many addresses. Clones share them.
///
/// A task of its own closes what is too old and tells those who have waited for too long; it ends with the last clone and
/// [`Target`].
pub struct Pool<C: Connector = Tcp, K: Clock + 'static = Monotonic> {
    registry: Arc<Registry<C, K>>,
}

impl<C: Connector> Pool<C> {
    /// A pool without connections.
    ///
    /// # Panics
    /// Outside of a tokio runtime with time enabled.
    pub fn new(connector: C, config: Config) -> Self {
        Self::with_clock(connector, config, Monotonic::new())
    }
}

impl<C: Connector, K: Clock + 'static> Pool<C, K> {
    /// A pool whose connections age by another clock, such as [`nyx_core::clock::Manual`] in a test.
    ///
    /// # Panics
    /// Outside of a tokio runtime with time enabled.
    pub fn with_clock(connector: C, config: Config, clock: K) -> Self {
        let registry = Registry::new(connector, config, clock);
        tokio::spawn(registry::keep(Arc::downgrade(&registry)));
        Self { registry }
    }

    /// A handle to one address, for those who use it often: finding it by its name costs more than a connection does.
    ///
    /// # Errors
    /// [`AcquireError::Addresses`](super::AcquireError::Addresses) when there are too many.
    pub fn target(&self, address: &C::Address) -> Result<Target<C, K>, ErrorOf<C>> {
        let site = self.registry.site(address)?;
        Ok(Target { site, registry: Arc::clone(&self.registry) })
    }

    /// A connection to an address, see [`Target::acquire`].
    ///
    /// # Errors
    /// [`AcquireError`](super::AcquireError) says what to do.
    ///
    /// # Cancel safety
    /// Who gives up waiting loses its turn, and nothing else.
    pub async fn acquire(&self, address: &C::Address) -> Result<Lease<'static, C, K>, ErrorOf<C>> {
        self.target(address)?.acquire_owned().await
    }

    /// Totals over all addresses.
    pub fn stats(&self) -> Stats {
        self.registry.stats()
    }

    /// Closes what is too old or broken now, and tells those who have waited for too long. The pool's task does so by itself; with a
    /// clock that is moved by hand, call it after moving.
    pub fn maintain(&self) {
        self.registry.reap();
        self.registry.expire();
    }

    /// Closes all connections: those at rest now, those in use when they are given back. Nobody gets one any more.
    pub fn close(&self) {
        self.registry.close();
    }
}

/// One address of a [`Pool`]. Clones are the same one.
pub struct Target<C: Connector = Tcp, K: Clock + 'static = Monotonic> {
    site: Arc<Site<C, K>>,
    /// So that the pool's task lives.
    registry: Arc<Registry<C, K>>,
}

impl<C: Connector, K: Clock + 'static> Target<C, K> {
    /// A connection: one that rests, a new one, or the next one that is given back.
    ///
    /// # Errors
    /// [`AcquireError`](super::AcquireError) says what to do.
    ///
    /// # Cancel safety
    /// Who gives up waiting loses its turn, and nothing else. A connection that was being made is closed.
    #[inline]
    pub async fn acquire(&self) -> Result<Lease<'_, C, K>, ErrorOf<C>> {
        // Usually one rests, and then nothing is to be set up for waiting.
        if let Some(lease) = self.try_acquire() {
            return Ok(lease);
        }
        self.site.wait().await.map(|held| Lease::borrowed(held, &self.site))
    }

    /// The same, for tasks that outlive the borrow.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire).
    ///
    /// # Cancel safety
    /// As [`acquire`](Self::acquire).
    pub async fn acquire_owned(&self) -> Result<Lease<'static, C, K>, ErrorOf<C>> {
        let held = match self.site.take_idle() {
            Some(held) => held,
            None => self.site.wait().await?,
        };
        Ok(Lease::shared(held, Arc::clone(&self.site)))
    }

    /// A connection that rests and lives, if there is one.
    #[inline]
    pub fn try_acquire(&self) -> Option<Lease<'_, C, K>> {
        self.site.take_idle().map(|held| Lease::borrowed(held, &self.site))
    }

    /// Makes connections until so many are open, those in use included, and returns how many it made. No more are made than
    /// [`per_address`](Config::per_address), and than there are free places in the [`total`](Config::total).
    ///
    /// # Errors
    /// Of the first that can't be made. Those that were made before rest.
    ///
    /// # Cancel safety
    /// What was made rests; what was being made is closed.
    pub async fn warm(&self, connections: usize) -> Result<usize, ErrorOf<C>> {
        let mut made = 0;
        while self.site.warm_one(Goal::Open(connections)).await? {
            made += 1;
        }
        Ok(made)
    }

    /// Totals of this address.
    pub fn stats(&self) -> Stats {
        self.site.stats()
    }

    /// Which address it is.
    pub fn address(&self) -> &C::Address {
        self.site.address()
    }
}

impl<C: Connector, K: Clock + 'static> Clone for Pool<C, K> {
    fn clone(&self) -> Self {
        Self { registry: Arc::clone(&self.registry) }
    }
}

impl<C: Connector, K: Clock + 'static> Clone for Target<C, K> {
    fn clone(&self) -> Self {
        Self { site: Arc::clone(&self.site), registry: Arc::clone(&self.registry) }
    }
}

impl<C: Connector, K: Clock + 'static> fmt::Debug for Pool<C, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

impl<C: Connector, K: Clock + 'static> fmt::Debug for Target<C, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").field("address", self.address()).finish_non_exhaustive()
    }
}
