//! Why there is no connection.

use std::time::Duration;

use thiserror::Error;

use super::Connector;

/// What [`Target::acquire`](super::Target::acquire) fails with, for a connector.
pub type ErrorOf<C> = AcquireError<<C as Connector>::Address, <C as Connector>::Error>;

/// Why [`acquire`](super::Target::acquire) has no connection to give.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AcquireError<A, E> {
    /// The address can't be reached. It is left alone for a while.
    #[error("{source}")]
    Connect {
        /// Who was called.
        address: A,
        /// What the connector says.
        source: E,
    },
    /// The address did not answer in time. It is left alone for a while.
    #[error("{address} did not answer within {timeout:?}: check the host, the network and firewalls")]
    ConnectTimeout {
        /// Who was called.
        address: A,
        /// How long was waited.
        timeout: Duration,
    },
    /// The address could not be reached just now, so nobody tried again.
    #[error("{address} could not be reached {failures} times in a row: it is tried again in {retry_in:?}")]
    Resting {
        /// Who is not called.
        address: A,
        /// How often it failed since it last worked.
        failures: u32,
        /// When asking again makes sense.
        retry_in: Duration,
    },
    /// All connections stayed in use.
    #[error(
        "no connection to {address} became free within {timeout:?}: give them back sooner, or allow more (`per_address`, `total`)"
    )]
    Exhausted {
        /// To whom.
        address: A,
        /// How long was waited.
        timeout: Duration,
    },
    /// So many tasks wait already that no more may.
    #[error(
        "{waiting} tasks wait for a connection to {address} already: ask for less at a time, or allow more (`waiters`)"
    )]
    Crowded {
        /// For whom they wait.
        address: A,
        /// How many.
        waiting: usize,
    },
    /// There are connections to as many addresses as may be.
    #[error("there are connections to {addresses} addresses, and no more may be: allow more (`addresses`)")]
    Addresses {
        /// How many.
        addresses: usize,
    },
    /// The pool was closed.
    #[error("the pool was closed")]
    Closed,
}
