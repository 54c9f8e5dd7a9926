//! Bytes that the kernel holds and has not sent: how many there may be, by how fast they leave.
//!
//! What waits in the kernel can't be replaced by something fresher, and the kernel's own bound is megabytes. A fixed bound is too
//! much for a slow path, where 16 KiB wait a third of a second at 50 kB/s. So the bound follows the path:
//!
//! - [`Control`]: the decision as a value. It learns the drain rate, and gives the target.
//! - [`Socket`]: a connection that asks it, tells the kernel, and shows the target by a [`Gauge`].
//! - [`kernel`]: the two calls that this takes.
//!
//! # Where it works
//! On Linux and Android, by `TCP_NOTSENT_LOWAT` and the ioctl `SIOCOUTQNSD`. Elsewhere [`Socket`] leaves the bound as
//! [`tcp::apply`](crate::tcp::apply) has set it, by `SO_SNDBUF`. That counts what is on its way as well, so to change it by the drain rate would cap
//! the very rate that it is to follow.

mod control;
pub mod kernel;
mod socket;

pub use control::{Config, Control};
pub use socket::{Gauge, Socket};
