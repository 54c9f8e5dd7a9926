//! TLS by rustls, with ring: certificates from files, errors that say what to do, and no more unsent bytes than without.
//!
//! - [`server`]: the certificate of a listener, which can be exchanged while it listens, and whose clients it takes.
//! - [`client`]: whom a client trusts, and the certificate that it shows.
//! - [`Stream`]: what both give: a connection, encrypted or not.
//! - [`HandshakeError`]: why there is none.
//!
//! # Staleness
//! What has been encrypted can't be replaced by something fresher. rustls would hold 64 KiB of it for a socket that takes no more;
//! here it holds [`UNSENT_MAX`], on top of what the kernel holds. `poll_flush` is ready when it holds nothing: who asks that before it
//! decides what to send next decides as late as over TCP.

pub mod client;
mod error;
mod pem;
pub mod server;
mod stream;

pub use error::{HandshakeError, LoadError};
pub use stream::{Stream, UNSENT_MAX};

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};

/// The only cryptography that is built in.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
