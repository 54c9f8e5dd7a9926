//! Side-by-side measurements of Nyx and its peers.
//!
//! [`relay`] is the bench of the whole path: real sockets, real processes, the same work for every contender. The
//! benches of single primitives are criterion's, in the folder `benches/benches`.

#![forbid(unsafe_code)]

pub mod relay;
