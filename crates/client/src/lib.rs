//! Publish to and subscribe from a Nyx hub.
//!
//! A [`Client`] is one connection, cheap to clone, which comes back by itself when it is cut. It must be made within a
//! tokio runtime with time and I/O enabled, which then runs its one task.
//!
//! # Publishing
//!
//! One handle per topic, of the topic's kind. Making one waits until the hub has accepted the topic, so a wrong kind or name
//! is an error there. Sending appends to the connection's outgoing buffer and waits only while too much is waiting already.
//!
//! | handle | made by | sends |
//! | --- | --- | --- |
//! | [`publish::Events`] | [`Client::events`] | [`send`](publish::Events::send), `send_text`, `send_json`, `send_stamped`, [`send_batch`](publish::Events::send_batch) |
//! | [`publish::Acknowledged`] | [`Client::acknowledged`] | [`publish`](publish::Acknowledged::publish), [`publish_batch`](publish::Acknowledged::publish_batch): events, and what became of each |
//! | [`publish::Frames`] | [`Client::frames`] | [`publish::Frame`] |
//! | [`publish::Audio`] | [`Client::audio`] | chunks of samples |
//! | [`publish::State`] | [`Client::state`] | [`set`](publish::State::set): a whole value, of which the difference travels; [`patch`](publish::State::patch) |
//!
//! What the hub says against something that was sent is the error of the handle's next send, or of [`Client::flush`],
//! which waits until the hub has taken in all that was sent before. [`Client::close`] flushes and closes.
//!
//! ```no_run
//! use nyx_client::{Address, Client, Config, Name, Value, publish};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::connect(Address::default(), Config::default()).await?;
//! let chat = client.events(Name::new("lobby/chat")?, publish::Options::default()).await?;
//! chat.send_text("hello").await?;
//! let world = client.state(Name::new("lobby/world")?, publish::Options::default()).await?;
//! world.set(Value::map([("players", 1)])).await?;
//! client.close().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Datagrams
//!
//! An [`Address`] written `udp://host:port` is the same hub by datagrams, where it takes them: what is lost on the way holds nothing else up. State and
//! events lose nothing; frames and sound are sent again while they are in time, and what is not shows as [`Item::Gap`], or, of what this side
//! publishes, in [`Stats::lost_messages`]. Nothing is encrypted.
//!
//! # Requests
//!
//! [`Client::requests`] asks a service, [`Client::serve`] answers for one; see [`requests`].
//!
//! # Subscribing
//!
//! [`Client::subscribe`] makes a [`Subscription`] to all topics that a [`Pattern`] selects, present and future.
//! [`Subscription::recv`] yields one [`Item`] at a time; [`Subscription::recv_batch`] a run of messages as one slice of
//! bytes, walked without a copy. State is kept by the subscription: [`Subscription::document`].
//!
//! What was received counts as consumed, and is acknowledged, when the *next* item is asked for. A subscriber that does not ask
//! is not sent more than a window; what it misses then comes as [`Item::Gap`]. So nothing is lost silently: not to slowness,
//! and not to a lost connection, which comes as [`Item::Reconnected`].
//!
//! ```no_run
//! use nyx_client::{Address, Client, Config, Item, Pattern, subscribe};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::connect(Address::default(), Config::default()).await?;
//! let mut lobby = client.subscribe(Pattern::new("lobby/**")?, subscribe::Options::default()).await?;
//! loop {
//!     match lobby.recv().await? {
//!         Item::Event(event) => println!("{} #{}: {:?}", event.topic.name, event.sequence, event.payload),
//!         Item::State(state) => println!("{:?}", lobby.document(&state.topic.name).map(|document| document.value())),
//!         Item::Gap(gap) => println!("{} items of {} are missing", gap.total(), gap.topic.name),
//!         _ => {}
//!     }
//! }
//! # }
//! ```
#![forbid(unsafe_code)]

mod backoff;
mod client;
mod codec;
mod config;
mod connection;
mod dispatch;
mod driver;
mod error;
mod outgoing;
mod pings;
pub mod publish;
mod registry;
pub mod requests;
mod route;
mod sequence;
mod shared;
mod stats;
pub mod subscribe;
mod token;
mod unpacking;

pub use client::Client;
pub use codec::{AudioFormat, EventCodec, FrameCodec, Samples};
pub use config::Config;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub use connection::hearer::Hearer;
pub use error::{AdvertiseError, ConnectError, FlushError, ProtocolError, Refusal, SubscribeError};
pub use nyx_protocol::batch;
pub use nyx_protocol::choose::{Pin as Compression, PinError as CompressionError};
pub use nyx_protocol::control::ErrorCode;
pub use nyx_protocol::control::Lane;
pub use nyx_protocol::state::{self, Document, Patch, Rules, RulesError, Value};
pub use nyx_protocol::topic::{Name, NameError, Pattern};
pub use nyx_protocol::trail::Trail;
pub use nyx_protocol::wire::{Kind, Message};
pub use nyx_transport::address::{Address, AddressError};
pub use nyx_transport::tls;
pub use requests::{RequestError, ServeError};
pub use stats::Stats;
pub use subscribe::{Batch, Item, RecvError, Subscription, Topic};
pub use token::Token;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
