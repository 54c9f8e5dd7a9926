//! Sockets as Nyx needs them, without any protocol.
//!
//! - [`address`]: `nyx://host:port`, parsed once.
//! - [`tcp`]: connecting and listening, with the kernel's unsent bytes bounded.
//! - [`alarm`]: a timer for a deadline that moves.
//! - [`pool`]: connections that are used again, with honest liveness.
//! - [`read`]: non-blocking reads into pooled buffers; an idle connection holds no memory.
//! - `tls` (with the feature of this name): the same, encrypted.
//! - [`udp`]: datagrams in batches, fragments, loss and reordering.
//! - [`unsent`]: what the kernel may hold unsent, by how fast it leaves.
//! - [`mod@write`]: a queue of [`bytes::Bytes`] that goes out in vectored writes.
#![deny(unsafe_code)]

pub mod address;
pub mod alarm;
pub mod pool;
pub mod read;
pub mod tcp;
#[cfg(feature = "tls")]
pub mod tls;
pub mod udp;
pub mod unsent;
pub mod websocket;
pub mod write;

pub use address::Address;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
