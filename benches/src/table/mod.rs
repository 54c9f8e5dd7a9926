//! What the tables of all measurements share: columns, medians, and where it was measured.

mod columns;
mod machine;
mod samples;

pub(crate) use columns::{aligned, grouped};
pub(crate) use machine::{Machine, rustc};
pub(crate) use samples::{median, sorted, spread};
