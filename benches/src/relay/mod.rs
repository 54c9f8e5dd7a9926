//! One publisher through a server to many subscribers: how much, and how late?
//!
//! A *contender* is a server and its client. Every run is three processes of their own: the server, the publisher,
//! and one that holds all subscribers, each with its own connection over TCP on loopback. All contenders run under
//! the same loop in [`measure`] and do the same work in [`worker`]: the publisher numbers each message, the
//! subscribers read the first 16 bytes of each and check the number. What was sent and did not come is counted.
//!
//! Two modes: *saturated* (as fast as the publisher is let) gives messages per second over a window after warm-up;
//! *paced* (1,000 messages per second) gives the age of the messages, from the call that publishes to the
//! subscriber's hand, by the monotonic clock that the processes of one machine share.
//!
//! Reading order: [`contender`], [`payload`], [`worker`], [`measure`], [`table`]; then the contenders, [`floor`]
//! first: it relays bytes without any protocol and is the yardstick.

pub mod contender;
pub mod floor;
pub mod measure;
#[cfg(feature = "nats")]
pub mod nats;
pub mod nyx;
pub mod options;
pub mod payload;
pub mod process;
pub mod table;
pub mod worker;
#[cfg(feature = "zenoh")]
pub mod zenoh;

pub use contender::Error;
pub use measure::run;
pub use options::Args;
