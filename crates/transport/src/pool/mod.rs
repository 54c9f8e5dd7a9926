//! Connections that are used again.
//!
//! A [`Pool`] keeps connections to many addresses; a [`Target`] is one of them, for those who use it often. What
//! [`Target::acquire`] gives is the caller's until it is [released](Lease::release), and closed if it is dropped before.
//!
//! - A connection that the peer closed while it rested is not handed out, nor one in which bytes lie that nobody asked
//!   for. [`Config::verify_after`] says how that is seen, and that what came less than so long ago, 100 µs by default, may not be.
//! - The one used last is used first, so those that are not needed age and are closed.
//! - Who waits is served in order of arrival, and nobody who comes later overtakes.
//! - An address that can't be reached is left alone for a while that doubles ([`backoff`]); who asks meanwhile is told at
//!   once.
//!
//! `deadpool` makes the connections, counts them and gives places free; in front of it stands a value (`front`) that decides who
//! gets what, and in front of that a place for the one that was given back last: using one again costs two exchanges and no lock. What is
//! pooled is a [`Connector`]'s: plain TCP ([`Tcp`]), the same encrypted (`Secure`, with the feature `tls`), or anything else that connects.
//!
//! ```
//! use nyx_transport::pool::{Config, Pool, Tcp};
//! use nyx_transport::tcp;
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let listener = tcp::listen("127.0.0.1:0".parse()?)?;
//! let pool = Pool::new(Tcp::default(), Config::default());
//! let target = pool.target(&listener.local_addr()?.into())?;
//! tokio::spawn(async move {
//!     let (mut echo, _) = listener.accept().await.unwrap();
//!     let (mut reader, mut writer) = echo.split();
//!     tokio::io::copy(&mut reader, &mut writer).await
//! });
//! for _ in 0..3 {
//!     let mut connection = target.acquire().await?;
//!     connection.write_all(b"ping").await?;
//!     connection.read_exact(&mut [0; 4]).await?;
//!     connection.release();
//! }
//! assert_eq!((pool.stats().created, pool.stats().reused), (1, 2));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```

pub mod backoff;
mod config;
mod connector;
mod desk;
mod error;
mod front;
mod guard;
mod lease;
mod registry;
#[cfg(feature = "tls")]
mod secure;
mod site;
mod stats;
mod target;
mod uses;
mod warm;

pub use config::Config;
pub use connector::{Check, Connection, Connector, Liveness, Tcp};
pub use error::{AcquireError, ErrorOf};
pub use lease::Lease;
#[cfg(feature = "tls")]
pub use secure::{Secure, SecureError};
pub use stats::{Reason, Stats};
pub use target::{Pool, Target};
