//! A connection in use.

use std::fmt;
use std::mem;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use nyx_core::Clock;
use nyx_core::clock::Monotonic;

use super::connector::{Connector, Tcp};
use super::site::{Held, Site};
use super::stats::Reason;

/// A connection that is the holder's until it is [released](Self::release).
///
/// Dropping it closes it: a request that was cancelled, failed or panicked may have left half an answer in it, which the next user would
/// take for the beginning of its own.
#[must_use = "a connection that is dropped is closed; `release` gives it back"]
pub struct Lease<'a, C: Connector = Tcp, K: Clock + 'static = Monotonic>(
    /// Always there until the lease ends.
    Option<Loan<'a, C, K>>,
);

/// What is lent, and by whom.
struct Loan<'a, C: Connector, K: Clock + 'static> {
    held: Held<C, K>,
    home: Home<'a, C, K>,
}

/// Where the connection goes back to. Borrowing saves the counting of references, a third of the whole cost.
enum Home<'a, C: Connector, K: Clock + 'static> {
    Borrowed(&'a Site<C, K>),
    Shared(Arc<Site<C, K>>),
}

impl<C: Connector, K: Clock + 'static> Deref for Home<'_, C, K> {
    type Target = Site<C, K>;

    fn deref(&self) -> &Site<C, K> {
        match self {
            Self::Borrowed(site) => site,
            Self::Shared(site) => site,
        }
    }
}

impl<'a, C: Connector, K: Clock + 'static> Lease<'a, C, K> {
    pub(super) const fn borrowed(held: Held<C, K>, site: &'a Site<C, K>) -> Self {
        Self(Some(Loan { held, home: Home::Borrowed(site) }))
    }

    /// Gives the connection back. The exchange must be complete: nothing left to write, and the answer read to its end.
    #[inline]
    pub fn release(mut self) {
        let loan = self.0.take();
        // Nothing is left in it to drop, and the compiler is not to look for it: so the lease never is in memory.
        mem::forget(self);
        if let Some(Loan { held, home }) = loan {
            home.give_back(held);
        }
    }

    /// To whom.
    pub fn address(&self) -> &C::Address {
        self.loan().home.address()
    }

    fn loan(&self) -> &Loan<'a, C, K> {
        match &self.0 {
            Some(loan) => loan,
            None => unreachable!("it is taken only where the lease ends"),
        }
    }
}

impl<C: Connector, K: Clock + 'static> Lease<'static, C, K> {
    pub(super) const fn shared(held: Held<C, K>, site: Arc<Site<C, K>>) -> Self {
        Self(Some(Loan { held, home: Home::Shared(site) }))
    }
}

impl<C: Connector, K: Clock + 'static> Deref for Lease<'_, C, K> {
    type Target = C::Connection;

    #[inline]
    fn deref(&self) -> &C::Connection {
        &self.loan().held.connection
    }
}

impl<C: Connector, K: Clock + 'static> DerefMut for Lease<'_, C, K> {
    #[inline]
    fn deref_mut(&mut self) -> &mut C::Connection {
        match &mut self.0 {
            Some(loan) => &mut loan.held.connection,
            None => unreachable!("it is taken only where the lease ends"),
        }
    }
}

impl<C: Connector, K: Clock + 'static> Drop for Lease<'_, C, K> {
    fn drop(&mut self) {
        if let Some(Loan { held, home }) = self.0.take() {
            home.close(*held, Reason::Abandoned);
        }
    }
}

impl<C: Connector, K: Clock + 'static> fmt::Debug for Lease<'_, C, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("address", self.address()).finish_non_exhaustive()
    }
}
