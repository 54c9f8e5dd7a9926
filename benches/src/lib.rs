//! Side-by-side measurements of Nyx and its peers.
//!
//! [`relay`] is the bench of the whole path: real sockets, real processes, the same work for every contender. The
//! benches of single primitives are criterion's, in the folder `benches/benches`; [`primitives`] makes their table, and
//! [`counts`] counts the instructions of the hot operations. [`updates`] makes the table of bytes per update of a state document,
//! from [`traces`] that are made by seed. [`requests`] sends records that are answered one by one, [`audio`] measures the capture of
//! sound, [`unsent`] how many bytes should wait in the kernel, and [`datagrams`] how fresh state is behind a path that loses packets.

#![forbid(unsafe_code)]

#[cfg(target_os = "linux")]
pub mod audio;
pub mod counts;
pub mod datagrams;
pub mod primitives;
pub mod relay;
pub mod requests;
pub mod traces;
pub mod unsent;
pub mod updates;

mod table;
