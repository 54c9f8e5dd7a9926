//! The header, and how messages are found in a stream of bytes.
//!
//! A relay never builds a message object for data. [`scan`] looks at the headers in a read buffer and says how many
//! bytes the next *run* has: consecutive whole messages of one topic. The relay splits these off, patches the two fields
//! that are its own ([`patch_run`]), and passes the bytes on as they are. A consumer walks a run with [`Messages`].

mod header;
mod kind;
mod message;
mod scan;

pub use header::{DecodeError, Flags, HEADER_LEN, Header};
pub use kind::{Kind, UnknownKind, codec};
pub use message::{Message, Messages, put_message, put_stamped};
pub use scan::{Run, Scan, patch_run, scan};

/// Bytes of the capture time that leads the payload of a message with [`Flags::TIMESTAMP`].
pub const TIMESTAMP_LEN: usize = 8;

/// The most that a control message's payload may have.
pub const MAX_CONTROL_LEN: usize = 64 * 1024;
