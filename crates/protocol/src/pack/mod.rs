//! Whole messages as messages with blocks, and back: what [`compress`](crate::compress) does to payloads, done to what travels.
//!
//! A message with [`Flags::BLOCK`](crate::wire::Flags::BLOCK) has a block behind its capture time. A [`Packer`] makes one of a message, or one
//! of a run of small events; an [`Unpacker`] makes plain messages of it again, with the same headers. What does not get smaller stays plain.
//!
//! ```
//! use bytes::BytesMut;
//! use nyx_protocol::compress::{Level, Method, Reference};
//! use nyx_protocol::pack::{Packer, Unpacker};
//! use nyx_protocol::wire::{self, Flags, Header, Kind, Messages};
//!
//! let mut plain = BytesMut::new();
//! for n in 0..40 {
//!     let header = Header { topic: 7, sequence: n, ..Header::data(Kind::Event) };
//!     wire::put_message(&mut plain, header, format!(r#"{{"player":{n},"event":"pass","team":"north"}}"#).as_bytes());
//! }
//! let mut packed = BytesMut::new();
//! Packer::new().pack_run(&plain, Method::Level(Level::FAST), &mut packed);
//! assert!(packed.len() * 8 < plain.len());
//!
//! // One message that counts for forty.
//! let message = Messages::new(&packed).next().unwrap();
//! assert!(message.header.flags.contains(Flags::BLOCK));
//! let mut unpacked = BytesMut::new();
//! let items = Unpacker::new().unpack(&message, |_| Reference::None, 1 << 20, &mut unpacked)?;
//! assert_eq!((items.count, &unpacked), (40, &plain));
//! # Ok::<_, nyx_protocol::pack::UnpackError>(())
//! ```

mod packer;
mod unpacker;

pub use packer::Packer;
pub use unpacker::{UnpackError, Unpacked, Unpacker, check};
