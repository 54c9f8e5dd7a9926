//! Subscriptions, and what they receive.

mod acks;
mod inbox;
mod item;
mod replica;
mod run;
mod subscription;

use std::time::Duration;

use nyx_protocol::state::Limits;
use thiserror::Error;

pub(crate) use acks::{Acks, Credit, Share};
pub(crate) use inbox::{Delivery, Inbox};
pub use item::{Audio, Batch, Event, Frame, Gap, Item, Messages, Missing, Reason, Reconnected, State, Topic};
pub(crate) use replica::{Replica, Update};
pub(crate) use run::{Run, Unpacked};
pub use subscription::Subscription;

use crate::Refusal;

/// The terms of a subscription.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Options {
    /// How old an item may be when it is sent to this subscriber, in whole milliseconds. Default: the topic's own, which it
    /// never exceeds.
    pub max_age: Option<Duration>,
    /// What a state document may take here. Default: the hub's defaults; raise them if the hub's were raised. A document that takes more is not
    /// had, which a [`Gap`] with [`Reason::OverLimits`] tells once.
    pub limits: Limits,
}

/// Why nothing more is received.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RecvError {
    /// The hub, having been lost and found again, refuses the subscription now.
    #[error(transparent)]
    Refused(Refusal),
    /// The client was closed.
    #[error("the client was closed")]
    Closed,
}
