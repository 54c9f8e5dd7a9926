//! Who may do what: permissions as values, and whom to ask whose they are.
//!
//! A hub that is left alone asks nobody. An embedder that wants peers to say who they are gives their sessions an [`Entry`]
//! with a [`Gatekeeper`], which turns the token of a `Hello` into a [`Permit`]; the session then holds the peer to the permit's
//! [`Permissions`], to its end, and to the quotas that it shares with others. What a token is, where it is kept and what
//! time it is are the gatekeeper's business.
//!
//! - What a peer may not read is not there for it: it is neither announced nor named, and asking for it by name is answered as
//!   if it did not exist.
//! - A permit ends at a moment that it names, or when [`Hub::expel`](crate::Hub::expel) says so, in the middle of a session.

mod entry;
mod permissions;
mod permit;

pub use entry::{Entry, Forbidden, Gatekeeper, Rejected};
pub use permissions::Permissions;
pub use permit::{Permit, Supplies, Supply};
