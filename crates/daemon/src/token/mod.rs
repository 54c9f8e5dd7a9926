//! Tokens: what lets somebody in, and `nyx token`.
//!
//! - `secret`: bearer secrets, and what is kept of them; `file`: where that is kept.
//! - `jwt`: tokens that others sign.
//! - `book`: all of it at one moment, and whose a token is.
//! - `held`: a file with one token, as its bearer keeps it.
//! - `store`: the file on the disk; `command`: what `nyx token` does with it.

pub(crate) mod book;
mod command;
pub(crate) mod file;
pub(crate) mod held;
pub(crate) mod jwt;
pub(crate) mod secret;
pub(crate) mod store;

pub(crate) use command::{Args, run};

/// The time of day, by which tokens begin and end.
pub(crate) fn now() -> std::time::SystemTime {
    std::time::UNIX_EPOCH + std::time::Duration::from_micros(nyx_core::clock::unix_micros())
}
