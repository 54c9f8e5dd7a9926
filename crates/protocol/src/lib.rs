//! The Nyx wire format and state document, as values: bytes in, messages out, no sockets and no clock.
//!
//! - [`wire`]: the 16-byte header, the scanner that finds whole messages and runs of them in a read buffer, and the
//!   patching of headers in place.
//! - [`control`]: control messages (protobuf) and how they travel.
//! - [`batch`]: when a batch of messages is sent, and in which order.
//! - [`topic`]: names and patterns.
//! - [`trail`]: which hubs an item has passed.
//! - [`state`]: documents, patches and deltas.
//! - [`compress`]: payloads as zstd blocks, dictionaries, bounded decompression.
//! - [`pack`]: whole messages as messages with blocks, and back.
//! - [`choose`]: which of these pays, by measurement.
//! - [`requests`]: how many requests are under way, and which is next.
//! - [`record`]: what was published, in a file that can be played again.
//!
//! `docs/WIRE.md` is the specification, `docs/RECORD.md` that of recordings.
#![forbid(unsafe_code)]

pub mod batch;
pub mod choose;
pub mod compress;
pub mod control;
pub mod pack;
pub mod record;
pub mod requests;
pub mod state;
pub mod topic;
pub mod trail;
pub mod wire;

pub use wire::{Header, Kind};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
