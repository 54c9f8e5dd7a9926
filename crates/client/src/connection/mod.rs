//! One connection: the handshake, and the session that follows.

mod datagrams;
mod drain;
mod handshake;
#[cfg(feature = "fuzzing")]
pub(crate) mod hearer;
mod keepalive;
mod messages;
pub(crate) mod packing;
mod pending;
mod session;

use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use nyx_transport::read::Reader;
use nyx_transport::tls::Stream;
use thiserror::Error;
use tokio::time::{Interval, MissedTickBehavior};

use crate::Refusal;
use crate::error::{ConnectError, ProtocolError};
use crate::outgoing::Segment;
use crate::shared::Shared;

/// A connection that the hub has welcomed.
#[derive(Debug)]
pub(crate) enum Link {
    Stream(StreamLink),
    Datagrams(Box<datagrams::Link>),
}

/// One attempt, within the connect timeout.
pub(crate) async fn connect(shared: &Shared) -> Result<Link, ConnectError> {
    if shared.address.is_udp() {
        return datagrams::connect(shared).await.map(|link| Link::Datagrams(Box::new(link)));
    }
    handshake::connect(shared).await.map(Link::Stream)
}

impl Link {
    /// Runs until the connection is over, and returns why, and what was not written.
    pub(crate) async fn run(self, shared: &Shared) -> (End, Vec<Segment>) {
        match self {
            Self::Stream(link) => session::Session::new(shared, link).run().await,
            Self::Datagrams(link) => datagrams::Session::new(shared, *link).run().await,
        }
    }
}

/// A connection of TCP, encrypted or not.
#[derive(Debug)]
pub(crate) struct StreamLink {
    stream: Stream,
    /// What came behind the welcome is in here.
    reader: Reader,
    /// Whether the hub takes blocks.
    takes_blocks: bool,
}

/// Takes turns until one says that there was nothing to do, and lets other tasks have theirs after some: each turn moves some hundred KiB
/// at most.
fn poll_turns(
    cx: &mut Context<'_>,
    mut turn: impl FnMut(&mut Context<'_>) -> Result<bool, End>,
) -> Poll<End> {
    for _ in 0..TURNS {
        match turn(cx) {
            Ok(true) => {}
            Ok(false) => return Poll::Pending,
            Err(end) => return Poll::Ready(end),
        }
    }
    cx.waker().wake_by_ref();
    Poll::Pending
}

/// When a session looks at the time: every second.
fn ticks() -> Interval {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

const TURNS: usize = 16;
const TICK: Duration = Duration::from_secs(1);

/// Why a session is over.
#[derive(Debug, Error)]
pub(crate) enum End {
    /// The client was closed, and all is written.
    #[error("closed")]
    Closed,
    #[error("the hub closed the connection")]
    ByHub,
    #[error("the hub says goodbye: {0}")]
    Goodbye(String),
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
    #[error("the hub does not keep to the protocol: {0}")]
    Protocol(#[from] ProtocolError),
    #[error(transparent)]
    Refused(Refusal),
    /// Datagrams bring nothing any more.
    #[error(transparent)]
    Datagrams(nyx_transport::udp::connection::Reason),
    #[error("the hub has been silent for 30 s")]
    Silent,
}
