//! The sound of a topic, for those who want samples without holes: a file, a player.
//!
//! - `unpack`: whatever a chunk carries as PCM of one encoding.
//! - `timeline`: how much silence stands for what is missing.
//! - `live`: both together in real time, for a player that must always be fed.

mod live;
mod timeline;
mod unpack;

pub(crate) use live::Live;
pub(crate) use timeline::Timeline;
pub(crate) use unpack::Unpacker;
