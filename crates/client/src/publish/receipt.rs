//! What became of a record.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use thiserror::Error;

use crate::Refusal;
use crate::outgoing::Fate;
use crate::shared::Open;

/// The hub has taken a record in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Accepted {
    /// Its number in the topic, from 0. Records of one publisher are accepted in the order in which it published them.
    pub sequence: u64,
}

/// Why a record was not taken in, or is not known to have been.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refused {
    /// It is longer than the hub takes, and was not sent. Split it, or raise the hub's `limits.message_bytes`.
    #[error(
        "a message of {length} bytes is over the hub's limit of {limit}: send smaller ones or raise limits.message_bytes"
    )]
    TooLarge {
        /// Bytes of the payload.
        length: usize,
        /// What the hub takes.
        limit: usize,
    },
    /// The hub refused it, or its topic: the [code](Refusal::code) says why. It is not in the topic.
    #[error(transparent)]
    ByHub(Refusal),
    /// The connection was lost before the hub had answered, so it may be in the topic or not. Publish it again if a duplicate does
    /// no harm.
    #[error("the connection was lost before the hub had answered: the record may have arrived or not")]
    InDoubt,
    /// The client was closed before it was sent. It is not in the topic.
    #[error("the client was closed before the record was sent")]
    Closed,
}

impl Fate {
    /// What the record has that stands `offset` places behind the first.
    fn of(&self, offset: u64) -> Result<Accepted, Refused> {
        match self {
            Self::Accepted(first) => Ok(Accepted { sequence: first.wrapping_add(offset) }),
            Self::Refused(refusal) => Err(Refused::ByHub(refusal.clone())),
            Self::TooLarge { length, limit } => Err(Refused::TooLarge { length: *length, limit: *limit }),
            Self::InDoubt => Err(Refused::InDoubt),
            Self::Closed => Err(Refused::Closed),
        }
    }
}

/// The results of some records, which come one after the other.
#[derive(Debug, Default)]
pub(crate) struct Promise(Mutex<Inside>);

#[derive(Debug, Default)]
struct Inside {
    /// First, count and fate.
    parts: Vec<(u64, u64, Fate)>,
    settled: u64,
    /// How many records there are. Known when the last one has been appended.
    total: Option<u64>,
    waker: Option<Waker>,
}

impl Promise {
    /// `count` records from number `first` on have met this fate. Returns whom to wake, when no lock is held.
    pub(crate) fn settle(&self, first: u64, count: u64, fate: Fate) -> Option<Waker> {
        let mut inside = self.0.lock();
        inside.parts.push((first, count, fate));
        inside.settled += count;
        if inside.total == Some(inside.settled) { inside.waker.take() } else { None }
    }

    /// There are so many records, and no more will follow.
    pub(crate) fn seal(&self, total: u64) {
        self.0.lock().total = Some(total);
    }

    fn poll_parts(&self, cx: &mut Context<'_>) -> Poll<Vec<(u64, u64, Fate)>> {
        let mut inside = self.0.lock();
        if inside.total == Some(inside.settled) {
            return Poll::Ready(std::mem::take(&mut inside.parts));
        }
        match &mut inside.waker {
            Some(present) => present.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    #[cfg(test)]
    pub(crate) fn parts(&self) -> Vec<(u64, u64, Fate)> {
        self.0.lock().parts.clone()
    }
}

/// A record that is on its way: a future of what becomes of it.
///
/// The record is on its way whether or not anybody waits. As long as there is a receipt, the connection stays open.
#[derive(Debug)]
#[must_use = "the record is on its way; wait for its receipt, or use `Events::send`, which costs less"]
pub struct Receipt(Receipts);

impl Receipt {
    pub(super) const fn new(promise: Arc<Promise>, open: Arc<Open>) -> Self {
        Self(Receipts::new(promise, open))
    }
}

impl Future for Receipt {
    type Output = Result<Accepted, Refused>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let promise = &self.as_mut().0.promise;
        promise
            .poll_parts(cx)
            .map(|parts| parts.first().map_or(Err(Refused::Closed), |(_, _, fate)| fate.of(0)))
    }
}

/// Records that are on their way: a future of what becomes of each, in the order in which they were published.
#[derive(Debug)]
#[must_use = "the records are on their way; wait for their receipts, or use `Events::send_batch`, which costs less"]
pub struct Receipts {
    promise: Arc<Promise>,
    /// Dropping every handle closes the connection, and with it the way of the answer.
    _open: Arc<Open>,
}

impl Receipts {
    pub(super) const fn new(promise: Arc<Promise>, open: Arc<Open>) -> Self {
        Self { promise, _open: open }
    }
}

impl Future for Receipts {
    type Output = Vec<Result<Accepted, Refused>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.promise.poll_parts(cx).map(|mut parts| {
            // What was never sent is settled before what was sent earlier.
            parts.sort_by_key(|(first, ..)| *first);
            parts.iter().flat_map(|(_, count, fate)| (0..*count).map(|offset| fate.of(offset))).collect()
        })
    }
}
