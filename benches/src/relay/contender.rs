//! What the bench asks of everyone who takes part.

use std::any::Any;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use clap::ValueEnum;
use serde::Serialize;

use super::options::Args;
use super::payload::Tally;
use super::process::Server;
use super::worker::Feed;

/// A server and its client.
pub trait Contender: Send + Sync {
    /// Starts the server as a process of its own and waits until it listens on a free port of 127.0.0.1.
    fn serve<'a>(&'a self, args: &'a Args) -> Pending<'a, Server>;

    /// Is the server, in a process that [`Server::hosted`] started.
    fn host(&self) -> Pending<'_, ()> {
        Box::pin(async { Err(Error::NoHost) })
    }

    /// Connects a [`Publisher`] and lets the feed drive it.
    fn publish<'a>(&'a self, address: SocketAddr, feed: Feed) -> Pending<'a, ()>;

    /// Connects one subscriber, on a connection of its own, that records every message in `tally` for as long as
    /// the [`Subscription`] lives. Ready when the server has confirmed it.
    fn subscribe(&self, address: SocketAddr, size: usize, tally: Tally) -> Pending<'_, Subscription>;
}

/// The publisher's side of a client, one message at a time.
pub trait Publisher: Send {
    /// Takes one message, waiting when the client or the server holds it back. The client may batch.
    fn publish(&mut self, payload: &[u8]) -> impl Future<Output = Result<(), Error>> + Send;

    /// Makes what was published leave now, where the client would otherwise wait for more.
    fn push(&mut self) -> impl Future<Output = Result<(), Error>> + Send {
        async { Ok(()) }
    }

    /// Returns when nothing that was published waits in the client any more.
    fn finish(&mut self) -> impl Future<Output = Result<(), Error>> + Send {
        self.push()
    }
}

/// What must be kept for messages to arrive.
pub type Subscription = Box<dyn Any + Send>;

/// A future that a [`Contender`] returns.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

/// The contenders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Name {
    /// `nyx serve` and nyx-client.
    Nyx,
    /// Bytes copied without a protocol.
    Floor,
    /// A Zenoh router and sessions, shared memory off.
    Zenoh,
    /// nats-server and async-nats.
    Nats,
}

impl Name {
    /// As on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nyx => "nyx",
            Self::Floor => "floor",
            Self::Zenoh => "zenoh",
            Self::Nats => "nats",
        }
    }

    /// Neither Nyx nor the yardstick.
    pub const fn is_peer(self) -> bool {
        matches!(self, Self::Zenoh | Self::Nats)
    }

    /// The contender of this name.
    ///
    /// # Errors
    /// [`Error::NotBuilt`] when its feature is off.
    pub fn contender(self) -> Result<Box<dyn Contender>, Error> {
        match self {
            Self::Nyx => Ok(Box::new(super::nyx::Nyx)),
            Self::Floor => Ok(Box::new(super::floor::Floor)),
            #[cfg(feature = "zenoh")]
            Self::Zenoh => Ok(Box::new(super::zenoh::Zenoh)),
            #[cfg(feature = "nats")]
            Self::Nats => Ok(Box::new(super::nats::Nats)),
            #[allow(unreachable_patterns, reason = "all arms are there when all features are on")]
            name => Err(Error::NotBuilt { feature: name.as_str() }),
        }
    }
}

/// Why a contender, a run or the whole bench could not go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A program is missing; the remedy says how to get it.
    #[error("{program} is not installed: {remedy}")]
    NotInstalled {
        /// What was looked for.
        program: String,
        /// What to do.
        remedy: &'static str,
    },
    /// The contender was not compiled in.
    #[error("not compiled in: add `--features {feature}` to the cargo command")]
    NotBuilt {
        /// Its cargo feature.
        feature: &'static str,
    },
    /// A process would not start.
    #[error("cannot start {program}: {source}")]
    Start {
        /// Its path.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// A process ended before its work was done. Its own words are on stderr.
    #[error("the {who} ended early; its message is above")]
    Ended {
        /// Which.
        who: &'static str,
    },
    /// A process did not answer in time: it is overloaded, or the bench has a bug.
    #[error("the {who} said nothing for {}s; try again on a quieter machine", limit.as_secs())]
    Timeout {
        /// Which.
        who: &'static str,
        /// How long it was waited for.
        limit: Duration,
    },
    /// A process said something else than was due: a bug in the bench.
    #[error("the {who} said {line:?} out of turn")]
    OutOfTurn {
        /// Which.
        who: &'static str,
        /// What it said.
        line: String,
    },
    /// Not every subscriber received messages, so there is nothing to compare.
    #[error("only {heard} of {subs} subscribers received anything")]
    Silent {
        /// How many received something.
        heard: u32,
        /// How many there are.
        subs: u32,
    },
    /// A subscriber got messages of the wrong length, twice or out of order.
    #[error("{count} messages were repeated, out of order or of the wrong length")]
    Wrong {
        /// How many.
        count: u64,
    },
    /// Every contender that was asked for had to be left out.
    #[error("no contender is left; what each one needs is said above")]
    Nobody,
    /// The smoke run, or a contender that it depends on, failed.
    #[error("{0}")]
    Smoke(String),
    /// A contender's client failed.
    #[error("{doing}: {source}")]
    Client {
        /// What it was doing.
        doing: &'static str,
        /// What it said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The contender's server is a program of its own.
    #[error("this contender has a server program of its own")]
    NoHost,
    /// Stopped from outside.
    #[error("interrupted")]
    Interrupted,
    /// A pipe or socket of the bench itself failed.
    #[error("{0}")]
    Io(#[from] io::Error),
}

impl Error {
    /// For `map_err`: a client's error, and what it was doing.
    pub fn client<E>(doing: &'static str) -> impl FnOnce(E) -> Self
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        move |source| Self::Client { doing, source: source.into() }
    }
}
