//! The state document: what it holds, how it changes, and what a subscriber must be told.
//!
//! A publisher sends [patches](Patch); the hub's [`Document`] takes them and counts versions; each subscriber gets one
//! [delta](Document::delta_since) from the version it has to the latest, however many versions lie between, and
//! [applies](Document::apply) it whole or not at all. `docs/WIRE.md` specifies the bytes (sections 5 and 6).
//!
//! ```
//! use bytes::BytesMut;
//! use nyx_protocol::state::{Document, Encoded, Limits, Patch, Value};
//!
//! // A publisher: the difference between two of its own values, as bytes.
//! let before = Value::map([("tick", 1), ("score", 10)]);
//! let after = Value::map([("tick", 2), ("score", 10)]);
//! let mut message = BytesMut::new();
//! Patch::diff(&before, &after).expect("tick differs").encode(&mut message);
//!
//! // The hub: two patches, and a receiver that got the state in between.
//! let mut document = Document::new(0x5EED, Limits::default());
//! document.patch(&Patch::Set(before))?;
//! let mut receiver = Document::new(0, Limits::default());
//! let mut snapshot = BytesMut::new();
//! document.snapshot(&mut snapshot);
//! receiver.apply(&snapshot, true)?;
//!
//! document.patch(&Patch::decode(&message, &Limits::default())?)?;
//! let mut delta = BytesMut::new();
//! assert_eq!(document.delta_since(receiver.version(), &mut delta), Encoded::Delta);
//!
//! // The receiver follows.
//! receiver.apply(&delta, false)?;
//! assert_eq!(receiver.value(), after);
//! assert_eq!((receiver.epoch(), receiver.version()), (0x5EED, 2));
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! One's own types go in and come out by [`Value::from_serialize`](Value) and [`View::to_typed`](View) (feature `serde`), prost
//! messages also by [`Value::from_message`]. A publisher can round, leave out or slow down parts by [`Rules`]. Many receivers at
//! one version share a delta by [`Cache`]. `docs/STATE.md` explains versions, conflation and resume.
//!
//! Inside, a document is a tree of nodes that know when they last changed, and each container keeps a bounded log of
//! its changes since it was made; a leaf remembers its last few predecessors, so that the difference can be told. So a delta costs
//! what changed, not what there is. Whatever comes from a peer is
//! decoded within [`Limits`] into an owned tree of changes, checked against the document, and only then made.

mod limits;
mod patch;
mod value;
mod view;

mod align;
mod cache;
mod diff;
mod document;
mod message;
mod rules;
#[cfg(feature = "serde")]
mod typed;

mod arrange;
mod change;
mod held;
mod keys;
mod log;
mod node;
mod number;
mod past;
mod plan;
mod splice;

mod arrange_codec;
mod bits;
mod delta;
mod encoder;
mod grouping;
mod patch_codec;
mod reader;
mod table;
mod value_codec;
#[cfg(feature = "serde")]
mod value_serde;
mod varint;

pub use arrange::Piece;
pub use cache::Cache;
pub use delta::base_of;
pub use document::{ApplyError, Document, Encoded};
pub use limits::{DEPTH_MAX, KEY_BYTES_MAX, Limits};
pub use patch::{ListOp, Patch, PatchError};
pub use reader::DecodeError;
pub use rules::{Filter, Rules, RulesError};
#[cfg(feature = "serde")]
pub use typed::TypedError;
pub use value::{NotFinite, Value};
pub use view::View;
