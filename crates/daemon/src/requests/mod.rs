//! `nyx request` asks a service, `nyx reply` is one.

pub(crate) mod ask;
mod group;
mod lines;
pub(crate) mod reply;
