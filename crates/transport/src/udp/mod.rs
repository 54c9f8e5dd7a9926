//! Datagrams in batches.
//!
//! - [`Socket`] sends and receives many datagrams with one system call where the system can, through `quinn-udp`, and one by one elsewhere.
//!   On Linux a train of datagrams, neighbours of one size to one address, leaves by one `sendmsg` with segmentation offload (GSO), and one
//!   `recvmmsg` takes what has come, trains that the kernel has put together (GRO) included. There is no `sendmmsg`: datagrams to different
//!   addresses take a call each. It sets and tells the local address and the congestion mark (ECN) of each datagram.
//! - [`Batch`] is what is to be sent, [`Inbox`] what has arrived: the batch is the caller's, not hidden in a buffer of the
//!   socket's. What is kept of an inbox leaves as [`Received`], in memory from a pool.
//! - [`fragment`] cuts items that are larger than a datagram and puts them together again, within bounds of memory and time.
//! - [`mtu`] finds how large a datagram the path carries. Sockets forbid that one is cut on the way, where the system can.
//! - [`arrivals`] tells from sequence numbers what was lost, reordered or doubled.
//! - [`connection`] is a stream and items on top of these. It neither sets congestion marks nor acts on them: those are for who uses a
//!   socket by itself.
//!
//! The last four are values that open no socket and take `now`. Nothing here is encrypted, nor is it known who sends: it is for
//! loopback and for networks whose members are trusted.
//!
//! ```
//! use nyx_transport::udp::{Batch, Inbox, Options, Socket};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let here = Socket::bind("127.0.0.1:0".parse()?, &Options::default())?;
//! let there = Socket::bind("127.0.0.1:0".parse()?, &Options::default())?;
//!
//! let mut batch = Batch::default();
//! for text in ["one", "two", "six"] {
//!     batch.push(there.local_addr()?, text.as_bytes())?;
//! }
//! assert_eq!(here.send(&mut batch).await?.datagrams, 3);
//!
//! let (mut inbox, mut texts) = (Inbox::new(), Vec::new());
//! while texts.len() < 3 {
//!     there.recv(&mut inbox).await?;
//!     texts.extend(inbox.iter().map(|datagram| datagram.payload.to_vec()));
//! }
//! assert_eq!(texts, [b"one", b"two", b"six"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```

pub mod arrivals;
mod batch;
pub mod connection;
pub mod fragment;
mod inbox;
pub mod mtu;
mod shelf;
mod socket;

pub use batch::{Batch, PushError};
pub use inbox::{Datagram, Inbox, Received};
pub use socket::{Options, Sent, Socket};

/// What a datagram tells of congestion on its way (RFC 3168).
pub use quinn_udp::EcnCodepoint as Ecn;
