//! `nyx request` asks a service, `nyx reply` is one.

pub(crate) mod ask;
mod lines;
pub(crate) mod reply;
