//! `nyx request` asks a service, `nyx reply` is one.

pub(crate) mod ask;
pub(crate) mod reply;
