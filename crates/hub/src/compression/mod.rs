//! What is compressed on the way, by what, and how that is decided.
//!
//! - Publishers' blocks are relayed as they came; whoever takes no blocks gets them unpacked.
//! - Documents' deltas and snapshots are encoded for subscribers that take blocks, once for each base and encoding, by what a
//!   [chooser](nyx_protocol::choose) says of that subscriber's link.
//! - Opaque payloads are encoded for each subscriber behind a slow path, with what it has as prefix.
//! - A topic's dictionary is trained on its own deltas, by whoever drives the hub.
//! - The engine is what all topics share: settings, the kill switch, contexts of zstd.

pub mod config;
mod encoder;
mod engine;
pub(crate) mod opaque;
mod plain;
pub(crate) mod training;

pub use config::{Config, Stopwatch};
pub use training::Training;

pub(crate) use encoder::{Encoder, Key, Taker};
pub(crate) use engine::Engine;
pub(crate) use opaque::{Opaque, Prefixes};
pub(crate) use plain::{Plain, is_block};
