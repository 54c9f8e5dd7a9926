//! Items that are larger than a datagram, cut up and put together again.
//!
//! Each fragment begins with a [`Header`] of 16 bytes, big-endian:
//!
//! ```text
//!  0               4               8               12      14      16
//!  +---------------+---------------+---------------+-------+-------+-----------
//!  | sequence u32  |   item u32    |   total u32   | index | count |  bytes
//!  +---------------+---------------+---------------+-------+-------+-----------
//! ```
//!
//! The sequence counts datagrams, so that a receiver can tell what was lost ([`arrivals`](super::arrivals)); it is not needed to put an
//! item together. An item of *total* bytes is cut into *count* pieces of ⌈total / count⌉ bytes, the last of which may be shorter, so
//! each fragment tells alone where its bytes belong. An item that fits is one fragment.
//!
//! ```
//! use bytes::Bytes;
//! use nyx_core::Instant;
//! use nyx_transport::udp::fragment::{Config, Reassembler, Splitter, payload_max};
//!
//! let mut splitter = Splitter::new(payload_max(1500, false));
//! let item = Bytes::from(vec![7; 10_000]);
//! let fragments: Vec<Bytes> = splitter.split(&item).unwrap().collect();
//! assert_eq!(fragments.len(), 7);
//!
//! let mut reassembler = Reassembler::new(Config::default());
//! let mut whole = None;
//! for fragment in fragments.iter().rev() {
//!     whole = reassembler.handle(Instant::ZERO, fragment).unwrap().or(whole);
//! }
//! assert_eq!(whole.unwrap().bytes, item);
//! ```

mod header;
mod reassembly;
mod split;

pub use header::{HEADER_BYTES, Header, HeaderError};
pub use reassembly::{Config, Item, Reassembler, Stats};
pub use split::{Fragments, SplitError, Splitter};

/// What a datagram can carry where the path takes packets of `mtu` bytes: less the headers of IP and UDP (RFC 791, RFC 8200, RFC 768).
///
/// ```
/// assert_eq!(nyx_transport::udp::fragment::payload_max(1500, false), 1472);
/// assert_eq!(nyx_transport::udp::fragment::payload_max(1280, true), 1232);
/// ```
pub const fn payload_max(mtu: usize, is_ipv6: bool) -> usize {
    let headers = if is_ipv6 { 40 + 8 } else { 20 + 8 };
    mtu.saturating_sub(headers)
}
