//! The Nyx server as a value: topics, sessions and fan-out, without sockets, tasks or a clock.
//!
//! A [`Hub`] holds topics. A [`Session`] is one peer: bytes go in by [`Session::handle_input`], bytes come out by
//! [`Session::poll_transmit`], and a [`Waker`](std::task::Waker) tells when there may be more. The driver owns the socket
//! and the clock and follows one rule:
//!
//! > Register the waker. Then, until nothing moves: write what is waiting; when all of it is written, call `poll_transmit`; read, and call
//! > `handle_input`; when `poll_timeout` has passed, call `handle_timeout`. When a socket that was full has taken more, call `handle_written`. When
//! > `is_finished` and all is written, close.
//!
//! Who may do what is said by [`access`]; a hub asks nobody unless it is told to.
//!
//! What is sent is decided in `poll_transmit`, when the socket has taken all that went before. A topic keeps an item once, as
//! the bytes that travel; a subscriber is a cursor into it.
//!
//! ```
//! use bytes::BytesMut;
//! use nyx_core::Instant;
//! use nyx_hub::{Config, Hub, Peer, Transport};
//! use nyx_protocol::control::{self, Advertise, Hello, Kind, Subscribe};
//! use nyx_protocol::wire::{self, Header};
//!
//! let hub = Hub::new(Config::default());
//! let now = Instant::ZERO;
//! let mut publisher = hub.session(now, Peer::new("one", Transport::Tcp)).unwrap();
//! let mut subscriber = hub.session(now, Peer::new("two", Transport::Tcp)).unwrap();
//!
//! let mut input = BytesMut::new();
//! control::put(&mut input, Hello { version: 1, name: "reader".into(), acknowledges: true, ..Default::default() });
//! control::put(&mut input, Subscribe { id: 1, pattern: "chat/*".into(), ..Default::default() });
//! subscriber.handle_input(now, &mut input).unwrap();
//!
//! control::put(&mut input, Hello { version: 1, name: "writer".into(), acknowledges: true, ..Default::default() });
//! control::put(&mut input, Advertise { alias: 7, topic: "chat/room".into(), kind: Kind::Event.into(), ..Default::default() });
//! wire::put_message(&mut input, Header { topic: 7, ..Header::data(wire::Kind::Event) }, b"hello");
//! publisher.handle_input(now, &mut input).unwrap();
//!
//! let mut out = Vec::new();
//! subscriber.poll_transmit(now, &mut out);
//! assert!(out.concat().ends_with(b"hello"));
//! ```
#![forbid(unsafe_code)]

pub mod access;
mod audience;
pub mod compression;
pub mod config;
mod document;
mod hub;
mod letters;
mod publish;
mod router;
mod session;
mod shared;
mod spec;
mod start;
pub mod stats;
mod tally;
mod topic;

pub use config::Config;
pub use hub::{AdmitError, CreateError, Hub};
pub use publish::{Latest, LoopError, PublishError};
pub use session::{Closed, Fate, Ingest, Parcel, Session};
pub use shared::{Peer, Transport};
pub use spec::Spec;
pub use topic::{Kept, Topic};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
