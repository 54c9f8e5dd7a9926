//! The Nyx wire format and state document, as values: bytes in, messages out, no sockets and no clock.
//!
//! - [`wire`]: the 16-byte header, the scanner that finds whole messages and runs of them in a read buffer, and the
//!   patching of headers in place.
//! - [`control`]: control messages (protobuf) and how they travel.
//! - [`topic`]: names and patterns.
//! - [`state`]: documents, patches and deltas.
//!
//! `docs/WIRE.md` is the specification.
#![forbid(unsafe_code)]

pub mod control;
pub mod state;
pub mod topic;
pub mod wire;

pub use wire::{Header, Kind};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
