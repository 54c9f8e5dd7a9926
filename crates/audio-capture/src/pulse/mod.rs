//! PulseAudio, and PipeWire by its PulseAudio interface: what is captured on Linux.
//!
//! - [`Stream`]: an [`Input`](crate::Input) that captures a device, the monitor of an output, or what one application plays.
//! - [`Server`]: the [`Control`](crate::host::Control) that lists devices and sessions, and sets volumes.
//! - [`Watch`]: what happens to sessions and devices, as it happens.
//! - [`Address`]: where the server is.
//!
//! The protocol's messages are the crate `pulseaudio`'s; the connection is our own, because that crate's client zeroes a megabyte for each read, leaves
//! out the events of streams, and lives on in a thread of its own after it was dropped. Ours is a blocking socket of the thread that uses it.
//!
//! ```no_run
//! use nyx_audio_capture::host::Control as _;
//! use nyx_audio_capture::{Capture, capture, pulse};
//!
//! let address = pulse::Address::from_env();
//! for session in pulse::Server::connect(&address)?.sessions()? {
//!     println!("{} {} {:?}", session.id, session.application, session.process);
//! }
//! let player = pulse::Stream::new(address, pulse::Target::Application("mpv".to_owned()));
//! let (capture, mut reader) = Capture::start(player, capture::Config::default())?;
//! while let Some(chunk) = reader.recv() {
//!     println!("{} frames at {}", chunk.frames(), chunk.unix_micros);
//! }
//! capture.stop()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod address;
mod connection;
mod find;
pub mod inbox;
mod listing;
mod server;
mod shape;
mod stream;
mod watch;

pub use address::Address;
pub use find::Target;
pub use server::Server;
pub use stream::Stream;
pub use watch::Watch;
