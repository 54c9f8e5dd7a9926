//! The atomics of hand-rolled protocols: the standard library's, or loom's when the tests explore every interleaving.

#[cfg(not(loom))]
pub(crate) use std::sync::atomic;

#[cfg(loom)]
pub(crate) use loom::sync::atomic;
